"""Position maps: where the glyph is to be in every frame, for the glyph world's ControlNet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

import numpy as np

from eval.errors import EvalError
from eval.world.scenes import SIZE, Scene, pose

AGAINST: Mapping[str, str] = {
    "left": "right",
    "right": "left",
    "up": "down",
    "down": "up",
    "still": "right",
    "grow": "left",
    "rotate": "up",
}
"""A prompt's motion -> a direction that it does not ask for: a map of it shows whether map or word
is obeyed.
"""
_WORDS = ("glyph", "character", "colour", "background", "motion")
_SPEED = 2.0  # px per frame, of a control that moves against its prompt


def scene_of(truth: Scene | Mapping[str, str | float]) -> Scene:
    """The scene that a map shows: the ground truth's, moving as its `control` says where it has
    one.

    Raises:
        EvalError: naming the fields of a scene that the ground truth lacks.
    """
    if isinstance(truth, Scene):
        return truth
    names = [field.name for field in fields(Scene) if field.name != "side"]
    if missing := [name for name in names if name not in truth]:
        raise EvalError(
            f"not a scene of the glyph world: the ground truth lacks {', '.join(missing)}"
        )
    values = {name: str(truth[name]) if name in _WORDS else float(truth[name]) for name in names}
    scene = Scene(**values, side=int(truth.get("side", SIZE)))  # type: ignore[arg-type]
    return (
        replace(scene, motion=str(truth["control"]), speed=_SPEED) if "control" in truth else scene
    )


def discs(places: np.ndarray, side: int = SIZE) -> np.ndarray:
    """Centre x, y and diameter in px, float (..., 3) -> coverage of the discs, float32 (..., side,
    side) in [0, 1].
    """
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float32) + 0.5
    x, y, size = (places[..., index, None, None].astype(np.float32) for index in range(3))
    return np.clip(size / 2.0 + 0.5 - np.hypot(columns - x, rows - y), 0.0, 1.0)


def places(scene: Scene, frames: int) -> np.ndarray:
    """Centre x, y and size of the glyph in px, float32 (F, 3)."""
    return np.asarray([pose(scene, frame)[:3] for frame in range(frames)], dtype=np.float32)


def position_maps(truth: Scene | Mapping[str, str | float], frames: int) -> np.ndarray:
    """A white disc of the glyph's size where the glyph is, on black: uint8 (F, side, side, 3).

    Args:
        truth: a scene, or a sample's ground truth that holds one; see `scene_of`.
        frames: F, at least 1.

    Raises:
        EvalError: fewer than one frame, or a ground truth that lacks a field of a scene.
    """
    if frames < 1:
        raise EvalError(f"frames must be at least 1, got {frames}")
    scene = scene_of(truth)
    drawn = np.rint(discs(places(scene, frames), scene.side) * 255.0).astype(np.uint8)
    return np.repeat(drawn[..., None], 3, axis=-1)
