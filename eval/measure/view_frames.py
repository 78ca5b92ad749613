"""Frames as a view shows them to an encoder: halved, padded or squashed."""

from __future__ import annotations

from typing import cast

import numpy as np

from eval.errors import EvalError
from eval.io.arrays import Float32Array, Float64Array, Frames, UInt8Array
from eval.measure.fitted import squashed
from eval.metrics.views import View


def as_view(view: View, frames: UInt8Array) -> Frames:
    """uint8 (F, H, W, 3) as a view shows them to an encoder of kind flow: uint8, or float32 in
    [0, 1].
    """
    if view == "half":
        return halved(frames)
    if view == "half_padded":
        return padded(halves(frames))
    if view in ("padded", "sampled_padded"):
        return padded(frames)
    if view == "squashed_256":
        return squashed(frames, 256)
    return frames


def view_size(view: View, size: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of the frames of `as_view`, from those of the clip."""
    height, width = size
    if view == "squashed_256":
        return 256, 256
    if view.startswith("half"):
        height, width = height // 2, width // 2
    if view.endswith("padded"):
        height, width = (side + -side % 8 for side in (height, width))
    return height, width


def halved(frames: UInt8Array) -> UInt8Array:
    """uint8 (F, H, W, 3) to (F, H // 2, W // 2, 3): averages of 2 x 2 pixels, rounded; an odd last
    row or column goes.

    Raises:
        EvalError: a side of one pixel.
    """
    return np.rint(_averages(frames)).astype(np.uint8)


def halves(frames: UInt8Array) -> Float32Array:
    """As `halved`, but not rounded: float32 in [0, 1]."""
    return (_averages(frames) / 255).astype(np.float32)


def _averages(frames: UInt8Array) -> Float64Array:
    count, height, width, _ = frames.shape
    if min(height, width) < 2:
        raise EvalError(f"frames of {height} x {width} px have no half size")
    even = frames[:, : height // 2 * 2, : width // 2 * 2].reshape(
        count, height // 2, 2, width // 2, 2, 3
    )
    return np.asarray(even.mean(axis=(2, 4)))


def padded(frames: Frames, multiple: int = 8) -> Frames:
    """(F, H, W, 3) with edges repeated to sides that are multiples of `multiple`; of an odd number
    of rows or columns the larger half goes below or to the right."""
    missing = [-side % multiple for side in frames.shape[1:3]]
    widths = [(0, 0), *((lack // 2, lack - lack // 2) for lack in missing), (0, 0)]
    return cast(Frames, np.pad(frames, widths, mode="edge"))
