"""What the content adapter (an IP-Adapter) is given in an image-to-video pipeline: by default the
input image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline
from diffusers.image_processor import VaeImageProcessor
from diffusers.models.embeddings import ImageProjection, MultiIPAdapterImageProjection
from torch import Tensor

from i2v_adapter.pipelines.inputs import PipelineImage, image_list


def content_embeds(
    pipeline: DiffusionPipeline,
    images: list[PipelineImage] | None,
    content_images: PipelineImage | list[Any] | None,
    embeds: list[Tensor] | None,
    batch: int,
    device: torch.device,
) -> list[Tensor] | None:
    """Image embeddings for the UNet: one tensor per content adapter, None where none is loaded.

    Unlike in diffusers' own pipelines, the images of a batch go to their own videos, not all of
    them to every video.

    Args:
        pipeline: with `unet`, `encode_image` and `do_classifier_free_guidance` as diffusers'
            AnimateDiff pipeline.
        images: input images, one per video, if there are any; used if neither of the next two
            is given.
        content_images: one image, or one per video (for a single video: all of them go to it);
            with several content adapters a list with such an entry for each.
        embeds: one tensor per content adapter, (R, images, ...) with R = 1 or `batch`, twice
            that with guidance, the unconditional half first.
        batch: number of videos B.
        device: of the result.

    Returns:
        tensors (B, images, ...), or (2 * B, images, ...) with guidance, the unconditional half
        first.

    Raises:
        ValueError: no content adapter or no image encoder is loaded though needed, or numbers
            do not match.
    """
    projection = pipeline.unet.encoder_hid_proj
    if not isinstance(projection, MultiIPAdapterImageProjection):
        if content_images is None and embeds is None:
            return None
        raise ValueError(
            "ip_adapter_image was given, but no content adapter is loaded: call load_ip_adapter() "
            "first"
        )
    layers = projection.image_projection_layers
    guidance = pipeline.do_classifier_free_guidance
    if embeds is not None:
        if len(embeds) != len(layers):
            raise ValueError(
                f"ip_adapter_image_embeds has {len(embeds)} entries for {len(layers)} content "
                "adapters"
            )
        return [_rows_of(given.to(device), batch, guidance) for given in embeds]
    if pipeline.image_encoder is None or pipeline.feature_extractor is None:
        raise ValueError(
            "a content adapter is loaded: give ip_adapter_image_embeds, or load its image encoder"
        )
    if images is None and content_images is None:
        raise ValueError(
            "a content adapter is loaded and there is no image to show it: give ip_adapter_image"
        )

    result = []
    for layer, entries in zip(
        layers, _per_adapter(images, content_images, len(layers)), strict=True
    ):
        if len(entries) not in (1, batch) and batch != 1:
            raise ValueError(
                f"ip_adapter_image has {len(entries)} images for {batch} videos: give one for all "
                "or each"
            )
        encoded = pipeline.encode_image(
            [_as_pil(entry) for entry in entries], device, 1, not isinstance(layer, ImageProjection)
        )
        # All images of a single video sit side by side, (1, images, ...).
        positive, negative = (
            _expand(half[None] if batch == 1 else half[:, None], batch) for half in encoded
        )
        result.append(torch.cat([negative, positive]) if guidance else positive)
    return result


def _per_adapter(
    images: list[PipelineImage] | None,
    content_images: PipelineImage | list[Any] | None,
    adapters: int,
) -> list[list[PipelineImage]]:
    if content_images is None:
        assert images is not None
        return [images] * adapters
    nested = isinstance(content_images, list) and any(
        isinstance(entry, list) for entry in content_images
    )
    if adapters == 1 and not nested:
        return [image_list(content_images, "ip_adapter_image")]
    if isinstance(content_images, list) and len(content_images) == adapters:
        return [image_list(entry, "ip_adapter_image") for entry in content_images]
    raise ValueError(
        f"ip_adapter_image must be a list with an entry for each of the {adapters} content adapters"
    )


@contextmanager
def content_frame_scale(
    unet: Any, frame_scale: Sequence[float] | None, num_frames: int
) -> Iterator[None]:
    """Within the block, the scales of all content adapters are multiplied by `frame_scale`, frame
    by frame.

    Args:
        unet: a motion UNet.
        frame_scale: `num_frames` factors; None changes nothing.

    Raises:
        ValueError: another number of factors, no content adapter, or one with masks for several
            images.
    """
    if frame_scale is None:
        yield
        return
    if len(frame_scale) != num_frames:
        raise ValueError(
            f"ip_adapter_frame_scale has {len(frame_scale)} values for {num_frames} frames"
        )
    processors = [
        processor for processor in unet.attn_processors.values() if hasattr(processor, "to_k_ip")
    ]
    if not processors:
        raise ValueError("ip_adapter_frame_scale was given, but no content adapter is loaded")
    before = [processor.scale for processor in processors]
    if any(isinstance(scale, list) for scales in before for scale in scales):
        raise ValueError(
            "ip_adapter_frame_scale does not go together with scales for several masked images"
        )
    try:
        for processor, scales in zip(processors, before, strict=True):
            processor.scale = [_FrameScale(scale, tuple(frame_scale)) for scale in scales]
        yield
    finally:
        for processor, scales in zip(processors, before, strict=True):
            processor.scale = scales


@dataclass(frozen=True, eq=False)
class _FrameScale:
    """Stands for a number in diffusers' IP-Adapter processors, which compare it with 0 and multiply
    tokens by it.
    """

    scale: float
    per_frame: tuple[float, ...]
    _placed: dict[Any, Tensor] = field(default_factory=dict, repr=False)

    def __mul__(self, tokens: Tensor) -> Tensor:
        key = (tokens.dtype, tokens.device)
        if key not in self._placed:  # once a call: each copy waits for a GPU
            self._placed[key] = torch.tensor(self.per_frame, dtype=key[0], device=key[1])
        factors = self._placed[key] * self.scale
        return factors.repeat(tokens.shape[0] // len(self.per_frame))[:, None, None] * tokens


def _rows_of(embeds: Tensor, batch: int, guidance: bool) -> Tensor:
    halves = 2 if guidance else 1
    if embeds.shape[0] not in (halves, halves * batch):
        raise ValueError(
            f"ip_adapter_image_embeds must have {halves} or {halves * batch} rows for {batch} "
            "videos"
            f" {'with' if guidance else 'without'} guidance, but has {embeds.shape[0]}"
        )
    return torch.cat([_expand(half, batch) for half in embeds.chunk(halves)])


def _expand(rows: Tensor, batch: int) -> Tensor:
    return rows.expand(batch, *rows.shape[1:]) if rows.shape[0] == 1 else rows


def _as_pil(image: PipelineImage) -> Any:
    if isinstance(image, Tensor):
        image = VaeImageProcessor.pt_to_numpy(image[None])[0]
    return (
        VaeImageProcessor.numpy_to_pil(image[None])[0] if isinstance(image, np.ndarray) else image
    )
