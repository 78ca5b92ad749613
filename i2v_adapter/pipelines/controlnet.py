"""Image-to-video with ControlNets on an SD 1.5-like base: the structure of every frame is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import (
    ControlNetModel,
    MotionAdapter,
    MultiControlNetModel,
    UNet2DConditionModel,
    UNetMotionModel,
)
from diffusers.image_processor import VaeImageProcessor
from diffusers.pipelines.animatediff.pipeline_output import AnimateDiffPipelineOutput
from diffusers.schedulers import KarrasDiffusionSchedulers
from torch import Tensor
from transformers import (
    CLIPImageProcessor,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
)

from i2v_adapter.adapter import I2VAdapter
from i2v_adapter.pipelines.i2v_adapter import I2VAdapterPipeline
from i2v_adapter.pipelines.inputs import PipelineImage, image_list


@dataclass
class _Control:
    """What one call asks of the ControlNets: conditioning of all frames for each net, and when it
    acts.
    """

    frames: list[list[PipelineImage]]
    scales: list[float]
    start: float
    end: float
    guess_mode: bool
    prepared: list[Tensor] | None = None


class I2VAdapterControlNetPipeline(I2VAdapterPipeline):
    """:class:`I2VAdapterPipeline` with ControlNets, one or several
    (:class:`~diffusers.AnimateDiffControlNetPipeline`).

    The other components are those of :class:`I2VAdapterPipeline`.

    Args:
        controlnet: a ControlNet, or a list of them.

    Examples:
        >>> from PIL import Image
        >>> from i2v_adapter.tiny import tiny_components, tiny_controlnet  # random weights
        >>> pipe = I2VAdapterControlNetPipeline(**tiny_components(), controlnet=tiny_controlnet())
        >>> pipe.set_progress_bar_config(disable=True)
        >>> image = Image.new("RGB", (16, 16))
        >>> poses = [image] * 4  # what the ControlNet reads, one for each frame
        >>> video = pipe(image, "a cat", 4, conditioning_frames=poses, num_inference_steps=2)
        >>> len(video.frames[0])
        4
    """

    def __init__(
        self,
        vae: Any,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        unet: UNet2DConditionModel | UNetMotionModel,
        motion_adapter: MotionAdapter,
        controlnet: ControlNetModel
        | list[ControlNetModel]
        | tuple[ControlNetModel]
        | MultiControlNetModel,
        scheduler: KarrasDiffusionSchedulers,
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
            i2v_adapter,
            feature_extractor,
            image_encoder,
        )
        several = isinstance(controlnet, (list, tuple))
        self.register_modules(
            controlnet=MultiControlNetModel(controlnet) if several else controlnet
        )
        self.control_image_processor = VaeImageProcessor(
            vae_scale_factor=self.vae_scale_factor, do_convert_rgb=True, do_normalize=False
        )
        self._control: _Control | None = None

    def __call__(  # type: ignore[override]
        self,
        image: PipelineImage | list[PipelineImage] | None = None,
        prompt: str | list[str] | dict[int, str] | None = None,
        num_frames: int = 16,
        height: int | None = None,
        width: int | None = None,
        *,
        conditioning_frames: list[Any],
        controlnet_conditioning_scale: float | Sequence[float] = 1.0,
        control_guidance_start: float = 0.0,
        control_guidance_end: float = 1.0,
        guess_mode: bool = False,
        **options: Any,
    ) -> AnimateDiffPipelineOutput | tuple[Any]:
        """Make videos that start with `image`, follow `prompt`, and have the structure of
        `conditioning_frames`.

        Args:
            image, prompt, num_frames, height, width: as in :class:`I2VAdapterPipeline`; the
                ControlNets see the clean frame 0 as the UNet does.
            conditioning_frames: F images, that of frame 0 included, resized to the video; with
                several ControlNets a list of F images for each. The same for every video of a
                batch.
            controlnet_conditioning_scale: for all ControlNets, or one each.
            control_guidance_start, control_guidance_end: share of the steps at which the
                ControlNets begin and cease.
            guess_mode: as in diffusers: the unconditional half goes without them.
            **options: of :meth:`I2VAdapterPipeline.__call__`.

        Raises:
            ValueError: an argument does not fit the others; the message names it.
        """
        nets = self._nets()
        several = len(nets) > 1 or isinstance(self.controlnet, MultiControlNetModel)
        frames = conditioning_frames if several else [conditioning_frames]
        if len(frames) != len(nets):
            raise ValueError(
                f"conditioning_frames has {len(frames)} lists for {len(nets)} ControlNets: give "
                "one each"
            )
        prepared = [image_list(entries, "conditioning_frames") for entries in frames]
        for entries in prepared:
            if len(entries) != num_frames:
                raise ValueError(
                    f"conditioning_frames has {len(entries)} images for {num_frames} frames"
                )
        scale = controlnet_conditioning_scale
        scales = (
            [float(scale)] * len(nets)
            if isinstance(scale, (int, float))
            else [float(value) for value in scale]
        )
        if len(scales) != len(nets):
            raise ValueError(
                f"controlnet_conditioning_scale has {len(scales)} values for {len(nets)} "
                "ControlNets"
            )
        if not 0 <= control_guidance_start < control_guidance_end <= 1:
            raise ValueError(
                "control_guidance_start and _end must satisfy 0 <= start < end <= 1, but are"
                f" {control_guidance_start} and {control_guidance_end}"
            )
        guess_mode = guess_mode or nets[0].config.global_pool_conditions
        self._control = _Control(
            prepared, scales, control_guidance_start, control_guidance_end, guess_mode
        )
        try:
            return super().__call__(image, prompt, num_frames, height, width, **options)
        finally:
            self._control = None

    def _nets(self) -> list[Any]:
        controlnet = getattr(self.controlnet, "_orig_mod", self.controlnet)
        return (
            list(controlnet.nets) if isinstance(controlnet, MultiControlNetModel) else [controlnet]
        )

    def _residuals(
        self, step: int, t: Any, model_input: Tensor, prompt_embeds: Tensor
    ) -> dict[str, Any]:
        control = self._control
        assert control is not None
        share = step / self._num_timesteps
        if share < control.start or share + 1 / self._num_timesteps > control.end:
            return {}
        conditional_only = control.guess_mode and self.do_classifier_free_guidance
        if conditional_only:
            model_input, prompt_embeds = model_input.chunk(2)[1], prompt_embeds.chunk(2)[1]
        if control.prepared is None:
            control.prepared = [self._prepare(images, model_input) for images in control.frames]
        conditioning = [images.repeat(len(model_input), 1, 1, 1) for images in control.prepared]
        several = isinstance(
            getattr(self.controlnet, "_orig_mod", self.controlnet), MultiControlNetModel
        )
        down, mid = self.controlnet(
            model_input.transpose(1, 2).flatten(0, 1).to(self.controlnet.dtype),
            t,
            encoder_hidden_states=prompt_embeds.to(self.controlnet.dtype),
            controlnet_cond=conditioning if several else conditioning[0],
            conditioning_scale=control.scales if several else control.scales[0],
            guess_mode=control.guess_mode,
            return_dict=False,
        )
        if conditional_only:
            down, mid = [_after_zeros(part) for part in down], _after_zeros(mid)
        return {
            "down_block_additional_residuals": tuple(down),
            "mid_block_additional_residual": mid,
        }

    def _prepare(self, images: list[PipelineImage], model_input: Tensor) -> Tensor:
        """(F, 3, H, W) in [0, 1] at the video's size."""
        height, width = (side * self.vae_scale_factor for side in model_input.shape[-2:])
        pixels = self.control_image_processor.preprocess(images, height=height, width=width)
        return pixels.to(model_input.device, self.controlnet.dtype)


def _after_zeros(residual: Tensor) -> Tensor:
    """For both guidance halves: nothing for the unconditional one."""
    return torch.cat([torch.zeros_like(residual), residual])
