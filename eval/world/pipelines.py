"""The trained glyph world as diffusers pipelines: the full system, the content adapter alone, text-to-video."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from eval.errors import WeightsMissingError
from eval.world.cards import load
from eval.world.models import IP_ADAPTER_FILE, WEIGHTS

BASE_PARTS = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")
CONTENT_PARTS = ("ip_adapter", "image_encoder", "feature_extractor")
ADAPTER_PARTS = ("i2v_adapter",)
CONCAT_PARTS = ("concat",)


def require(parts: tuple[str, ...], weights: Path = WEIGHTS) -> list[Path]:
    """Every file of the parts, sorted; cards left out. Raises WeightsMissingError naming the first missing part."""
    files: list[Path] = []
    for part in parts:
        found = sorted(path for path in (weights / part).glob("*") if path.is_file() and path.name != "card.json")
        if not found:
            raise WeightsMissingError(
                f"glyph world part '{part}' is missing: no file in {weights / part}; train it with `nox -s world`"
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


def _with_content(pipeline_class: type, weights: Path, **parts: Any) -> Any:
    from torch import nn
    from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

    require(CONTENT_PARTS, weights)
    pipeline = pipeline_class(
        **_base(weights),
        **parts,
        image_encoder=load(CLIPVisionModelWithProjection, weights / "image_encoder"),
        feature_extractor=CLIPImageProcessor.from_pretrained(weights / "feature_extractor"),
    )
    pipeline.load_ip_adapter(
        str(weights), subfolder="ip_adapter", weight_name=IP_ADAPTER_FILE, image_encoder_folder=None
    )
    nn.Module.float(pipeline.unet)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@cache
def image_to_video(weights: Path = WEIGHTS) -> Any:
    """`I2VAdapterPipeline` with the content adapter loaded: the paper's system."""
    from i2v_adapter import I2VAdapter, I2VAdapterPipeline

    require(ADAPTER_PARTS, weights)
    return _with_content(I2VAdapterPipeline, weights, i2v_adapter=load(I2VAdapter, weights / "i2v_adapter"))


@cache
def image_prompt_to_video(weights: Path = WEIGHTS) -> Any:
    """AnimateDiff with the content adapter alone; a batch's images go to their own videos."""
    from diffusers import AnimateDiffPipeline

    from i2v_adapter.pipelines.content import content_embeds

    class ImagePromptPipeline(AnimateDiffPipeline):
        def prepare_ip_adapter_image_embeds(
            self, ip_adapter_image, ip_adapter_image_embeds, device, num_images_per_prompt, do_classifier_free_guidance
        ):
            images = list(ip_adapter_image)
            return content_embeds(self, images, None, ip_adapter_image_embeds, len(images), device)

    return _with_content(ImagePromptPipeline, weights)


@cache
def text_to_video(weights: Path = WEIGHTS) -> Any:
    """AnimateDiff on the base alone."""
    from diffusers import AnimateDiffPipeline

    pipeline = AnimateDiffPipeline(**_base(weights))
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@cache
def concatenation(weights: Path = WEIGHTS) -> Any:
    """`ConcatenationPipeline`: the fine-tuned base that reads the image's latent beside the noise."""
    from diffusers import UNetMotionModel

    from eval.world.concatenation import ConcatenationPipeline

    require(CONCAT_PARTS, weights)
    pipeline = ConcatenationPipeline(**{**_base(weights), "unet": load(UNetMotionModel, weights / "concat")})
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
