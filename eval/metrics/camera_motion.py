"""VBench's camera motion: verdicts from point tracks, which VBench takes from CoTracker2."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError
from eval.io.arrays import Float32Array
from eval.metrics.definitions import Definition, Features, metric

if TYPE_CHECKING:
    from eval.samples import Sample

GRID = 10
"""Points of a side of the grid on frame 0: N = 100 tracks, row by row."""

THRESHOLD = 0.005
"""Share of the shorter side that a point must exceed to move."""

CLASSES = ("pan_left", "pan_right", "tilt_up", "tilt_down", "zoom_in", "zoom_out", "static")
NO_CLASS = "None"
"""Verdict where no class fits, as VBench's files write it."""

_BOTH = {
    ("left", "left"): "pan_right",
    ("right", "right"): "pan_left",
    ("down", "down"): "tilt_up",
    ("up", "up"): "tilt_down",
    ("static", "static"): "static",
}
_TOP_BOTTOM = _BOTH | {("up", "down"): "zoom_in", ("down", "up"): "zoom_out"}
_LEFT_RIGHT = _BOTH | {("left", "right"): "zoom_in", ("right", "left"): "zoom_out"}
_ASKED = {
    "camera pans left": "pan_left",
    "camera pans right": "pan_right",
    "camera tilts up": "tilt_up",
    "camera tilts down": "tilt_down",
    "camera zooms in": "zoom_in",
    "camera zooms out": "zoom_out",
    "camera static": "static",
}


def camera_verdicts(tracks: npt.ArrayLike, height: int, width: int) -> tuple[str, ...]:
    """The camera motions that the tracks of a clip show, by VBench's rule.

    Coordinates are truncated to integers; only the first and the last frame count. Four points,
    one near the middle of each edge of the grid, move right, left, down or up where they exceed
    0.005 min(H, W) px, by up to two words each. The words of the top and the bottom point, and
    those of the left and the right point, give the classes.

    Args:
        tracks: float (T, 100, 2), (x, y) in px of a 10 x 10 grid, row by row; T >= 2.
        height: of the frames, px.
        width: of the frames, px.

    Returns:
        One or more of `CLASSES` in that order, or (`NO_CLASS`,). Static stands alone.

    Raises:
        EvalError: another shape, one frame, values that are not finite, or an empty frame.

    Source: Huang et al. 2024 (VBench), vbench2_beta_i2v/camera_motion.py.

    Example:
        >>> first = np.full((100, 2), 50.0)
        >>> camera_verdicts([first, first + [9.0, 0.0]], 256, 256)
        ('pan_left',)
    """
    points = np.asarray(tracks, dtype=np.float64)
    if points.ndim != 3 or points.shape[1:] != (GRID * GRID, 2) or len(points) < 2:
        raise EvalError(
            f"camera motion: tracks must have shape (T, {GRID * GRID}, 2), T 2 or more, got "
            f"{points.shape}"
        )
    if not np.isfinite(points[[0, -1]]).all():
        raise EvalError("camera motion: tracks of the first or last frame are not finite")
    if min(height, width) < 1:
        raise EvalError(f"camera motion: frames of {width} x {height} px are empty")
    first, last = np.trunc(points[[0, -1]]).reshape(2, GRID, GRID, 2)
    moved = last - first
    middle, end = GRID // 2, GRID - 1
    top, bottom, left, right = (
        _words(moved[place], THRESHOLD * min(height, width))
        for place in ((0, middle), (end, middle), (middle, 0), (middle, end))
    )
    found = _classes(top, bottom, _TOP_BOTTOM) | _classes(left, right, _LEFT_RIGHT)
    for weaker in ("static", NO_CLASS):
        if len(found) > 1:
            found.discard(weaker)
    return tuple(name for name in (*CLASSES, NO_CLASS) if name in found)


def camera_motion(tracks: npt.ArrayLike, height: int, width: int, asked: str) -> float:
    """1 if the class that the prompt asks for is among `camera_verdicts`, else 0.

    Args:
        tracks: as `camera_verdicts`.
        height: of the frames, px.
        width: of the frames, px.
        asked: one of `CLASSES`; see `asked_class`.

    Raises:
        EvalError: an unknown class, or as `camera_verdicts`.

    Examples:
        >>> still = np.repeat(query_points(384, 512)[None], 16, axis=0)
        >>> camera_motion(still, 384, 512, "static"), camera_motion(still, 384, 512, "zoom_in")
        (1.0, 0.0)
    """
    if asked not in CLASSES:
        raise EvalError(f"camera motion {asked!r}: unknown. Allowed: {', '.join(CLASSES)}.")
    return float(asked in camera_verdicts(tracks, height, width))


def asked_class(prompt: str) -> str:
    """The class that a prompt, or the file name made of it, asks for.

    Raises:
        EvalError: the text names no camera motion in VBench's words.

    Example:
        >>> asked_class("a boat on a lake, camera zooms in-0.mp4")
        'zoom_in'
    """
    for words, name in _ASKED.items():
        if words in prompt:
            return name
    raise EvalError(
        f"camera motion: {prompt!r} names no camera motion. Expected one of: {', '.join(_ASKED)}."
    )


def query_points(height: int, width: int) -> Float32Array:
    """VBench's 10 x 10 grid on frame 0, row by row: float32 (100, 2), (x, y) in px.

    It is CoTracker2's: 8 px from the edges of a frame of 512 x 384 px, scaled to this one.

    Example:
        >>> query_points(384, 512)[[0, 99]].tolist()
        [[8.0, 8.0], [504.0, 376.0]]
    """
    xs = (8 + np.arange(GRID) * 496 / 9) * (width - 1) / 511
    ys = (8 + np.arange(GRID) * 368 / 9) * (height - 1) / 383
    x, y = np.meshgrid(xs, ys)
    return np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32)


def asks_for_motion(sample: Sample) -> bool:
    """Whether the sample's prompt names one of VBench's camera motions."""
    return any(words in sample.prompt for words in _ASKED)


def _words(vector: npt.NDArray[np.float64], threshold: float) -> list[str]:
    x, y = vector
    words = []
    if abs(x) > threshold:
        words.append("right" if x > 0 else "left")
    if abs(y) > threshold:
        words.append("down" if y > 0 else "up")
    return words or ["static"]


def _classes(
    one: Sequence[str], other: Sequence[str], names: dict[tuple[str, str], str]
) -> set[str]:
    pairs = itertools.product(one, other)
    return {names[pair] for pair in pairs if pair in names} or {NO_CLASS}


@metric(
    Definition(
        name="vbench.camera_motion",
        kind="tracks",
        needs=("prompt",),
        about=asks_for_motion,
        unit="share of clips",
        higher_is_better=True,
        description="1 if the camera motion that the prompt asks for is among those that four "
        "tracks show, else 0; of prompts that ask for none there is no value.",
        source="Huang et al. 2024 (VBench), vbench2_beta_i2v/camera_motion.py",
        published="cotracker2",
        caution="Only the first and last frame and four points of 100 count. The rule names "
        "several motions at once, any of which may be the one that is asked for: a strong zoom "
        "shows pan and tilt too, because row and column 5 of 10 lie off the middle. "
        "camera_motion names one.",
        cannot_see="What lies between the first and the last frame, how fast and how evenly the "
        "camera moves, and anything about the picture itself.",
    )
)
def _camera_motion(features: Features) -> float:
    height, width = features.clip.frames.shape[1:3]
    tracks = features.tracks(query_points(height, width))
    return camera_motion(tracks, height, width, asked_class(features.known_prompt()))
