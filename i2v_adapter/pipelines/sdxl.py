"""Image-to-video with an SDXL base."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers import (
    AnimateDiffPipeline,
    AnimateDiffSDXLPipeline,
    AutoencoderKL,
    MotionAdapter,
    UNet2DConditionModel,
    UNetMotionModel,
)
from diffusers.pipelines.animatediff.pipeline_output import AnimateDiffPipelineOutput
from torch import Tensor
from transformers import (
    CLIPImageProcessor,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
)

from i2v_adapter.adapter import I2VAdapter
from i2v_adapter.pipelines.content import content_embeds, content_frame_scale
from i2v_adapter.pipelines.first_frame import DEFAULT_PRIOR, FirstFrameMixin
from i2v_adapter.pipelines.inputs import PipelineImage, match_inputs
from i2v_adapter.pipelines.motion_unet import motion_unet
from i2v_adapter.prior import FrameSimilarityPrior


class I2VAdapterSDXLPipeline(FirstFrameMixin, AnimateDiffSDXLPipeline):
    """:class:`~diffusers.AnimateDiffSDXLPipeline` with an input image as its first frame.

    The other components are those of :class:`~diffusers.AnimateDiffSDXLPipeline`; `motion_adapter`
    is not needed if `unet` is a motion UNet.

    Args:
        i2v_adapter: made for this UNet; or none, and `load_i2v_adapter` later.

    Examples:
        >>> from PIL import Image
        >>> from i2v_adapter.tiny import tiny_sdxl_components  # random weights
        >>> pipe = I2VAdapterSDXLPipeline(**tiny_sdxl_components())
        >>> pipe.set_progress_bar_config(disable=True)
        >>> video = pipe(Image.new("RGB", (16, 16)), "a cat", num_frames=4, num_inference_steps=2)
        >>> len(video.frames[0])
        4
    """

    _optional_components = [  # noqa: RUF012
        *AnimateDiffSDXLPipeline._optional_components,
        "motion_adapter",
        "i2v_adapter",
    ]
    _vae_overflows_in_float16 = True
    decode_latents = AnimateDiffPipeline.decode_latents

    def __init__(
        self,
        vae: AutoencoderKL,
        text_encoder: CLIPTextModel,
        text_encoder_2: CLIPTextModelWithProjection,
        tokenizer: CLIPTokenizer,
        tokenizer_2: CLIPTokenizer,
        unet: UNet2DConditionModel | UNetMotionModel,
        motion_adapter: MotionAdapter,
        scheduler: Any,
        i2v_adapter: I2VAdapter | None = None,
        image_encoder: CLIPVisionModelWithProjection | None = None,
        feature_extractor: CLIPImageProcessor | None = None,
        force_zeros_for_empty_prompt: bool = True,
    ) -> None:
        super().__init__(
            vae,
            text_encoder,
            text_encoder_2,
            tokenizer,
            tokenizer_2,
            motion_unet(unet, motion_adapter),
            motion_adapter,
            scheduler,
            image_encoder,
            feature_extractor,
            force_zeros_for_empty_prompt,
        )
        self._add_i2v_adapter(i2v_adapter)

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
        prompt_2: str | list[str] | None = None,
        negative_prompt_2: str | list[str] | None = None,
        prompt_embeds: Tensor | None = None,
        negative_prompt_embeds: Tensor | None = None,
        pooled_prompt_embeds: Tensor | None = None,
        negative_pooled_prompt_embeds: Tensor | None = None,
        ip_adapter_image: PipelineImage | list[Any] | None = None,
        ip_adapter_image_embeds: list[Tensor] | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        cross_attention_kwargs: dict[str, Any] | None = None,
        guidance_rescale: float = 0.0,
        original_size: tuple[int, int] | None = None,
        crops_coords_top_left: tuple[int, int] = (0, 0),
        target_size: tuple[int, int] | None = None,
        clip_skip: int | None = None,
        callback_on_step_end: Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]
        | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        decode_chunk_size: int = 16,
        image_latents: Tensor | None = None,
        ip_adapter_frame_scale: Sequence[float] | None = None,
        match_colors: bool = False,
        guidance_interval: tuple[float, float] | None = None,
    ) -> AnimateDiffPipelineOutput | tuple[Any]:
        """Make videos that start with `image` and follow `prompt`.

        The second prompt, the pooled embeddings, the sizes and `guidance_rescale` are those of
        :class:`~diffusers.AnimateDiffSDXLPipeline`; every other argument is that of
        :class:`I2VAdapterPipeline`. A float16 VAE works in float32.

        Returns:
            as :class:`I2VAdapterPipeline`.

        Raises:
            ValueError: an argument is missing or does not fit the others; the message names it.
        """
        images, height, width = self._first_frames(image, image_latents, num_frames, height, width)
        self.check_inputs(
            prompt,
            prompt_2,
            height,
            width,
            negative_prompt,
            negative_prompt_2,
            prompt_embeds,
            negative_prompt_embeds,
            pooled_prompt_embeds,
            negative_pooled_prompt_embeds,
            callback_on_step_end_tensor_inputs,
        )
        images, prompt, negative_prompt, batch = match_inputs(
            images, prompt, negative_prompt, prompt_embeds
        )
        device = self._start(
            batch,
            generator,
            guidance_scale=guidance_scale,
            clip_skip=clip_skip,
            cross_attention_kwargs=cross_attention_kwargs,
        )
        self._guidance_rescale = guidance_rescale
        self._denoising_end = None
        tensors = self._text(
            (prompt, prompt_2, negative_prompt, negative_prompt_2),
            (
                prompt_embeds,
                negative_prompt_embeds,
                pooled_prompt_embeds,
                negative_pooled_prompt_embeds,
            ),
            num_frames,
            device,
        )
        dtype = tensors["prompt_embeds"].dtype
        time_ids = self._get_add_time_ids(
            original_size or (height, width),
            crops_coords_top_left,
            target_size or (height, width),
            dtype=dtype,
            text_encoder_projection_dim=tensors["add_text_embeds"].shape[-1],
        ).to(device)
        tensors["add_time_ids"] = time_ids.repeat(len(tensors["add_text_embeds"]), 1)
        image_embeds = content_embeds(
            self,
            images if image is not None else None,
            ip_adapter_image,
            ip_adapter_image_embeds,
            batch,
            device,
        )
        tensors["image_embeds"] = image_embeds
        first = self._encode_first_frame(images, image_latents, height, width, generator, device)

        def unet_inputs(
            step: int, t: Any, model_input: Tensor, tensors: dict[str, Any]
        ) -> dict[str, Any]:
            added = {"text_embeds": tensors["add_text_embeds"], "time_ids": tensors["add_time_ids"]}
            return {
                "encoder_hidden_states": tensors["prompt_embeds"],
                "cross_attention_kwargs": cross_attention_kwargs,
                "added_cond_kwargs": added
                if image_embeds is None
                else {**added, "image_embeds": tensors["image_embeds"]},
            }

        with content_frame_scale(self.unet, ip_adapter_frame_scale, num_frames):
            latents = self._denoise(
                first.to(dtype),
                num_frames,
                num_inference_steps,
                tensors,
                unet_inputs,
                prior=prior,
                generator=generator,
                noise=latents,
                eta=eta,
                guidance_rescale=guidance_rescale,
                callback=callback_on_step_end,
                callback_inputs=callback_on_step_end_tensor_inputs,
                guidance_interval=guidance_interval,
            )
        return self._finish(latents, output_type, return_dict, decode_chunk_size, match_colors)

    def _text(
        self,
        prompts: tuple[Any, Any, Any, Any],
        embeds: tuple[Tensor | None, ...],
        num_frames: int,
        device: torch.device,
    ) -> dict[str, Any]:
        """Embeddings of the prompts by the names that callbacks know; with guidance the
        unconditional half first.
        """
        prompt, prompt_2, negative_prompt, negative_prompt_2 = prompts
        given = dict(
            zip(
                (
                    "prompt_embeds",
                    "negative_prompt_embeds",
                    "pooled_prompt_embeds",
                    "negative_pooled_prompt_embeds",
                ),
                embeds,
                strict=True,
            )
        )
        embedded, negative, pooled, negative_pooled = self.encode_prompt(
            prompt,
            prompt_2,
            device,
            1,
            self.do_classifier_free_guidance,
            negative_prompt,
            negative_prompt_2,
            **given,
            lora_scale=(self.cross_attention_kwargs or {}).get("scale"),
            clip_skip=self.clip_skip,
        )
        if self.do_classifier_free_guidance:
            embedded, pooled = torch.cat([negative, embedded]), torch.cat([negative_pooled, pooled])
        return {
            "prompt_embeds": embedded.repeat_interleave(num_frames, dim=0).to(device),
            "negative_prompt_embeds": negative,
            "add_text_embeds": pooled.to(device),
            "negative_pooled_prompt_embeds": negative_pooled,
        }
