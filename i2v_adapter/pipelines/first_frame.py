"""What all image-to-video pipelines share: adapter, clean first frame, denoising around it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from diffusers import DiffusionPipeline
from diffusers.image_processor import VaeImageProcessor
from diffusers.pipelines.animatediff.pipeline_output import AnimateDiffPipelineOutput
from torch import Tensor

from i2v_adapter.adapter import I2VAdapter
from i2v_adapter.pipelines.color import match_chroma
from i2v_adapter.pipelines.inputs import PipelineImage, image_list
from i2v_adapter.pipelines.noise import free_init_restart, guided_noise, plain_start
from i2v_adapter.prior import FrameSimilarityPrior, Generators, standard_normal
from i2v_adapter.unet_layers import name_repeated_blocks

DEFAULT_PRIOR = FrameSimilarityPrior()

UnetInputs = Callable[[int, Any, Tensor, dict[str, Any]], dict[str, Any]]


class FirstFrameMixin(DiffusionPipeline):
    """For a diffusers AnimateDiff pipeline: holds the adapter, keeps frame 0 clean and discards its
    prediction.

    The adapter is attached to the UNet during calls only, so other pipelines may share the UNet.
    """

    _exclude_from_cpu_offload: ClassVar[list[str]] = ["i2v_adapter"]
    _vae_overflows_in_float16: ClassVar[bool] = False

    def _add_i2v_adapter(self, i2v_adapter: I2VAdapter | None) -> None:
        if not isinstance(i2v_adapter, (I2VAdapter, type(None))):
            raise ValueError(
                f"i2v_adapter must be an I2VAdapter, but is {type(i2v_adapter).__name__}"
            )
        self.register_modules(i2v_adapter=i2v_adapter)
        name_repeated_blocks(self.unet)
        self.image_processor = VaeImageProcessor(
            vae_scale_factor=self.vae_scale_factor,
            vae_latent_channels=self.vae.config.latent_channels,
        )

    def load_i2v_adapter(
        self, source: str | os.PathLike[str], weight_name: str | None = None, **options: Any
    ) -> None:
        """Load an adapter for this UNet, in its dtype and on its device, in place of the one at
        hand.

        Args:
            source: hub id, folder or file, of this project's format or a released one.
            weight_name: file of a released checkpoint in that repository or folder.
            **options: see :meth:`I2VAdapter.from_pretrained`.

        Raises:
            ValueError: the checkpoint does not fit the UNet; the message names the tensors or
                the layer.
        """
        options = {"torch_dtype": self.unet.dtype, **options}
        adapter = I2VAdapter.from_pretrained(
            source, weight_name=weight_name, unet=self.unet, **options
        )
        adapter.to(self.unet.device)
        with adapter.attached(self.unet):  # Raises where it does not fit.
            pass
        self.register_modules(i2v_adapter=adapter)

    def _require_adapter(self) -> None:
        """Raises ValueError if the pipeline has no adapter."""
        if self.i2v_adapter is None:
            raise ValueError(
                "the pipeline has no adapter: call load_i2v_adapter() or pass i2v_adapter= to it"
            )

    @property
    def _free_noise(self) -> bool:
        return getattr(self, "free_noise_enabled", False)  # SDXL's pipeline has none.

    def _first_frames(
        self,
        image: PipelineImage | list[PipelineImage] | None,
        image_latents: Tensor | None,
        num_frames: int,
        height: int | None,
        width: int | None,
    ) -> tuple[list[Any], int, int]:
        """What the videos start from (images, else the latents given), and the size of the videos
        in pixels.
        """
        self._require_adapter()
        if image is None and image_latents is None:
            raise ValueError("image is missing: pass the first frame of the video as image=")
        max_frames = self.unet.config.motion_max_seq_length
        if self._free_noise:
            shortest = self._free_noise_context_length
            if num_frames < shortest:
                raise ValueError(
                    f"num_frames must be at least FreeNoise's window of {shortest}, but is "
                    f"{num_frames}"
                )
        elif not 2 <= num_frames <= max_frames:
            raise ValueError(
                f"num_frames must lie in 2..{max_frames} for this motion UNet, but is {num_frames}"
            )
        if image_latents is None:
            images = image_list(image)  # type: ignore[arg-type]
            height, width = self.image_processor.get_default_height_width(images[0], height, width)
            return images, height, width
        channels = self.unet.config.in_channels
        if image_latents.ndim != 4 or image_latents.shape[1] != channels:
            raise ValueError(
                f"image_latents must have shape (B, {channels}, h, w), but have "
                f"{tuple(image_latents.shape)}"
            )
        size = tuple(side * self.vae_scale_factor for side in image_latents.shape[-2:])
        if (height or size[0], width or size[1]) != size:
            raise ValueError(
                f"image_latents are those of {size[0]}x{size[1]} pixels, not of {height}x{width}"
            )
        images = list(image_latents) if image is None else image_list(image)
        if len(images) != len(image_latents):
            raise ValueError(
                f"{len(images)} images and {len(image_latents)} image_latents were given"
            )
        return images, *size

    def _start(
        self,
        batch: int,
        generator: Generators,
        *,
        guidance_scale: float,
        clip_skip: int | None,
        cross_attention_kwargs: dict[str, Any] | None,
    ) -> torch.device:
        """Checks the generators of `batch` videos, and sets what diffusers' methods read from the
        pipeline during a call. Returns the device that the call runs on.
        """
        if isinstance(generator, list) and len(generator) != batch:
            raise ValueError(
                f"{len(generator)} generators were given for {batch} videos: give one, or one for "
                "each"
            )
        self._guidance_scale = guidance_scale
        self._clip_skip = clip_skip
        self._cross_attention_kwargs = cross_attention_kwargs
        self._interrupt = False
        return self._execution_device

    def _encode_first_frame(
        self,
        images: list[PipelineImage],
        image_latents: Tensor | None,
        height: int,
        width: int,
        generator: Generators,
        device: torch.device,
    ) -> Tensor:
        """(B, C, 1, h, w): a sample of the posterior times the scaling factor, or the latents
        given.
        """
        if image_latents is not None:
            return image_latents.to(device).expand(len(images), -1, -1, -1)[:, :, None]
        pixels = self.image_processor.preprocess(images, height=height, width=width)
        with self._safe_vae():
            posterior = self.vae.encode(pixels.to(device, self.vae.dtype)).latent_dist
        return (posterior.sample(generator) * self.vae.config.scaling_factor)[:, :, None]

    def _denoise(
        self,
        first: Tensor,
        num_frames: int,
        num_inference_steps: int,
        tensors: dict[str, Any],
        unet_inputs: UnetInputs,
        *,
        prior: FrameSimilarityPrior | None,
        generator: Generators,
        noise: Tensor | None,
        eta: float,
        guidance_rescale: float = 0.0,
        callback: Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]] | None = None,
        callback_inputs: Sequence[str] = (),
    ) -> Tensor:
        """Latents (B, C, F, h, w), index 0 being `first` bit by bit.

        Args:
            first: (B, C, 1, h, w).
            tensors: what a callback may see and replace, by name.
            unet_inputs: (step, timestep, model input, tensors) -> further arguments of the UNet.
            noise: (B, C, F, h, w) standard normal in place of the generator's.
        """
        iterations, steps = 1, num_inference_steps
        if self.free_init_enabled:
            iterations = self._free_init_num_iters
            if prior is not None and prior.t0 < 1:
                raise ValueError(
                    "FreeInit starts again from the schedule's end: it needs t0 = 1, not "
                    f"{prior.t0}"
                )
        if self.free_init_enabled or self._free_noise:
            noise = self._whole_noise(first, num_frames, generator, noise)
        later = first
        for iteration in range(iterations):
            if self.free_init_enabled and self._free_init_use_fast_sampling:
                steps = max(1, num_inference_steps * (iteration + 1) // iterations)
            # On the CPU: schedulers look up constants by them, and would wait for a GPU.
            self.scheduler.set_timesteps(steps, device="cpu")
            if iteration > 0:
                assert noise is not None
                later, timesteps = (
                    free_init_restart(self, later, noise[:, :, 1:], generator),
                    self.scheduler.timesteps,
                )
            elif prior is not None:
                latents, timesteps = prior.sample(
                    first[:, :, 0], num_frames, self.scheduler, generator, noise=noise
                )
                later = latents[:, :, 1:]
            else:
                later = plain_start(self.scheduler, first, num_frames, generator, noise)
                timesteps = self.scheduler.timesteps
            self._num_timesteps = len(timesteps)
            extra_step_kwargs = self.prepare_extra_step_kwargs(generator, eta)

            with (
                self.i2v_adapter.attached(self.unet),
                self.progress_bar(total=len(timesteps)) as progress_bar,
            ):
                for i, t in enumerate(timesteps):
                    if self.interrupt:
                        continue
                    # Schedulers that rescale their input must leave the clean frame alone.
                    model_input = torch.cat(
                        [first, self.scheduler.scale_model_input(later, t)], dim=2
                    )
                    if self.do_classifier_free_guidance:
                        model_input = torch.cat([model_input] * 2)
                    noise_pred = self.unet(
                        model_input, t, **unet_inputs(i, t, model_input, tensors)
                    ).sample[:, :, 1:]
                    if self.do_classifier_free_guidance:
                        noise_pred = guided_noise(noise_pred, self.guidance_scale, guidance_rescale)
                    later = self.scheduler.step(
                        noise_pred, t, later, **extra_step_kwargs
                    ).prev_sample
                    if callback is not None:
                        current = {**tensors, "latents": torch.cat([first, later], dim=2)}
                        changed = callback(
                            self, i, t, {name: current[name] for name in callback_inputs}
                        )
                        later = changed.get("latents", current["latents"])[:, :, 1:]
                        tensors = {
                            name: changed.get(name, value) for name, value in tensors.items()
                        }
                    progress_bar.update()
        return torch.cat([first, later], dim=2)

    def _whole_noise(
        self, first: Tensor, num_frames: int, generator: Generators, noise: Tensor | None
    ) -> Tensor | None:
        """Noise for all frames, drawn before anything else: FreeInit needs it again, FreeNoise
        arranges it.
        """
        batch, channels, _, height, width = first.shape
        if not self._free_noise:
            shape = (batch, channels, num_frames, height, width)
            return standard_normal(shape, generator, first.device) if noise is None else noise
        if isinstance(generator, list):
            raise ValueError(
                "FreeNoise shuffles frames with one generator: pass a single one, not a list"
            )
        size = (height * self.vae_scale_factor, width * self.vae_scale_factor)
        given = None if noise is None else noise.clone()
        return self._prepare_latents_free_noise(
            batch, channels, num_frames, *size, torch.float32, first.device, generator, given
        )

    def _finish(
        self,
        latents: Tensor,
        output_type: str,
        return_dict: bool,
        decode_chunk_size: int,
        match_colors: bool,
    ) -> AnimateDiffPipelineOutput | tuple[Any]:
        """The result of a call, from its latents (B, C, F, h, w)."""
        if output_type == "latent":
            video: Any = latents
        else:
            with self._safe_vae():
                decoded = self.decode_latents(latents.to(self.vae.dtype), decode_chunk_size)
            video = self.video_processor.postprocess_video(
                video=match_chroma(decoded) if match_colors else decoded, output_type=output_type
            )
        self.maybe_free_model_hooks()
        return AnimateDiffPipelineOutput(frames=video) if return_dict else (video,)

    @contextmanager
    def _safe_vae(self) -> Iterator[None]:
        """SDXL's VAE overflows in float16: in float32 within the block."""
        upcast = (
            self._vae_overflows_in_float16
            and self.vae.dtype == torch.float16
            and self.vae.config.force_upcast
        )
        if upcast:
            self.vae.to(torch.float32)
        try:
            yield
        finally:
            if upcast:
                self.vae.to(torch.float16)
