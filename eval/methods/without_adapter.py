"""Families without the I2V adapter on any base: one sampler, in which every frame is generated.

The glyph world has `eval.world.baseline.BaselinePipeline` for the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from eval.world.concatenation import concatenate
from i2v_adapter import (
    I2VAdapterControlNetPipeline,
    I2VAdapterPipeline,
    I2VAdapterSDXLPipeline,
)
from i2v_adapter.pipelines.denoising import conditional_half, steps_of_interval
from i2v_adapter.pipelines.noise import guided_noise
from i2v_adapter.prior import FrameSimilarityPrior, Generators, standard_normal


class _WithoutAdapter:
    """For a pipeline of :mod:`i2v_adapter.pipelines`: no clean frame and no adapter.

    The image is used in whatever way the models are built for: by a content adapter, if one is
    loaded; as a latent beside every frame, if the UNet has twice the channels; as the start of all
    frames, if there is a prior. With none of these this is text-to-video.
    """

    def __call__(
        self, *args: Any, prior: FrameSimilarityPrior | None = None, **options: Any
    ) -> Any:
        """As the pipeline's own, but without a prior unless one is given.

        Args:
            without_image: leave the image channels of a widened UNet at zero.
        """
        self._without_image = bool(options.pop("without_image", False))
        self._encodes = prior is not None or (self._reads_image and not self._without_image)
        return super().__call__(*args, prior=prior, **options)  # type: ignore[misc]

    @property
    def _reads_image(self) -> bool:
        pipeline: Any = self
        return bool(pipeline.unet.config.in_channels == 2 * pipeline.vae.config.latent_channels)

    def _require_adapter(self) -> None:
        """None is needed."""

    def _encode_first_frame(
        self,
        images: list[Any],
        image_latents: Tensor | None,
        height: int,
        width: int,
        generator: Generators,
        device: torch.device,
    ) -> Tensor:
        pipeline: Any = self
        if self._encodes:
            latents: Tensor = super()._encode_first_frame(  # type: ignore[misc]
                images, image_latents, height, width, generator, device
            )
            return latents
        channels, factor = pipeline.vae.config.latent_channels, pipeline.vae_scale_factor
        shape = (len(images), channels, 1, height // factor, width // factor)
        return torch.zeros(shape, device=device)

    def _denoise(
        self,
        first: Tensor,
        num_frames: int,
        num_inference_steps: int,
        tensors: dict[str, Any],
        unet_inputs: Any,
        *,
        prior: FrameSimilarityPrior | None,
        generator: Generators,
        noise: Tensor | None,
        eta: float,
        guidance_rescale: float = 0.0,
        callback: Any = None,
        callback_inputs: Sequence[str] = (),
        guidance_interval: Sequence[float] | None = None,
    ) -> Tensor:
        """Latents (B, C, F, h, w), all of them generated."""
        pipeline: Any = self
        scheduler, guided = pipeline.scheduler, pipeline.do_classifier_free_guidance
        scheduler.set_timesteps(num_inference_steps, device="cpu")  # as the adapter's pipelines
        if prior is None:
            shape = (*first.shape[:2], num_frames, *first.shape[3:])
            start = standard_normal(shape, generator, first.device) * scheduler.init_noise_sigma
            latents, timesteps = start.to(first.dtype), scheduler.timesteps
        else:
            started = prior.sample(first[:, :, 0], num_frames + 1, scheduler, generator)
            latents, timesteps = started.latents[:, :, 1:], started.timesteps
        beside = torch.zeros_like(first[:, :, 0]) if self._without_image else first[:, :, 0]
        beside = torch.cat([torch.zeros_like(beside), beside]) if guided else beside
        pipeline._num_timesteps = len(timesteps)
        extra = pipeline.prepare_extra_step_kwargs(generator, eta)
        of_unet = timesteps.to(first.device)
        guided_steps = steps_of_interval(guidance_interval, len(timesteps))
        for step, t in enumerate(pipeline.progress_bar(timesteps)):
            now, alone = of_unet[step], guided and step not in guided_steps
            both = guided and not alone
            noisy = scheduler.scale_model_input(torch.cat([latents] * 2) if both else latents, t)
            pictures = beside.chunk(2)[1] if alone else beside
            model_input = concatenate(noisy, pictures) if self._reads_image else noisy
            with pipeline._unguided(alone):
                given = conditional_half(tensors) if alone else tensors
                arguments = unet_inputs(step, now, noisy, given)
            predicted = pipeline.unet(model_input, now, **arguments).sample
            if both:
                predicted = guided_noise(predicted, pipeline.guidance_scale, guidance_rescale)
            latents = scheduler.step(predicted, t, latents, **extra).prev_sample
        return latents


class WithoutAdapterPipeline(_WithoutAdapter, I2VAdapterPipeline):
    """On an SD 1.5 base."""


class WithoutAdapterControlNetPipeline(_WithoutAdapter, I2VAdapterControlNetPipeline):
    """On an SD 1.5 base with ControlNets."""


class WithoutAdapterSDXLPipeline(_WithoutAdapter, I2VAdapterSDXLPipeline):
    """On an SDXL base."""
