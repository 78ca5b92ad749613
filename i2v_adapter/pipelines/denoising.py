"""The denoising loop of all image-to-video pipelines: frames 1.. around a clean frame 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers import DiffusionPipeline
from torch import Tensor

from i2v_adapter.pipelines.noise import free_init_restart, guided_noise, plain_start
from i2v_adapter.prior import FrameSimilarityPrior, Generators, standard_normal

UnetInputs = Callable[[int, Any, Tensor, dict[str, Any]], dict[str, Any]]


class DenoisingMixin(DiffusionPipeline):
    """For a diffusers AnimateDiff pipeline with an `i2v_adapter`: denoises frames 1.., keeps frame
    0 clean and discards its prediction.

    Scheduler and its timesteps stay on the CPU, and the UNet has its own copy of the timesteps, so
    that no step waits for a GPU.
    """

    @property
    def _free_noise(self) -> bool:
        return getattr(self, "free_noise_enabled", False)  # SDXL's pipeline has none.

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
            timesteps_of_unet = timesteps.to(first.device)  # once: each copy waits for a GPU
            extra_step_kwargs = self.prepare_extra_step_kwargs(generator, eta)

            with (
                self.i2v_adapter.attached(self.unet),
                self.progress_bar(total=len(timesteps)) as progress_bar,
            ):
                for i, (t, t_unet) in enumerate(zip(timesteps, timesteps_of_unet, strict=True)):
                    if self.interrupt:
                        continue
                    # Schedulers that rescale their input must leave the clean frame alone.
                    model_input = torch.cat(
                        [first, self.scheduler.scale_model_input(later, t)], dim=2
                    )
                    if self.do_classifier_free_guidance:
                        model_input = torch.cat([model_input] * 2)
                    noise_pred = self.unet(
                        model_input, t_unet, **unet_inputs(i, t_unet, model_input, tensors)
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
