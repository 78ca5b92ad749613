"""One sampler for every family without the I2V adapter, so that families differ in what they
condition on alone.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import AnimateDiffPipeline
from diffusers.image_processor import VaeImageProcessor
from diffusers.pipelines.animatediff.pipeline_output import AnimateDiffPipelineOutput
from torch import Tensor

from eval.world.concatenation import concatenate
from i2v_adapter import FrameSimilarityPrior
from i2v_adapter.pipelines.content import content_embeds
from i2v_adapter.prior import standard_normal


class BaselinePipeline(AnimateDiffPipeline):
    """AnimateDiff that uses the image through the parts it was built with; all frames are noised
    and generated.

    - A content adapter, if one is loaded, is shown the image (an embedding in cross-attention).
    - A UNet of `eval.world.concatenation.widen` reads its latent beside every frame.
    - With a prior, all frames start from its noised latent.
    - With none of these the image is not used: text-to-video, as
      :class:`~diffusers.AnimateDiffPipeline`.

    Args:
        controlnet: optional; sees the noisy latents of each frame, without any image channels.
        vae, text_encoder, tokenizer, unet, motion_adapter, scheduler, feature_extractor,
            image_encoder: as in :class:`~diffusers.AnimateDiffPipeline`.
    """

    _optional_components: ClassVar[list[str]] = [
        *AnimateDiffPipeline._optional_components,
        "controlnet",
    ]

    def __init__(
        self,
        vae: Any,
        text_encoder: Any,
        tokenizer: Any,
        unet: Any,
        motion_adapter: Any,
        scheduler: Any,
        feature_extractor: Any = None,
        image_encoder: Any = None,
        controlnet: Any = None,
    ) -> None:
        super().__init__(
            vae,
            text_encoder,
            tokenizer,
            unet,
            motion_adapter,
            scheduler,
            feature_extractor,
            image_encoder,
        )
        self.register_modules(controlnet=controlnet)
        self.pixels = VaeImageProcessor(
            self.vae_scale_factor, vae_latent_channels=vae.config.latent_channels
        )

    @torch.no_grad()
    def __call__(  # type: ignore[override]
        self,
        image: list[np.ndarray],
        prompt: list[str],
        num_frames: int,
        num_inference_steps: int,
        guidance_scale: float,
        generator: list[torch.Generator],
        prior: FrameSimilarityPrior | None = None,
        conditioning_frames: list[np.ndarray] | None = None,
        without_image: bool = False,
        output_type: str = "np",
    ) -> AnimateDiffPipelineOutput:
        """Make one video of its image's size for each image and prompt.

        Args:
            image: B arrays uint8 (H, W, 3) of one size.
            prompt: B prompts.
            num_frames: F, at most what the motion modules know.
            num_inference_steps: steps of the whole schedule; a prior with t0 < 1 runs the last
                t0 share of them.
            guidance_scale: above 1 classifier-free guidance, away from an empty prompt without
                the image (zero pixels for the content adapter, zero channels for a widened UNet);
                none at or below 1.
            generator: one for each video: first the draw from the image's posterior, where its
                latent is used, then the prior's mask, then the noise.
            prior: start of all frames, its p for all videos or one for each; None starts from
                noise alone.
            conditioning_frames: F arrays uint8 (H, W, 3) for the ControlNet; the same for every
                video.
            without_image: leave a widened UNet's image channels at zero: what it still is as a
                text-to-video model.
            output_type: "np", "pil", "pt" or "latent", the last (B, C, F, h, w).

        Raises:
            ValueError: images, prompts and generators do not agree in number, or a ControlNet
                comes without frames.
        """
        if not len(image) == len(prompt) == len(generator):
            raise ValueError(
                f"{len(image)} images, {len(prompt)} prompts and {len(generator)} generators: give "
                "as many of each"
            )
        if (self.controlnet is None) != (conditioning_frames is None):
            raise ValueError(
                "a ControlNet and conditioning_frames go together: one of them is missing"
            )
        device = self._execution_device
        self._guidance_scale = guidance_scale
        guided = self.do_classifier_free_guidance
        text, no_text = self.encode_prompt(prompt, device, 1, guided)
        text = (torch.cat([no_text, text]) if guided else text).repeat_interleave(num_frames, dim=0)
        embeds = content_embeds(
            self, [rgb / np.float32(255) for rgb in image], None, None, len(image), device
        )
        added = None if embeds is None else {"image_embeds": embeds}

        channels = self.vae.config.latent_channels
        height, width = (side // self.vae_scale_factor for side in image[0].shape[:2])
        reads_image = self.unet.config.in_channels == 2 * channels
        shape = (len(image), channels, num_frames, height, width)
        clean = beside = torch.zeros((*shape[:2], height, width), dtype=text.dtype, device=device)
        if (reads_image and not without_image) or prior is not None:
            clean = self._encode(image, generator, device)
        if not without_image:
            beside = clean
        if guided:
            beside = torch.cat([torch.zeros_like(beside), beside])
        self.scheduler.set_timesteps(num_inference_steps, device="cpu")
        if prior is None:
            latents = (
                standard_normal(shape, generator, device).to(text.dtype)
                * self.scheduler.init_noise_sigma
            )
            timesteps = self.scheduler.timesteps
        else:
            started = prior.sample(clean, num_frames + 1, self.scheduler, generator)
            latents, timesteps = started.latents[:, :, 1:], started.timesteps

        of_unet = timesteps.to(device)
        for step, t in enumerate(self.progress_bar(timesteps)):
            now = of_unet[step]
            noisy = self.scheduler.scale_model_input(
                torch.cat([latents] * 2) if guided else latents, t
            )
            predicted = self.unet(
                concatenate(noisy, beside) if reads_image else noisy,
                now,
                encoder_hidden_states=text,
                added_cond_kwargs=added,
                **self._residuals(noisy, now, text, conditioning_frames),
            ).sample
            if guided:
                without, conditional = predicted.chunk(2)
                predicted = without + guidance_scale * (conditional - without)
            latents = self.scheduler.step(predicted, t, latents).prev_sample
        if output_type == "latent":
            return AnimateDiffPipelineOutput(frames=latents)
        video = self.video_processor.postprocess_video(
            self.decode_latents(latents), output_type=output_type
        )
        return AnimateDiffPipelineOutput(frames=video)

    def _encode(
        self, image: list[np.ndarray], generator: list[torch.Generator], device: torch.device
    ) -> Tensor:
        """(B, C, h, w): a sample of the posterior times the scaling factor, as `I2VAdapterPipeline`
        draws it.
        """
        pixels = self.pixels.preprocess(np.stack(image).astype(np.float32) / 255)
        posterior = self.vae.encode(pixels.to(device, self.vae.dtype)).latent_dist
        return posterior.sample(generator) * self.vae.config.scaling_factor

    def _residuals(
        self, noisy: Tensor, t: Any, text: Tensor, frames: list[np.ndarray] | None
    ) -> dict[str, Any]:
        if frames is None:
            return {}
        maps = torch.from_numpy(np.stack(frames).astype(np.float32) / 255).permute(0, 3, 1, 2)
        down, middle = self.controlnet(
            noisy.transpose(1, 2).flatten(0, 1),
            t,
            encoder_hidden_states=text,
            controlnet_cond=maps.to(noisy.device, noisy.dtype).repeat(len(noisy), 1, 1, 1),
            return_dict=False,
        )
        return {
            "down_block_additional_residuals": tuple(down),
            "mid_block_additional_residual": middle,
        }
