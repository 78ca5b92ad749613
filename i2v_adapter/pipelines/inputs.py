"""What callers pass as images and prompts, brought into one form."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image, ImageOps

PipelineImage: TypeAlias = Image.Image | np.ndarray | torch.Tensor


def image_list(image: PipelineImage | list[Any], name: str = "image") -> list[PipelineImage]:
    """One entry per image, in the forms that diffusers' image processor reads.

    Args:
        image: a PIL image, an array (H, W, 3) or (B, H, W, 3), a tensor (3, H, W) or (B, 3, H,
            W), or a list. Arrays are uint8, uint16 or floating point in [0, 1], tensors uint8 or
            floating point. PIL images of any mode are turned as their EXIF data says; transparency
            is put on white, 16 bits become 8.
        name: of the argument, for messages.

    Returns:
        PIL images (RGB), or float arrays (H, W, 3), or float tensors (3, H, W).

    Raises:
        ValueError: no image, mixed kinds, or another shape or kind.
    """
    if isinstance(image, (np.ndarray, torch.Tensor)) and image.ndim == 4:
        image = list(image)
    entries = image if isinstance(image, list) else [image]
    if not entries:
        raise ValueError(f"{name} is an empty list: give at least one image")
    found = [_single(entry, name) for entry in entries]
    kinds = {type(entry) for entry in found}
    if len(kinds) > 1:
        names = " and ".join(sorted(kind.__name__ for kind in kinds))
        raise ValueError(f"{name} mixes {names}: give images of one kind")
    return found


def _single(image: Any, name: str) -> PipelineImage:
    if isinstance(image, Image.Image):
        return _rgb(image)
    if isinstance(image, np.ndarray) and image.ndim == 3 and image.shape[-1] == 3:
        if image.dtype == np.uint16:
            return (image / 65535).astype(np.float32)
        if image.dtype == np.uint8 or np.issubdtype(image.dtype, np.floating):
            return Image.fromarray(image) if image.dtype == np.uint8 else image
        raise ValueError(
            f"{name} must hold uint8, uint16 or floating point values, but holds {image.dtype}"
        )
    if isinstance(image, torch.Tensor) and image.ndim == 3 and image.shape[0] == 3:
        if image.dtype != torch.uint8 and not image.is_floating_point():
            raise ValueError(
                f"{name} must hold uint8 or floating point values, but holds {image.dtype}"
            )
        return image.float() / 255 if image.dtype == torch.uint8 else image
    what = (
        f"{type(image).__name__} of shape {tuple(image.shape)}"
        if hasattr(image, "shape")
        else type(image).__name__
    )
    raise ValueError(
        f"{name} must be a PIL image, an array (H, W, 3) or a tensor (3, H, W), but is {what}"
    )


def _rgb(image: Image.Image) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        # 16 bits, which PIL also reads into 32: convert() would clip at 255.
        return Image.fromarray(
            (np.asarray(image, np.int64).clip(0, 65535) / 257).round().astype(np.uint8)
        ).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layered = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), layered).convert("RGB")


def match_inputs(
    images: list[PipelineImage],
    prompt: str | list[str] | None,
    negative_prompt: str | list[str] | None,
    prompt_embeds: torch.Tensor | None,
) -> tuple[list[PipelineImage], list[str] | None, list[str] | None, int]:
    """Images, prompts and negative prompts of one length, the number of videos."""
    prompts = [prompt] if isinstance(prompt, str) else prompt
    if prompts is not None and not prompts:
        raise ValueError("prompt is an empty list: give at least one prompt")
    count = (
        len(prompts)
        if prompts is not None
        else len(prompt_embeds if prompt_embeds is not None else [])
    )
    batch = max(count, len(images))
    if len(images) not in (1, batch) or count not in (1, batch):
        raise ValueError(
            f"{len(images)} images and {count} prompts do not match: give equal numbers, or one of "
            "either"
        )
    if prompts is None and count != batch:
        raise ValueError(
            f"prompt_embeds has {count} rows for {batch} images: give one row for each"
        )
    negatives = [negative_prompt] if isinstance(negative_prompt, str) else negative_prompt
    if negatives is not None and len(negatives) not in (1, batch):
        raise ValueError(
            f"{len(negatives)} negative prompts were given for {batch} videos: give one, or one "
            "for each"
        )
    return (
        images * batch if len(images) == 1 else images,
        prompts * batch if prompts is not None and len(prompts) == 1 else prompts,
        negatives * batch if negatives is not None and len(negatives) == 1 else negatives,
        batch,
    )
