"""Exact measures: computed from ground truth, without a model.

Everything that differs from the known background is the foreground; where it is, its colour and its
shape are compared with the truth. All values are over frames 1, 2, ...: frame 0 may be the input
itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError
from eval.io.arrays import Float64Array

LOWEST, FULL = 0.3, 0.7
"""Distance from the background, in shares of the true contrast, at which the foreground starts, and
is certain.
"""

LEAST = 12.0
"""Summed weight, px, below which a frame has no foreground."""

GRID, REACH = 24, 2.2
"""Side of a canonical shape, and what half of it spans, in root mean square radii of the shape."""


class Truth(NamedTuple):
    """The ground truth that frames are compared with.

    Attributes:
        background: float64 (H, W, 3), 8-bit units, of every frame.
        colour: float64 (3,), of the foreground.
        places: float64 (F, 2), true centroid (x, y) of the foreground in px, frame by frame.
        angles: float64 (F,), radians the foreground has turned, positive turns clockwise on screen.
    """

    background: Float64Array
    colour: Float64Array
    places: Float64Array
    angles: Float64Array


def foreground(
    frames: npt.ArrayLike, background: npt.ArrayLike, colour: npt.ArrayLike
) -> Float64Array:
    """How surely each pixel is no background, in [0, 1], float64 (F, H, W).

    A pixel's distance from the background, as a share of the distance of `colour` from it, rises
    from `LOWEST` (0) to `FULL` (1). The hue does not count, so a shape of a wrong colour is found
    too.

    Args:
        frames: uint8 (F, H, W, 3).
        background: (H, W, 3), 8-bit units.
        colour: (3,), of the true foreground.

    Raises:
        EvalError: shapes that do not fit each other.
    """
    shown, ground = np.asarray(frames, dtype=np.float64), np.asarray(background, dtype=np.float64)
    if shown.ndim != 4 or shown.shape[1:] != ground.shape:
        raise EvalError(
            f"exact measures: frames {shown.shape} do not fit a background of {ground.shape}"
        )
    contrast = np.linalg.norm(np.asarray(colour, dtype=np.float64) - ground, axis=-1)
    share = np.linalg.norm(shown - ground, axis=-1) / np.maximum(contrast, 1.0)
    return np.asarray(np.clip((share - LOWEST) / (FULL - LOWEST), 0.0, 1.0))


def centroids(weights: npt.ArrayLike) -> Float64Array:
    """Centre (x, y) of each frame's weights in px, float64 (F, 2); nan where a frame has less than
    `LEAST` of them.
    """
    mass = np.asarray(weights, dtype=np.float64)
    rows, columns = np.mgrid[0 : mass.shape[1], 0 : mass.shape[2]] + 0.5
    total = mass.sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (
            np.stack([(mass * columns).sum(axis=(1, 2)), (mass * rows).sum(axis=(1, 2))], axis=1)
            / total[:, None]
        )
    found[total < LEAST] = np.nan
    return found


def position_error(frames: npt.ArrayLike, truth: Truth) -> float:
    """Mean distance in px of the foreground's centroid from where it should be.

    A frame without a foreground counts half the frame's diagonal: more than any place can be wrong
    by on average, less than no number at all.

    Examples:
        >>> frames = np.zeros((2, 32, 32, 3)); frames[:, 10:20, 10:20] = 255
        >>> centres = np.full((2, 2), [15.0, 12.0])
        >>> truth = Truth(np.zeros((32, 32, 3)), np.full(3, 255.0), centres, np.zeros(2))
        >>> position_error(frames, truth)
        3.0
    """
    shown = _later(frames)
    found = centroids(foreground(shown, truth.background, truth.colour))
    away = np.linalg.norm(found - truth.places[1 : len(found) + 1], axis=1)
    lost = float(np.hypot(*shown.shape[1:3])) / 2
    return float(np.where(np.isnan(away), lost, away).mean())


def colour_share(frames: npt.ArrayLike, truth: Truth, palette: npt.ArrayLike, right: int) -> float:
    """Share of frames whose foreground's mean colour is nearest to entry `right` of `palette` (K,
    3), 8-bit RGB.

    Examples:
        >>> frames = np.zeros((3, 32, 32, 3)); frames[:, 10:20, 10:20] = (250, 10, 10)
        >>> truth = Truth(np.zeros((32, 32, 3)), np.array([255.0, 0, 0]), np.zeros((3, 2)),
        ...     np.zeros(3))
        >>> colour_share(frames, truth, [[255, 0, 0], [0, 255, 0]], right=0)
        1.0
    """
    shown, colours = _later(frames), np.asarray(palette, dtype=np.float64)
    weights = foreground(shown, truth.background, truth.colour) ** 2
    total = weights.sum(axis=(1, 2))
    mean = (weights[..., None] * shown).sum(axis=(1, 2)) / np.maximum(total, 1e-9)[:, None]
    nearest = np.linalg.norm(mean[:, None] - colours, axis=-1).argmin(axis=1)
    return float(np.mean((nearest == right) & (total >= LEAST)))


def shape_share(frames: npt.ArrayLike, truth: Truth, templates: npt.ArrayLike, right: int) -> float:
    """Share of frames whose foreground is, of all `templates`, most like number `right`.

    Likeness is the cosine of canonical shapes, the larger of that upright and that turned by the
    true angle.

    Args:
        frames: uint8 (F, H, W, 3); F >= 2.
        truth: of these frames.
        templates: (K, GRID * GRID), canonical shapes.
        right: row of the true one.

    Examples:
        >>> square, bar = np.zeros((32, 32)), np.zeros((32, 32))
        >>> square[10:20, 10:20], bar[14:16, 5:27] = 1, 1
        >>> frames = np.repeat(255 * square[None, :, :, None], 3, axis=0) * np.ones(3)
        >>> truth = Truth(np.zeros((32, 32, 3)), np.full(3, 255.0), np.zeros((3, 2)), np.zeros(3))
        >>> shape_share(frames, truth, [canonical(bar), canonical(square)], right=1)
        1.0
    """
    weights = foreground(_later(frames), truth.background, truth.colour)
    rows = np.asarray(templates, dtype=np.float64)
    named = []
    for mass, angle in zip(weights, truth.angles[1:], strict=False):
        likeness = [rows @ canonical(mass, turn) for turn in {0.0, float(angle)}]
        named.append(bool(mass.sum() >= LEAST and np.max(likeness, axis=0).argmax() == right))
    return float(np.mean(named))


def canonical(mass: npt.ArrayLike, angle: float = 0.0) -> Float64Array:
    """A shape's coverage (H, W) moved to its centroid, scaled to its size and turned back by
    `angle`: unit length, float64 (GRID * GRID,); zeros for an empty one."""
    cover = np.asarray(mass, dtype=np.float64)
    flat = np.zeros(GRID * GRID)
    if cover.sum() <= 0:
        return flat
    (x, y) = centroids(cover[None] * (LEAST / min(LEAST, cover.sum())))[0]
    rows, columns = np.mgrid[0 : cover.shape[0], 0 : cover.shape[1]] + 0.5
    radius = np.sqrt((cover * ((columns - x) ** 2 + (rows - y) ** 2)).sum() / cover.sum())
    steps = (np.arange(GRID) + 0.5) / GRID * 2 - 1
    v, u = np.meshgrid(steps * REACH * radius, steps * REACH * radius, indexing="ij")
    cosine, sine = np.cos(angle), np.sin(angle)
    flat = _bilinear(
        cover, x + cosine * u - sine * v - 0.5, y + sine * u + cosine * v - 0.5
    ).reshape(-1)
    length = np.linalg.norm(flat)
    return flat / length if length > 0 else flat


def direction_agreement(flow: npt.ArrayLike, direction: npt.ArrayLike, *, floor: float) -> float:
    """Cosine between the summed flow of a clip and a direction: 1 along it, -1 against it.

    0 if the direction has length 0 or no pixel of the flow is faster than `floor`.

    Args:
        flow: float (P, H, W, 2) in px.
        direction: (2,), (dx, dy).
        floor: px; slower pixels are noise and left out.

    Examples:
        >>> direction_agreement(np.full((1, 4, 4, 2), (2.0, 0.0)), (-1.0, 0.0), floor=0.5)
        -1.0
    """
    field = np.asarray(flow, dtype=np.float64)
    if field.ndim != 4 or field.shape[3] != 2:
        raise EvalError(
            f"direction agreement: flow must have shape (P, H, W, 2), got {field.shape}"
        )
    return agreement([moved_by(pair, floor) for pair in field], direction)


def moved_by(flow: Float64Array, floor: float) -> Float64Array:
    """Sum (2,) of a pair's flow (H, W, 2) over the pixels faster than `floor` px."""
    moves = np.linalg.norm(flow, axis=-1) > floor
    return np.asarray((flow * moves[..., None]).sum(axis=(0, 1)))


