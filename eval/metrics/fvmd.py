"""FVMD's motion features: histograms of velocity and acceleration of point tracks.

These are pure functions. No metric is registered for them yet, because the suite has no encoder of
tracks; FVMD takes its tracks from PIPs++.
"""

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError
from eval.io.arrays import Float64Array

FRAMES, SIDE = 16, 20
"""Frames of a window, and points of a side of the grid on its first frame."""

CELL_FRAMES, CELL_POINTS, BINS = 4, 5, 8
DIMENSION = 2 * BINS * (FRAMES // CELL_FRAMES) * (SIDE // CELL_POINTS) ** 2
"""1024: 512 of velocity, 512 of acceleration."""


def motion_features(tracks: npt.ArrayLike) -> Float64Array:
    """FVMD's feature of one window of 16 frames; the Fréchet distance of many of them is FVMD.

    Velocity is the difference of neighbouring frames, acceleration that of neighbouring
    velocities; both are 0 where a neighbour is missing. Each is summed up in cells of 4 frames
    x 5 x 5 points, in 8 bins of the angle atan2(x, y). A vector v has the weight
    ceil(min(log2(min(|v|, 255) + 1), 8)) / 8.

    Args:
        tracks: float (16, 400, 2), (x, y) in px of a 20 x 20 grid, row by row, frames of 256 x
            256 px.

    Returns:
        float64 (1024,), velocity first; cells in the order time, row, column, then bins.

    Raises:
        EvalError: another shape, or values that are not finite.

    Source: Liu et al. 2024 (FVMD), fvmd/extract_motion_features.py.

    Example:
        >>> still = np.zeros((16, 400, 2))
        >>> bool(motion_features(still).any())
        False
    """
    points = np.asarray(tracks, dtype=np.float64)
    if points.shape != (FRAMES, SIDE * SIDE, 2):
        raise EvalError(
            f"FVMD: tracks must have shape ({FRAMES}, {SIDE * SIDE}, 2), got {points.shape}"
        )
    if not np.isfinite(points).all():
        raise EvalError("FVMD: tracks hold values that are not finite")
    grid = points.reshape(FRAMES, SIDE, SIDE, 2)
    velocity = np.zeros_like(grid)
    velocity[1:] = np.diff(grid, axis=0)
    acceleration = np.zeros_like(grid)
    acceleration[2:] = np.diff(velocity[1:], axis=0)
    return np.concatenate([_histogram(velocity), _histogram(acceleration)])


def _histogram(vectors: Float64Array) -> Float64Array:
    length = np.minimum(np.linalg.norm(vectors, axis=-1), 255)
    weight = np.ceil(np.minimum(np.log2(length + 1), 8)) / 8
    angle = np.arctan2(vectors[..., 0], vectors[..., 1])
    bins = np.clip(np.floor((angle + np.pi) / (2 * np.pi / BINS)), 0, BINS - 1)
    by_bin = weight[..., None] * (bins[..., None] == np.arange(BINS))
    across = SIDE // CELL_POINTS
    shape = (FRAMES // CELL_FRAMES, CELL_FRAMES, across, CELL_POINTS, across, CELL_POINTS, BINS)
    return np.asarray(by_bin.reshape(shape).sum(axis=(1, 3, 5)).reshape(-1))
