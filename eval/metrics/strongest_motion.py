"""The one camera motion that a clip shows most of, from all of its tracks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError
from eval.metrics.camera_motion import (
    CLASSES,
    THRESHOLD,
    asked_class,
    asks_for_motion,
    query_points,
)
from eval.metrics.definitions import Definition, Features, metric

ROUNDS = 10
"""Of reweighting, which leaves out points that move by themselves."""


def strongest_motion(tracks: npt.ArrayLike, height: int, width: int) -> str:
    """The camera motion that explains most of what the tracks do between first and last frame.

    A shift and a scale about the middle of the frame are fitted to all points by least absolute
    deviations, so that things that move by themselves have little weight. The largest of the shift
    to the side, the shift up or down, and what the scale does to a point half the shorter side
    from the middle, all in px, names the motion; up to 0.005 of the shorter side it is static.

    Args:
        tracks: float (T, N, 2), (x, y) in px; T and N >= 2.
        height: of the frames, px.
        width: of the frames, px.

    Returns:
        One of `eval.metrics.camera_motion.CLASSES`.

    Raises:
        EvalError: another shape, or values that are not finite.

    Example:
        >>> first = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0], [100.0, 100.0]])
        >>> strongest_motion([first, (first - 50) * 1.2 + 53], 100, 100)
        'zoom_in'
    """
    points = np.asarray(tracks, dtype=np.float64)
    if points.ndim != 3 or points.shape[2] != 2 or min(points.shape[:2]) < 2:
        raise EvalError(
            f"camera motion: tracks must have shape (T, N, 2), T and N 2 or more, got "
            f"{points.shape}"
        )
    if not np.isfinite(points[[0, -1]]).all():
        raise EvalError("camera motion: tracks of the first or last frame are not finite")
    from_middle = points[0] - ((width - 1) / 2, (height - 1) / 2)
    moved = points[-1] - points[0]
    design = np.zeros((*moved.shape, 3))  # px moved = shift (x, y) and (scale - 1) x place
    design[:, 0, 0] = design[:, 1, 1] = 1
    design[..., 2] = from_middle
    weights = np.ones(len(moved))
    for _ in range(ROUNDS):
        root = np.sqrt(weights)[:, None]
        fit = np.linalg.lstsq(
            (design * root[..., None]).reshape(-1, 3), (moved * root).reshape(-1), rcond=None
        )[0]
        away = np.linalg.norm(moved - design @ fit, axis=1)
        weights = 1 / np.maximum(away, 1e-3 * min(height, width))
    shift_x, shift_y, growth = fit
    sizes = {
        "pan_left" if shift_x > 0 else "pan_right": abs(shift_x),
        "tilt_up" if shift_y > 0 else "tilt_down": abs(shift_y),
        "zoom_in" if growth > 0 else "zoom_out": abs(growth) * min(height, width) / 2,
    }
    name = max(sizes, key=lambda motion: sizes[motion])
    return name if sizes[name] > THRESHOLD * min(height, width) else "static"


@metric(
    Definition(
        name="camera_motion",
        kind="tracks",
        needs=("prompt",),
        about=asks_for_motion,
        unit="share of clips",
        higher_is_better=True,
        description="1 if the camera motion that the prompt asks for is the strongest one of 100 "
        "tracks, else 0; of prompts that ask for none there is no value.",
        source="This suite; the grid, the threshold and the words are VBench's",
        caution="Looks at the first and last frame only, and knows no roll. Where most of the "
        "frame is a thing that moves by itself, its motion is taken for the camera's.",
        cannot_see="What lies between the first and the last frame, weaker motions beside the "
        "strongest one, and anything about the picture itself.",
    )
)
def _camera_motion(features: Features) -> float:
    height, width = features.clip.frames.shape[1:3]
    tracks = features.tracks(query_points(height, width))
    asked = asked_class(features.known_prompt())
    assert asked in CLASSES
    return float(strongest_motion(tracks, height, width) == asked)
