"""FVMD: the Fréchet distance between histograms of velocity and acceleration of point tracks, which
the published figure takes from PIPs++.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError
from eval.io.arrays import Float32Array, Float64Array
from eval.metrics.definitions import Definition, Features, SetNotes, SetSteps, metric
from eval.metrics.frechet import feature_matrix, small_sample

FRAMES, SIDE = 16, 20
"""Frames of a window, and points of a side of the grid on its first frame."""

PIXELS = 256
"""Side of the frames that are tracked, px."""

RIDGE = 1e-5
"""Added to both variances under the root."""

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


def query_points() -> Float32Array:
    """The 20 x 20 grid on frame 0, row by row: float32 (400, 2), (x, y) in px.

    Example:
        >>> query_points()[[0, 399]].tolist()
        [[8.0, 8.0], [248.0, 248.0]]
    """
    line = 8 + np.arange(SIDE) * (PIXELS - 16) / (SIDE - 1)
    x, y = np.meshgrid(line, line)
    return np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32)


def ridge_frechet(real: npt.ArrayLike, fake: npt.ArrayLike) -> float:
    """|m - n|^2 + tr(A + B) - 2 tr(((A + e I)(B + e I))^(1/2)), e = 1e-5, in float64.

    A and B are covariances with divisor N - 1. Because e counts under the root only, the distance
    of a set to itself is -2 e D: -0.02 for 1024 dimensions.

    Args:
        real: float (N, D), N >= 2.
        fake: float (M, D), M >= 2.

    Raises:
        EvalError: fewer than two features in a set, feature sizes that differ, or values that are
            not finite.

    Source: Liu et al. 2024 (FVMD), fvmd/frechet_distance.py.

    Example:
        >>> round(ridge_frechet([[0.0], [2.0]], [[3.0], [5.0]]), 4)
        9.0
    """
    x, y = feature_matrix(real, "real"), feature_matrix(fake, "fake")
    if x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise EvalError(
            f"FVMD: features {x.shape} and {y.shape}; two or more of one size are needed in each "
            "set"
        )
    shift = x.mean(axis=0) - y.mean(axis=0)
    a, b = ((s - s.mean(axis=0)) / np.sqrt(len(s) - 1) for s in (x, y))
    # Outside the span of both sets A and B are 0, so the root is the ridge there.
    basis = np.linalg.svd(np.concatenate([a, b]), full_matrices=False)[2]
    rank, dimension = len(basis), x.shape[1]
    roots = [_root(part @ basis.T) for part in (a, b)]
    overlap = np.linalg.svd(roots[0] @ roots[1], compute_uv=False).sum()
    overlap += RIDGE * (dimension - rank)
    return float(shift @ shift + (a**2).sum() + (b**2).sum() - 2 * overlap)


def _root(centred: Float64Array) -> Float64Array:
    """The symmetric root of X^T X + e I."""
    values, vectors = np.linalg.eigh(centred.T @ centred + RIDGE * np.eye(centred.shape[1]))
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)


def _histogram(vectors: Float64Array) -> Float64Array:
    length = np.minimum(np.linalg.norm(vectors, axis=-1), 255)
    weight = np.ceil(np.minimum(np.log2(length + 1), 8)) / 8
    angle = np.arctan2(vectors[..., 0], vectors[..., 1])
    bins = np.clip(np.floor((angle + np.pi) / (2 * np.pi / BINS)), 0, BINS - 1)
    by_bin = weight[..., None] * (bins[..., None] == np.arange(BINS))
    across = SIDE // CELL_POINTS
    shape = (FRAMES // CELL_FRAMES, CELL_FRAMES, across, CELL_POINTS, across, CELL_POINTS, BINS)
    return np.asarray(by_bin.reshape(shape).sum(axis=(1, 3, 5)).reshape(-1))


def _first_window(features: Features) -> Float64Array:
    if len(features.clip.frames) < FRAMES:
        raise EvalError(
            f"FVMD: the clip has {len(features.clip.frames)} frames; {FRAMES} are needed"
        )
    return motion_features(features.tracks(query_points())[:FRAMES])


def _notes(real: Float64Array, fake: Float64Array, images: int, dimension: int) -> SetNotes:
    return SetNotes(float("nan"), small_sample(min(len(fake), len(real), images), dimension))


_FVMD = Definition(
    name="fvmd",
    frames=FRAMES,
    kind="tracks",
    scope="set",
    view="squashed_256",
    unit="squared feature distance",
    higher_is_better=False,
    description="Fréchet distance between Gaussians fitted to histograms of velocity and "
    "acceleration of 400 tracks, of true and generated clips.",
    source="Liu et al. 2024 (FVMD)",
    preprocessing="frames 0 to 15; a grid of 20 x 20 points",
    published="pips2",
    caution="Of the first 16 frames. The published figure counts every window of 16 frames: the "
    "same for clips of 16 frames only. 1024 dimensions, so sets of 50 clips, as published, are "
    "mostly bias: compare equal N only. Acceleration is the difference of velocities, as the paper "
    "defines it; the published code takes it from positions, so that its second half is velocity "
    "without the first step, and its figures are another measure. The distance of a set to itself "
    "is -0.02, by the ridge.",
    cannot_see="What the frames show: only how 400 points move counts. And single clips: where the "
    "statistics of the set agree, it does not matter which clip moves how.",
)
_STEPS = SetSteps(features=_first_window, notes=_notes)


@metric(_FVMD, steps=_STEPS)
def _fvmd(real: Float64Array, fake: Float64Array) -> float:
    return ridge_frechet(real, fake)


@metric(
    replace(
        _FVMD,
        name="fvmd_velocity",
        description="FVMD of the 512 numbers of velocity alone.",
        source="This suite, by the arithmetic of Liu et al. 2024 (FVMD)",
    ),
    steps=_STEPS,
)
def _fvmd_velocity(real: Float64Array, fake: Float64Array) -> float:
    return ridge_frechet(real[:, : DIMENSION // 2], fake[:, : DIMENSION // 2])


@metric(
    replace(
        _FVMD,
        name="fvmd_acceleration",
        description="FVMD of the 512 numbers of acceleration alone.",
        source="This suite, by the arithmetic of Liu et al. 2024 (FVMD)",
    ),
    steps=_STEPS,
)
def _fvmd_acceleration(real: Float64Array, fake: Float64Array) -> float:
    return ridge_frechet(real[:, DIMENSION // 2 :], fake[:, DIMENSION // 2 :])
