"""The trained glyph world as diffusers pipelines: with the I2V adapter, the families without it,
text-to-video.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from eval import device as devices
from eval.errors import WeightsMissingError
from eval.world.cards import load
from eval.world.models import IP_ADAPTER_FILE, WEIGHTS

BASE_PARTS = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")
CONTENT_PARTS = ("ip_adapter", "image_encoder", "feature_extractor")
ADAPTER_PARTS = ("i2v_adapter",)
CONCAT_PARTS = ("concat",)
LORA = "lora"
"""Name under which a pipeline carries its LoRA."""


class Extras(NamedTuple):
    """Names of folders in the weights: `lora` holds diffusers' LoRA file and personalises the base,
    `controlnet` holds a ControlNetModel and controls it."""

    lora: str | None = None
    controlnet: str | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The names that are given."""
        return tuple(part for part in self if part is not None)


_NONE = Extras()


def require(parts: tuple[str, ...], weights: Path = WEIGHTS) -> list[Path]:
    """Every file of the parts, sorted; cards left out. Raises WeightsMissingError naming the first
    missing part.
    """
    files: list[Path] = []
    for part in parts:
        found = sorted(
            path
            for path in (weights / part).glob("*")
            if path.is_file() and path.name != "card.json"
        )
        if not found:
            raise WeightsMissingError(
                f"glyph world part '{part}' is missing: no file in {weights / part}; train it with "
                "`nox -s world`"
            )
        files += found
    return files


def _base(weights: Path) -> dict[str, Any]:
    from diffusers import AutoencoderKL, DDIMScheduler, UNetMotionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    require(BASE_PARTS, weights)
    return {
        "vae": load(AutoencoderKL, weights / "vae"),
        "text_encoder": load(CLIPTextModel, weights / "text_encoder"),
        "tokenizer": CLIPTokenizer.from_pretrained(weights / "tokenizer"),
        "unet": load(UNetMotionModel, weights / "unet"),
        "scheduler": DDIMScheduler.from_pretrained(weights / "scheduler"),
        "motion_adapter": None,
    }


def _content(weights: Path) -> dict[str, Any]:
    from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

    require(CONTENT_PARTS, weights)
    return {
        "image_encoder": load(CLIPVisionModelWithProjection, weights / "image_encoder"),
        "feature_extractor": CLIPImageProcessor.from_pretrained(weights / "feature_extractor"),
    }


def _controlnet(extras: Extras, weights: Path) -> dict[str, Any]:
    from diffusers import ControlNetModel

    require(extras.parts, weights)
    return (
        {}
        if extras.controlnet is None
        else {"controlnet": load(ControlNetModel, weights / extras.controlnet)}
    )


def _finished(
    pipeline: Any, extras: Extras, weights: Path, *, content: bool, dtype: str = "float32"
) -> Any:
    import torch
    from torch import nn

    if content:
        pipeline.load_ip_adapter(
            str(weights),
            subfolder="ip_adapter",
            weight_name=IP_ADAPTER_FILE,
            image_encoder_folder=None,
        )
    if extras.lora is not None:
        pipeline.load_lora_weights(weights / extras.lora, adapter_name=LORA)
    nn.Module.float(pipeline.unet)
    pipeline.set_progress_bar_config(disable=True)
    if dtype != "float32":
        for part in pipeline.components.values():
            if isinstance(part, nn.Module):
                nn.Module.to(part, getattr(torch, dtype))
    return pipeline


def image_to_video(
    weights: Path = WEIGHTS,
    extras: Extras = _NONE,
    *,
    content: bool = True,
    dtype: str = "float32",
    fp8: bool = False,
) -> Any:
    """`I2VAdapterPipeline` with the content adapter loaded: the paper's system. Without `content`,
    the I2V adapter alone; with a ControlNet among the extras, `I2VAdapterControlNetPipeline`.
    `fp8`: the weights of UNet and adapter in 8 bits. Loaded once a process.
    """
    return _image_to_video(weights, extras, content, dtype, fp8)


@cache
def _image_to_video(
    weights: Path, extras: Extras, content: bool, dtype: str, fp8: bool = False
) -> Any:
    from i2v_adapter import I2VAdapter, I2VAdapterControlNetPipeline, I2VAdapterPipeline

    require(ADAPTER_PARTS, weights)
    control = _controlnet(extras, weights)
    pipeline_class = I2VAdapterControlNetPipeline if control else I2VAdapterPipeline
    adapter = load(I2VAdapter, weights / "i2v_adapter")
    parts = {
        **_base(weights),
        **(_content(weights) if content else {}),
        **control,
        "i2v_adapter": adapter,
    }
    made = _finished(pipeline_class(**parts), extras, weights, content=content, dtype=dtype)
    if fp8:
        made.enable_fp8_storage()
    return made


def baseline(
    weights: Path = WEIGHTS,
    extras: Extras = _NONE,
    *,
    content: bool = False,
    concat: bool = False,
    dtype: str = "float32",
) -> Any:
    """`BaselinePipeline` on the base; `content`: with the content adapter; `concat`: on the
    fine-tuned base that reads the image's latent beside the noise. Loaded once a process."""
    return _baseline(weights, extras, content, concat, dtype)


@cache
def _baseline(weights: Path, extras: Extras, content: bool, concat: bool, dtype: str) -> Any:
    from diffusers import UNetMotionModel

    from eval.world.baseline import BaselinePipeline

    parts = {
        **_base(weights),
        **(_content(weights) if content else {}),
        **_controlnet(extras, weights),
    }
    if concat:
        require(CONCAT_PARTS, weights)
        parts["unet"] = load(UNetMotionModel, weights / "concat")
    return _finished(BaselinePipeline(**parts), extras, weights, content=content, dtype=dtype)


@cache
def text_to_video(weights: Path = WEIGHTS) -> Any:
    """diffusers' own AnimateDiff on the base alone."""
    from diffusers import AnimateDiffPipeline

    return _finished(AnimateDiffPipeline(**_base(weights)), _NONE, weights, content=False)


def _release() -> bool:
    caches = (_image_to_video, _baseline, text_to_video)
    found = any(loaded.cache_info().currsize for loaded in caches)
    for loaded in caches:
        loaded.cache_clear()
    return found


devices.holds("glyph-world", _release)
