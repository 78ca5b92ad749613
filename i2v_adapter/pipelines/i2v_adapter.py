"""Text-guided image-to-video with an SD 1.5-like base, a motion adapter and the I2V adapter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

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
from diffusers.pipelines.animatediff.pipeline_output import AnimateDiffPipelineOutput
from torch import Tensor
from transformers import (
    CLIPImageProcessor,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
)

from i2v_adapter.adapter import I2VAdapter
from i2v_adapter.pipelines.compatibility import inner_text_model, middle_without_motion
from i2v_adapter.pipelines.content import content_embeds, content_frame_scale
from i2v_adapter.pipelines.first_frame import DEFAULT_PRIOR, FirstFrameMixin
from i2v_adapter.pipelines.inputs import PipelineImage, match_inputs
from i2v_adapter.prior import FrameSimilarityPrior


class I2VAdapterPipeline(FirstFrameMixin, AnimateDiffPipeline):
    """AnimateDiff with an input image as its first frame (Guo et al., SIGGRAPH 2024).

    Loads, saves, takes LoRA, textual inversion and IP-Adapter (here the content adapter) as
    :class:`~diffusers.AnimateDiffPipeline` does; `from_pretrained` of a text-to-video folder or hub
    id takes `motion_adapter=` and `i2v_adapter=` in addition. The adapter is attached to the UNet
    during calls only, so other pipelines may share the UNet.

    The other components are those of :class:`~diffusers.AnimateDiffPipeline`; `motion_adapter` is
    not needed if `unet` is a motion UNet.

    Args:
        i2v_adapter: made for this UNet; or none, and `load_i2v_adapter` later.

    Examples:
        >>> from PIL import Image
        >>> from i2v_adapter.tiny import tiny_components  # random weights: the video is noise
        >>> pipe = I2VAdapterPipeline(**tiny_components())
        >>> pipe.set_progress_bar_config(disable=True)
        >>> image, seed = Image.new("RGB", (16, 16), "red"), torch.manual_seed(0)
        >>> video = pipe(image, "a cat", num_frames=4, num_inference_steps=2, generator=seed)
        >>> len(video.frames[0]), video.frames[0][0].size
        (4, (16, 16))
    """

    _optional_components = [*AnimateDiffPipeline._optional_components, "i2v_adapter"]  # noqa: RUF012

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
        i2v_adapter: I2VAdapter | None = None,
        feature_extractor: CLIPImageProcessor | None = None,
        image_encoder: CLIPVisionModelWithProjection | None = None,
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
        self._add_i2v_adapter(i2v_adapter)

    def enable_free_noise(self, *args: Any, **kwargs: Any) -> None:
        """As in diffusers, for pipelines whose `motion_adapter` is there: its configuration is
        read.
        """
        if self.motion_adapter is None:
            raise ValueError(
                "FreeNoise reads the motion adapter's configuration: build the pipeline with one"
            )
        super().enable_free_noise(*args, **kwargs)

    def disable_free_noise(self) -> None:
        """As in diffusers, also where the mid block has no motion modules."""
        with middle_without_motion(self.unet):
            super().disable_free_noise()

    @torch.no_grad()
    def __call__(  # type: ignore[override]
        self,
        image: PipelineImage | list[PipelineImage] | None = None,
        prompt: str | list[str] | dict[int, str] | None = None,
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
        callback_on_step_end: Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]
        | None = None,
        callback_on_step_end_tensor_inputs: list[str] = ["latents"],  # noqa: B006
        decode_chunk_size: int = 16,
        image_latents: Tensor | None = None,
        ip_adapter_frame_scale: Sequence[float] | None = None,
        match_colors: bool = False,
        guidance_interval: tuple[float, float] | None = None,
    ) -> AnimateDiffPipelineOutput | tuple[Any]:
        """Make videos that start with `image` and follow `prompt`.

        Frame 0 is the image: its latent, a sample of the VAE's posterior (as in the official code,
        but drawn from `generator`), stays clean in every model input; the prediction for it is
        discarded, and only frames 1.. are stepped by the scheduler. Frame 0 of the result is that
        latent decoded, not the image's own pixels.

        Args:
            image: a PIL image, an array (H, W, 3) or a tensor (3, H, W), uint8 or in [0, 1], or
                a list or batch.
            prompt: one, or one per image; a single image or prompt is used with all of the
                other. With FreeNoise also a mapping of frame numbers to prompts, for one video.
            num_frames: F >= 2, the image included; at most what the motion modules know, or any
                with FreeNoise.
            height, width: in pixels, divisible by 8, to which images are resized; by default
                the first image's, rounded down.
            num_inference_steps: steps of the whole schedule; a prior with t0 < 1 runs the last
                t0 share of them.
            guidance_scale: classifier-free guidance above 1, none at or below 1.
            negative_prompt: one, or one per prompt.
            prior: start of the generated frames, its p for all videos or one for each; None
                starts from noise alone.
            eta: of DDIM.
            generator: one, or one per video; with one each, a video does not depend on the
                others of its batch.
            latents: (B, C, F, h, w) standard normal noise in place of the generator's; the
                prior is applied on top.
            prompt_embeds, negative_prompt_embeds: (B, L, D), in place of the prompts.
            ip_adapter_image: what a loaded content adapter sees, by default `image`. One image,
                or one per video; with several content adapters a list with an entry (image or list)
                for each.
            ip_adapter_image_embeds: one tensor per content adapter, (R, images, ...) with R = 1
                or B, twice that with guidance, the unconditional half first.
            output_type: "pil", "np", "pt" or "latent"; the last gives (B, C, F, h, w), index 0
                being the image's latent.
            return_dict: False gives a tuple.
            callback_on_step_end: as in :class:`~diffusers.AnimateDiffPipeline`, like every
                argument not named here; it cannot change frame 0.
            image_latents: (B, C, h, w) clean and scaled, in place of the encoded images; the
                last frame of an earlier video's latents continues it.
            ip_adapter_frame_scale: F factors on the content adapter's scale, one for each frame.
            match_colors: give the decoded frames the colour histograms of frame 0, as the
                official code does.
            guidance_interval: shares (start, end) of the steps that have guidance; the others run
                the conditional half alone, in half the time (arXiv 2404.07724). None: all.

        Returns:
            `frames`: for "pil" a list of F images per video; for "np" (B, F, H, W, 3) and for
                "pt" (B, F, 3, H, W), in
            [0, 1].

        Raises:
            ValueError: an argument is missing or does not fit the others; the message names it.
        """
        images, height, width = self._first_frames(image, image_latents, num_frames, height, width)
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
        prompts_of_frames = prompt if isinstance(prompt, dict) else None
        if prompts_of_frames is not None:
            if not self._free_noise or len(images) > 1:
                raise ValueError(
                    "prompt is a mapping of frames to prompts: that takes FreeNoise and a single "
                    "image"
                )
            prompt = [""]
        assert not isinstance(prompt, dict)
        images, prompt, negative_prompt, batch = match_inputs(
            images, prompt, negative_prompt, prompt_embeds
        )
        inner_text_model(self.text_encoder)
        device = self._start(
            batch,
            generator,
            guidance_scale=guidance_scale,
            clip_skip=clip_skip,
            cross_attention_kwargs=cross_attention_kwargs,
        )
        lora_scale = (cross_attention_kwargs or {}).get("scale")

        if prompts_of_frames is not None:
            prompt_embeds, negative_prompt_embeds = self._encode_prompt_free_noise(
                prompts_of_frames,
                num_frames,
                device,
                1,
                self.do_classifier_free_guidance,
                negative_prompt[0] if negative_prompt else None,
                lora_scale=lora_scale,
                clip_skip=clip_skip,
            )
        else:
            prompt_embeds, negative_prompt_embeds = self.encode_prompt(
                prompt,
                device,
                1,
                self.do_classifier_free_guidance,
                negative_prompt,
                prompt_embeds=prompt_embeds,
                negative_prompt_embeds=negative_prompt_embeds,
                lora_scale=lora_scale,
                clip_skip=clip_skip,
            )
            if self.do_classifier_free_guidance:
                prompt_embeds = torch.cat([negative_prompt_embeds, prompt_embeds])
            prompt_embeds = prompt_embeds.repeat_interleave(num_frames, dim=0)
        image_embeds = content_embeds(
            self,
            images if image is not None else None,
            ip_adapter_image,
            ip_adapter_image_embeds,
            batch,
            device,
        )
        first = self._encode_first_frame(images, image_latents, height, width, generator, device)

        def unet_inputs(
            step: int, t: Any, model_input: Tensor, tensors: dict[str, Any]
        ) -> dict[str, Any]:
            return {
                "encoder_hidden_states": tensors["prompt_embeds"],
                "cross_attention_kwargs": cross_attention_kwargs,
                "added_cond_kwargs": None
                if image_embeds is None
                else {"image_embeds": tensors["image_embeds"]},
                **self._residuals(step, t, model_input, tensors["prompt_embeds"]),
            }

        with content_frame_scale(self.unet, ip_adapter_frame_scale, num_frames):
            latents = self._denoise(
                first.to(prompt_embeds.dtype),
                num_frames,
                num_inference_steps,
                {
                    "prompt_embeds": prompt_embeds,
                    "negative_prompt_embeds": negative_prompt_embeds,
                    "image_embeds": image_embeds,
                },
                unet_inputs,
                prior=prior,
                generator=generator,
                noise=latents,
                eta=eta,
                callback=callback_on_step_end,
                callback_inputs=callback_on_step_end_tensor_inputs,
                guidance_interval=guidance_interval,
            )
        return self._finish(latents, output_type, return_dict, decode_chunk_size, match_colors)

    def _residuals(
        self, step: int, t: Any, model_input: Tensor, prompt_embeds: Tensor
    ) -> dict[str, Any]:
        """What a relative adds to the UNet's blocks at this step."""
        return {}