def agreement(moved: Sequence[Float64Array], direction: npt.ArrayLike) -> float:
    """`direction_agreement` of the sums of all pairs, (2,) each.

    Examples:
        >>> agreement([np.array((2.0, 0.0)), np.array((2.0, 0.0))], (-1.0, 0.0))
        -1.0
    """
    total, wanted = np.sum(moved, axis=0), np.asarray(direction, dtype=np.float64)
    length = float(np.linalg.norm(total) * np.linalg.norm(wanted))
    return float(total @ wanted) / length if length > 0 else 0.0


def _later(frames: npt.ArrayLike) -> Float64Array:
    shown = np.asarray(frames, dtype=np.float64)
    if shown.ndim != 4 or len(shown) < 2:
        raise EvalError(
            f"exact measures: frames must be (F, H, W, 3) with F of 2 or more, got {shown.shape}"
        )
    return shown[1:]


def _bilinear(image: Float64Array, x: Float64Array, y: Float64Array) -> Float64Array:
    """Values of `image` (H, W) at pixel coordinates; 0 outside."""
    padded = np.pad(image, 1)
    across, down = np.clip(x + 1, 0, image.shape[1]), np.clip(y + 1, 0, image.shape[0])
    left, top = np.floor(across).astype(int), np.floor(down).astype(int)
    right, bottom = across - left, down - top
    upper = padded[top, left] * (1 - right) + padded[top, left + 1] * right
    lower = padded[top + 1, left] * (1 - right) + padded[top + 1, left + 1] * right
    return np.asarray(upper * (1 - bottom) + lower * bottom)
