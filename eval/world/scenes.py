"""Scenes of the glyph world: one coloured glyph over a shaded background, doing one thing, with
exact ground truth.

A scene is a handful of numbers; `sample_scene` draws one from a `numpy` generator, `render` turns
it into frames, masks and the exact flow field, `caption` into words. Nothing here is learned and
everything is deterministic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

import numpy as np

from eval.world.glyphs import GLYPHS, MASK_MARGIN, MASK_SIZE, UNSEEN, mask, wild_characters

SIZE = 64
FRAMES = 8
FPS = 8.0


def frames_at(side: int) -> int:
    """Frames of a clip of one second whose frames are `side` px: 8 of 64, 16 of 128."""
    return FRAMES * side // SIZE


COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (230, 45, 45),
    "orange": (245, 145, 30),
    "yellow": (250, 225, 60),
    "green": (60, 200, 70),
    "cyan": (70, 215, 225),
    "blue": (70, 120, 250),
    "pink": (250, 120, 200),
    "white": (245, 245, 245),
}
BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "black": (24, 24, 28),
    "navy": (26, 34, 92),
    "forest": (22, 70, 38),
    "maroon": (92, 20, 34),
    "brown": (96, 64, 34),
    "gray": (104, 104, 110),
}
MOTIONS: dict[str, str] = {
    "still": "standing still",
    "left": "moving left",
    "right": "moving right",
    "up": "moving up",
    "down": "moving down",
    "grow": "growing",
    "rotate": "rotating",
}
DIRECTIONS: Mapping[str, tuple[float, float]] = {
    "left": (-1.0, 0.0),
    "right": (1.0, 0.0),
    "up": (0.0, -1.0),
    "down": (0.0, 1.0),
}
"""Prompted motion -> (dx, dy); the other motions have no direction."""

_SUPERSAMPLE = 4

Draw = Callable[[str], np.ndarray]
"""A character -> its coverage, float32 (MASK_SIZE, MASK_SIZE): `mask`, or a style of
`eval.world.styles`.
"""


@dataclass(frozen=True)
class Scene:
    """What one clip shows. `speed` is px per frame: of the glyph, of its growing diameter, or of
    its turning rim. Frames are `side` px high and wide.
    """

    glyph: str
    character: str
    colour: str
    background: str
    motion: str
    speed: float
    size: float  # px, the glyph's larger side in frame 0
    x: float  # px, the glyph's centre in frame 0
    y: float
    shade_angle: float  # radians
    shade: float  # relative brightness change from edge to edge
    side: int = SIZE

    def truth(self) -> dict[str, str | float]:
        """The fields as a flat mapping, for records and reports; `side` where it is not 64."""
        known = asdict(self)
        if self.side == SIZE:
            del known["side"]
        return known

    def enlarged(self, side: int) -> Scene:
        """The scene in frames of another side, at the same speed in px per frame: twice as large,
        it takes twice as many frames for the same motion.
        """
        ratio = side / self.side
        size, x, y = (ratio * value for value in (self.size, self.x, self.y))
        return replace(self, size=size, x=x, y=y, side=side)


class Rendered(NamedTuple):
    """`frames` uint8 (F, H, W, 3); `masks` float32 (F, H, W) in [0, 1]; `flow` float32 (F-1, H, W,
    2), px, (dx, dy).
    """

    frames: np.ndarray
    masks: np.ndarray
    flow: np.ndarray


def sample_scene(
    rng: np.random.Generator,
    *,
    glyphs: Sequence[str] = tuple(GLYPHS),
    motions: Sequence[str] = tuple(MOTIONS),
    wild: float = 0.0,
) -> Scene:
    """Draws a scene. With probability `wild` the shape is a wild one, captioned with the name of an
    unseen glyph.
    """
    is_wild = rng.random() < wild
    glyph = str(rng.choice(list(UNSEEN) if is_wild else list(glyphs)))
    motion = str(rng.choice(list(motions)))
    return Scene(
        glyph=glyph,
        character=str(rng.choice(list(wild_characters()))) if is_wild else GLYPHS[glyph],
        colour=str(rng.choice(list(COLOURS))),
        background=str(rng.choice(list(BACKGROUNDS))),
        motion=motion,
        speed=0.0 if motion == "still" else float(rng.uniform(1.5, 2.5)),
        size=float(rng.uniform(34.0, 40.0) if motion != "grow" else rng.uniform(30.0, 36.0)),
        x=float(SIZE / 2 + rng.uniform(-3.0, 3.0)),
        y=float(SIZE / 2 + rng.uniform(-3.0, 3.0)),
        shade_angle=float(rng.uniform(0.0, 2.0 * np.pi)),
        shade=float(rng.uniform(0.2, 0.5)),
    )


def describe(colour: str, glyph: str, motion: str, background: str) -> str:
    """The prompt, for instance "an orange star moving left over a navy background"."""
    article = "an" if colour[0] in "aeiou" else "a"
    return f"{article} {colour} {glyph} {MOTIONS[motion]} over a {background} background"


def caption(scene: Scene) -> str:
    """The prompt of a scene."""
    return describe(scene.colour, scene.glyph, scene.motion, scene.background)


def pose(scene: Scene, frame: int) -> tuple[float, float, float, float]:
    """Centre x and y (px), size (px) and angle (radians, positive turns clockwise on screen) at a
    frame.
    """
    dx, dy = DIRECTIONS.get(scene.motion, (0.0, 0.0))
    travel = scene.speed * frame
    size = scene.size + (travel if scene.motion == "grow" else 0.0)
    angle = travel / (scene.size / 2.0) if scene.motion == "rotate" else 0.0
    return scene.x + dx * travel, scene.y + dy * travel, size, angle


def _glyph_mask(scene: Scene, frame: int, draw: Draw) -> np.ndarray:
    import cv2

    x, y, size, angle = pose(scene, frame)
    scale = size * _SUPERSAMPLE / (MASK_SIZE - 2 * MASK_MARGIN)
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    middle = (MASK_SIZE - 1) / 2.0
    centre_x, centre_y = x * _SUPERSAMPLE - 0.5, y * _SUPERSAMPLE - 0.5
    matrix = np.array(
        [
            [cosine, -sine, centre_x - cosine * middle + sine * middle],
            [sine, cosine, centre_y - sine * middle - cosine * middle],
        ]
    )
    large = (scene.side * _SUPERSAMPLE, scene.side * _SUPERSAMPLE)
    drawn = cv2.warpAffine(draw(scene.character), matrix, large, flags=cv2.INTER_LINEAR)
    return cv2.resize(drawn, (scene.side, scene.side), interpolation=cv2.INTER_AREA)


def _background(scene: Scene) -> np.ndarray:
    side = scene.side
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float32) / (side - 1) - 0.5
    ramp = columns * np.cos(scene.shade_angle) + rows * np.sin(scene.shade_angle)
    return np.asarray(BACKGROUNDS[scene.background], dtype=np.float32) * (
        1.0 + scene.shade * ramp[..., None]
    )


def _flow(scene: Scene, frame: int, inside: np.ndarray) -> np.ndarray:
    """Exact displacement of every glyph pixel from `frame` to the next; the background does not
    move.
    """
    x, y, size, angle = pose(scene, frame)
    next_x, next_y, next_size, next_angle = pose(scene, frame + 1)
    rows, columns = np.mgrid[0 : scene.side, 0 : scene.side].astype(np.float32) + 0.5
    from_x, from_y = columns - x, rows - y
    turn, ratio = next_angle - angle, next_size / size
    to_x = ratio * (np.cos(turn) * from_x - np.sin(turn) * from_y) + next_x
    to_y = ratio * (np.sin(turn) * from_x + np.cos(turn) * from_y) + next_y
    field = np.stack([to_x - columns, to_y - rows], axis=-1)
    return (field * (inside[..., None] > 0.5)).astype(np.float32)


def render_frame(scene: Scene, frame: int, draw: Draw = mask) -> tuple[np.ndarray, np.ndarray]:
    """One frame, uint8 (H, W, 3), and its mask, float32 (H, W): the bytes of `render`, at an eighth
    of the cost.
    """
    drawn = _glyph_mask(scene, frame, draw)[..., None]
    painted = (
        _background(scene) * (1.0 - drawn)
        + np.asarray(COLOURS[scene.colour], dtype=np.float32) * drawn
    )
    return np.clip(np.rint(painted), 0, 255).astype(np.uint8), drawn[..., 0]


def render(scene: Scene, frames: int = FRAMES, draw: Draw = mask) -> Rendered:
    """Renders the scene with its ground truth. Raises ValueError for fewer than one frame."""
    if frames < 1:
        raise ValueError(f"frames must be at least 1, got {frames}")
    drawn = [render_frame(scene, frame, draw) for frame in range(frames)]
    masks = np.stack([inside for _, inside in drawn])
    flow = [_flow(scene, frame, masks[frame]) for frame in range(frames - 1)]
    return Rendered(
        frames=np.stack([painted for painted, _ in drawn]),
        masks=masks,
        flow=np.stack(flow) if flow else np.zeros((0, scene.side, scene.side, 2), np.float32),
    )
