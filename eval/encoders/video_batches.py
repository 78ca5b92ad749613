"""Clips through a video network, one fixed batch at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from eval.encoders.preprocessing import Preprocessing, check_frames
from eval.errors import EvalError
from eval.io.arrays import Float32Array, UInt8Array


def clip_features(
    id: str,
    clips: UInt8Array,
    frames: int,
    batch: int,
    preprocessing: Preprocessing,
    device: str,
    features: Callable[[Any], Any],
) -> Float32Array:
    """Features of the first `frames` frames of each clip, float32 (N, D).

    Args:
        id: of the encoder, for messages.
        clips: uint8 (N, F, H, W, 3) RGB.
        frames: how many the network reads.
        batch: clips that are encoded together.
        preprocessing: of each frame.
        device: torch device.
        features: float32 (n, frames, 3, h, w) -> (n, D), torch tensors.

    Raises:
        EvalError: another shape or dtype, or fewer frames.
    """
    import torch

    check_frames(clips, axes=5)
    if clips.shape[1] < frames:
        raise EvalError(
            f"encoder {id!r}: the clip has {clips.shape[1]} frames; {frames} or more are needed."
        )
    found = []
    for start in range(0, len(clips), batch):
        part = clips[start : start + batch, :frames]
        pixels = preprocessing.apply(part.reshape(-1, *part.shape[2:]), device)
        with torch.inference_mode():
            made = features(pixels.unflatten(0, part.shape[:2]))
        found.append(np.asarray(made.float().cpu().numpy(), dtype=np.float32))
    return np.concatenate(found)
