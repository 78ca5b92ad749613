"""Text-guided image-to-video with an SD 1.5-like base, a motion adapter and the I2V adapter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from diffusers import (
    AnimateDiffPipeline,
    AutoencoderKL,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    LMSDiscreteScheduler,
    MotionAdapter,
    PNDMScheduler,
    UNet2DConditionModel,
    UNetMotionModel,
)
from diffusers.image_processor import VaeImageProcessor
from diffusers.pipelines.animatediff.pipeline_output import AnimateDiffPipelineOutput
from torch import Tensor
from transformers import CLIPImageProcessor, CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

from i2v_adapter.adapter import I2VAdapter
from i2v_adapter.pipelines.content import content_embeds
from i2v_adapter.pipelines.inputs import PipelineImage, image_list, match_inputs
from i2v_adapter.prior import FrameSimilarityPrior, Generators, standard_normal

DEFAULT_PRIOR = FrameSimilarityPrior()


class I2VAdapterPipeline(AnimateDiffPipeline):
    """AnimateDiff with an input image as its first frame (Guo et al., SIGGRAPH 2024).

    Loads, saves, takes LoRA, textual inversion and IP-Adapter (here the content adapter) as
    :class:`~diffusers.AnimateDiffPipeline` does; `from_pretrained` of a text-to-video folder or hub id takes
    `motion_adapter=` and `i2v_adapter=` in addition. The adapter is attached to the UNet during calls only, so other
    pipelines may share the UNet.

    Args:
        vae, text_encoder, tokenizer, unet, motion_adapter, scheduler, feature_extractor, image_encoder: as in
            :class:`~diffusers.AnimateDiffPipeline`; `motion_adapter` is not needed if `unet` is a motion UNet.
        i2v_adapter: made for this UNet.
    """

    _exclude_from_cpu_offload: ClassVar[list[str]] = ["i2v_adapter"]

    def __init__(
        self,
        vae: AutoencoderKL,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        unet: UNet2DConditionModel | UNetMotionModel,
        motion_adapter: MotionAdapter,
        scheduler: DDIMScheduler
        | PNDMScheduler
        | LMSDiscreteScheduler
        | EulerDiscreteScheduler
        | EulerAncestralDiscreteScheduler
        | DPMSolverMultistepScheduler,
        i2v_adapter: I2VAdapter,
        feature_extractor: CLIPImageProcessor | None = None,
        image_encoder: CLIPVisionModelWithProjection | None = None,
    ) -> None:
        super().__init__(
            vae, text_encoder, tokenizer, unet, motion_adapter, scheduler, feature_extractor, image_encoder
        )
        if not isinstance(i2v_adapter, I2VAdapter):
            raise ValueError(f"i2v_adapter must be an I2VAdapter, but is {type(i2v_adapter).__name__}")
        self.register_modules(i2v_adapter=i2v_adapter)
        self.image_processor = VaeImageProcessor(
            vae_scale_factor=self.vae_scale_factor, vae_latent_channels=self.vae.config.latent_channels
        )

    @torch.no_grad()
    def __call__(  # type: ignore[override]
        self,
        image: PipelineImage | list[PipelineImage] | None = None,
        prompt: str | list[str] | None = None,
        num_frames: int = 16,
        height: int | None = None,
        width: int | None = None,
        num_inference_steps: int = 25,
        guidance_scale: float = 7.5,
        negative_prompt: str | list[str] | None = None,
        prior: FrameSimilarityPrior | None = DEFAULT_PRIOR,
        eta: float = 0.0,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: Tensor | None = None,
        prompt_embeds: Tensor | None = None,
        negative_prompt_embeds: Tensor | None = None,
        ip_adapter_image: PipelineImage | list[Any] | None = None,
        ip_adapter_image_embeds: list[Tensor] | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        cross_attention_kwargs: dict[str, Any] | None = None,
        clip_skip: int | None = None,
        callback_on_step_end: Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]] | None = None,
        callback_on_step_end_tensor_inputs: list[str] = ["latents"],  # noqa: B006
        decode_chunk_size: int = 16,
    ) -> AnimateDiffPipelineOutput | tuple[Any]:
        """Make videos that start with `image` and follow `prompt`.

        Frame 0 is the image: its latent, a sample of the VAE's posterior (as in the official code, but drawn from
        `generator`), stays clean in every model input; the prediction for it is discarded, and only frames 1.. are
        stepped by the scheduler. Frame 0 of the result is that latent decoded, not the image's own pixels.

        Args:
            image: a PIL image, an array (H, W, 3) or a tensor (3, H, W), uint8 or in [0, 1], or a list or batch.
            prompt: one, or one per image; a single image or prompt is used with all of the other.
            num_frames: F >= 2, the image included.
            height, width: in pixels, divisible by 8, to which images are resized; by default the first image's,
                rounded down.
            num_inference_steps: steps of the whole schedule; a prior with t0 < 1 runs the last t0 share of them.
            guidance_scale: classifier-free guidance above 1, none at or below 1.
            negative_prompt: one, or one per prompt.
            prior: start of the generated frames; None starts from noise alone.
            eta: of DDIM.
            generator: one, or one per video; with one each, a video does not depend on the others of its batch.
            latents: (B, C, F, h, w) standard normal noise in place of the generator's; the prior is applied on top.
            prompt_embeds, negative_prompt_embeds: (B, L, D), in place of the prompts.
            ip_adapter_image: what a loaded content adapter sees, by default `image`. One image, or one per video; with
                several content adapters a list with an entry (image or list) for each.
            ip_adapter_image_embeds: one tensor per content adapter, (R, images, ...) with R = 1 or B, twice that with
                guidance, the unconditional half first.
            output_type: "pil", "np", "pt" or "latent"; the last gives (B, C, F, h, w), index 0 being the image's
                latent.
            return_dict: False gives a tuple.
            cross_attention_kwargs, clip_skip, callback_on_step_end, callback_on_step_end_tensor_inputs,
                decode_chunk_size: as in :class:`~diffusers.AnimateDiffPipeline`. A callback cannot change frame 0.

        Returns:
            `frames`: for "pil" a list of F images per video; for "np" (B, F, H, W, 3) and for "pt" (B, F, 3, H, W), in
            [0, 1].

        Raises:
            ValueError: an argument is missing or does not fit the others; the message names it.
        """
        if image is None:
            raise ValueError("image is missing: pass the first frame of the video as image=")
        max_frames = self.unet.config.motion_max_seq_length
        if not 2 <= num_frames <= max_frames:
            raise ValueError(f"num_frames must lie in 2..{max_frames} for this motion UNet, but is {num_frames}")
        if self.free_init_enabled or self.free_noise_enabled:
            raise ValueError(
                "FreeInit and FreeNoise are not supported: disable_free_init() / disable_free_noise() first"
            )
        images = image_list(image)
        height, width = self.image_processor.get_default_height_width(images[0], height, width)
        self.check_inputs(
            prompt,
            height,
            width,
            None,
            negative_prompt,
            prompt_embeds,
            negative_prompt_embeds,
            ip_adapter_image,
            ip_adapter_image_embeds,
            callback_on_step_end_tensor_inputs,
        )
        images, prompt, negative_prompt, batch = match_inputs(images, prompt, negative_prompt, prompt_embeds)
        if isinstance(generator, list) and len(generator) != batch:
            raise ValueError(f"{len(generator)} generators were given for {batch} videos: give one, or one for each")

        self._guidance_scale = guidance_scale
        self._clip_skip = clip_skip
        self._cross_attention_kwargs = cross_attention_kwargs
        self._interrupt = False
        device = self._execution_device

        prompt_embeds, negative_prompt_embeds = self.encode_prompt(
            prompt,
            device,
            1,
            self.do_classifier_free_guidance,
            negative_prompt,
            prompt_embeds=prompt_embeds,
            negative_prompt_embeds=negative_prompt_embeds,
            lora_scale=(cross_attention_kwargs or {}).get("scale"),
            clip_skip=clip_skip,
        )
        if self.do_classifier_free_guidance:
            prompt_embeds = torch.cat([negative_prompt_embeds, prompt_embeds])
        prompt_embeds = prompt_embeds.repeat_interleave(num_frames, dim=0)
        image_embeds = content_embeds(self, images, ip_adapter_image, ip_adapter_image_embeds, batch, device)

        first = self._encode_first_frame(images, height, width, generator, device).to(prompt_embeds.dtype)
        self.scheduler.set_timesteps(num_inference_steps, device=device)
        if prior is not None:
            latents, timesteps = prior.sample(first[:, :, 0], num_frames, self.scheduler, generator, noise=latents)
        else:
            latents, timesteps = self._noise_start(first, num_frames, generator, latents), self.scheduler.timesteps
        later = latents[:, :, 1:]
        self._num_timesteps = len(timesteps)
        extra_step_kwargs = self.prepare_extra_step_kwargs(generator, eta)
        added_cond_kwargs = None if image_embeds is None else {"image_embeds": image_embeds}

        with self.i2v_adapter.attached(self.unet), self.progress_bar(total=len(timesteps)) as progress_bar:
            for i, t in enumerate(timesteps):
                if self.interrupt:
                    continue
                # Schedulers that rescale their input must leave the clean frame alone.
                model_input = torch.cat([first, self.scheduler.scale_model_input(later, t)], dim=2)
                if self.do_classifier_free_guidance:
                    model_input = torch.cat([model_input] * 2)
                noise_pred = self.unet(
                    model_input,
                    t,
                    encoder_hidden_states=prompt_embeds,
                    cross_attention_kwargs=cross_attention_kwargs,
                    added_cond_kwargs=added_cond_kwargs,
                ).sample[:, :, 1:]
                if self.do_classifier_free_guidance:
                    unconditional, conditional = noise_pred.chunk(2)
                    noise_pred = unconditional + guidance_scale * (conditional - unconditional)
                later = self.scheduler.step(noise_pred, t, later, **extra_step_kwargs).prev_sample
                if callback_on_step_end is not None:
                    current = {
                        "latents": torch.cat([first, later], dim=2),
                        "prompt_embeds": prompt_embeds,
                        "negative_prompt_embeds": negative_prompt_embeds,
                    }
                    changed = callback_on_step_end(
                        self, i, t, {name: current[name] for name in callback_on_step_end_tensor_inputs}
                    )
                    later = changed.get("latents", current["latents"])[:, :, 1:]
                    prompt_embeds = changed.get("prompt_embeds", prompt_embeds)
                progress_bar.update()

        latents = torch.cat([first, later], dim=2)
        if output_type == "latent":
            video: Any = latents
        else:
            decoded = self.decode_latents(latents.to(self.vae.dtype), decode_chunk_size)
            video = self.video_processor.postprocess_video(video=decoded, output_type=output_type)
        self.maybe_free_model_hooks()
        return AnimateDiffPipelineOutput(frames=video) if return_dict else (video,)

    def _encode_first_frame(
        self, images: list[PipelineImage], height: int, width: int, generator: Generators, device: torch.device
    ) -> Tensor:
        """(B, C, 1, h, w): a sample of the posterior times the scaling factor."""
        pixels = self.image_processor.preprocess(images, height=height, width=width)
        posterior = self.vae.encode(pixels.to(device, self.vae.dtype)).latent_dist
        return (posterior.sample(generator) * self.vae.config.scaling_factor)[:, :, None]

    def _noise_start(self, first: Tensor, num_frames: int, generator: Generators, noise: Tensor | None) -> Tensor:
        batch, channels, _, height, width = first.shape
        shape = (batch, channels, num_frames, height, width)
        if noise is None:
            later_shape = (batch, channels, num_frames - 1, height, width)
            later = standard_normal(later_shape, generator, first.device)
        elif noise.shape == shape:
            later = noise[:, :, 1:].to(first.device)
        else:
            raise ValueError(f"latents must have shape {shape}, but have {tuple(noise.shape)}")
        return torch.cat([first, (later * self.scheduler.init_noise_sigma).to(first.dtype)], dim=2)
