"""Batches of the glyph world, drawn from a `numpy` generator."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from eval.world.scenes import SIZE, Scene, caption, frames_at, render_frame, sample_scene


class FrameBatch(NamedTuple):
    """`images` float32 (N, 3, H, W) in [-1, 1]; `masks` float32 (N, 1, H, W) in [0, 1]."""

    images: torch.Tensor
    masks: torch.Tensor
    captions: list[str]
    scenes: list[Scene]


def to_tensor(frames: np.ndarray) -> torch.Tensor:
    """uint8 (..., H, W, 3) -> float32 (..., 3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.moveaxis(frames, -1, -3).astype(np.float32)) / 127.5 - 1.0


def frame_batch(
    rng: np.random.Generator, size: int, *, side: int = SIZE, **scene_options
) -> FrameBatch:
    """`size` single frames of as many different scenes, each from a random moment of its clip,
    `side` px high and wide.
    """
    scenes = [sample_scene(rng, **scene_options).enlarged(side) for _ in range(size)]
    drawn = [render_frame(scene, int(rng.integers(frames_at(side)))) for scene in scenes]
    return FrameBatch(
        images=to_tensor(np.stack([frame for frame, _ in drawn])),
        masks=torch.from_numpy(np.stack([mask for _, mask in drawn]))[:, None],
        captions=[caption(scene) for scene in scenes],
        scenes=scenes,
    )
