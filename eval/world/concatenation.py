"""The channel-concatenation family: the image's latent enters the UNet beside every noisy frame.

Convention, as in Stable Video Diffusion and DynamiCrafter: the clean latent of the image, in the noisy latents' scale,
is repeated for all frames and follows the noisy channels; there is no mask channel. All frames are noised and
generated, so frame 0 is a reconstruction of the image, not the image. Without the image (guidance's unconditional half,
training dropout) its channels are zero.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AnimateDiffPipeline, UNetMotionModel
from diffusers.image_processor import VaeImageProcessor
from diffusers.pipelines.animatediff.pipeline_output import AnimateDiffPipelineOutput
from torch import Tensor

from i2v_adapter.prior import standard_normal


def widen(unet: UNetMotionModel) -> UNetMotionModel:
    """A copy of `unet` that takes the image's latent besides: `conv_in` reads twice the channels.

    Every weight is copied, in float32, and the new columns of `conv_in` are zero: at first the copy does what `unet`
    does, whatever the image.
    """
    channels = unet.config.in_channels
    widened = UNetMotionModel.from_config(unet.config, in_channels=2 * channels)
    state = dict(unet.state_dict())
    narrow = state["conv_in.weight"]
    state["conv_in.weight"] = torch.cat([narrow, torch.zeros_like(narrow)], dim=1)
    widened.load_state_dict(state)
    return widened.train(unet.training)


def concatenate(noisy: Tensor, image: Tensor) -> Tensor:
    """(B, C, F, h, w) noisy frames and the image's latent (B, C, h, w) -> (B, 2 C, F, h, w)."""
    return torch.cat([noisy, image[:, :, None].expand_as(noisy)], dim=1)


class ConcatenationPipeline(AnimateDiffPipeline):
    """AnimateDiff on a UNet that :func:`widen` made and stage `concat` trained."""

    @torch.no_grad()
    def __call__(  # type: ignore[override]
        self,
        image: list[Any],
        prompt: list[str],
        num_frames: int = 16,
        num_inference_steps: int = 25,
        guidance_scale: float = 7.5,
        generator: list[torch.Generator] | None = None,
        output_type: str = "pil",
    ) -> AnimateDiffPipelineOutput:
        """Make one video for each image and prompt; all frames are generated.

        Args:
            image: B images of one size, as diffusers' image processor takes them.
            prompt: B prompts.
            num_frames: F, at most what the motion modules know.
            num_inference_steps: steps of the schedule.
            guidance_scale: above 1 classifier-free guidance, away from an empty prompt without the image; none at or
                below 1.
            generator: one for each video: first the draw from the image's posterior, then the noise.
            output_type: "pil", "np", "pt" or "latent", the last (B, C, F, h, w).

        Raises:
            ValueError: images, prompts and generators do not agree in number.
        """
        if len(image) != len(prompt) or (generator is not None and len(generator) != len(prompt)):
            given = "no" if generator is None else len(generator)
            raise ValueError(f"{len(image)} images, {len(prompt)} prompts, {given} generators: give as many of each")
        device = self._execution_device
        self._guidance_scale = guidance_scale
        guided = guidance_scale > 1
        text, no_text = self.encode_prompt(prompt, device, 1, guided)
        text = (torch.cat([no_text, text]) if guided else text).repeat_interleave(num_frames, dim=0)
        processor = VaeImageProcessor(self.vae_scale_factor, vae_latent_channels=self.vae.config.latent_channels)
        pixels = processor.preprocess(image).to(device, self.vae.dtype)
        clean = self.vae.encode(pixels).latent_dist.sample(generator) * self.vae.config.scaling_factor
        given = torch.cat([torch.zeros_like(clean), clean]) if guided else clean

        batch, channels, height, width = clean.shape
        self.scheduler.set_timesteps(num_inference_steps, device=device)
        shape = (batch, channels, num_frames, height, width)
        latents = standard_normal(shape, generator, device).to(clean.dtype) * self.scheduler.init_noise_sigma
        for t in self.progress_bar(self.scheduler.timesteps):
            noisy = self.scheduler.scale_model_input(torch.cat([latents] * 2) if guided else latents, t)
            predicted = self.unet(concatenate(noisy, given), t, encoder_hidden_states=text).sample
            if guided:
                without, conditional = predicted.chunk(2)
                predicted = without + guidance_scale * (conditional - without)
            latents = self.scheduler.step(predicted, t, latents).prev_sample
        if output_type == "latent":
            return AnimateDiffPipelineOutput(frames=latents)
        video = self.video_processor.postprocess_video(self.decode_latents(latents), output_type=output_type)
        return AnimateDiffPipelineOutput(frames=video)
