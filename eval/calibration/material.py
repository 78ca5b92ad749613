"""What is corrupted: true clips of the glyph world, and still pictures under a camera that pans or
zooms.

Both come with exact optical flow, and both can be filmed again with another subject or at another
speed.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.clips.lossless import Clip
from eval.samples import Sample

GLYPH, CAMERA = "glyph", "camera"
"""The two groups of samples."""

_SEED = 8_100_000  # no training and no suite draws from it
_CANVAS = 168  # px, side of a still picture


class Filmed(NamedTuple):
    """uint8 (F, H, W, 3) and the exact flow, float32 (F-1, H, W, 2), px."""

    frames: NDArray[np.uint8]
    flow: NDArray[np.float32]


def samples(clips: int) -> list[Sample]:
    """``clips`` glyph-world clips, half of them of glyphs that generators never see, and half as
    many camera clips.
    """
    from eval.samples.glyph_world import GlyphWorldSettings, load

    settings = GlyphWorldSettings(seen=clips - clips // 2, unseen=clips // 2, seed=_SEED)
    glyphs = [dataclasses.replace(sample, group=GLYPH) for sample in load(settings)]
    return glyphs + [_camera_sample(index) for index in range(clips // 2)]


def film(sample: Sample, *, speed: float = 1.0, subject: int | None = None) -> Filmed:
    """Renders the sample's clip again, at ``speed`` times its speed and, if given, with another
    subject (drawn from a seed).
    """
    from eval.world.glyphs import GLYPHS
    from eval.world.scenes import FRAMES, Scene, render

    truth = dict(sample.truth)
    if sample.group == CAMERA:
        still = int(truth["still"]) if subject is None else subject % 2**31 + 1000
        return _pan(
            still,
            speed * float(truth["dx"]),
            speed * float(truth["dy"]),
            float(truth["zoom"]) ** speed,
        )
    scene = Scene(**truth)  # type: ignore[arg-type]
    if subject is not None:
        others = [name for name in GLYPHS if name != scene.glyph]
        name = others[subject % len(others)]
        scene = dataclasses.replace(scene, glyph=name, character=GLYPHS[name])
    rendered = render(dataclasses.replace(scene, speed=speed * scene.speed), FRAMES)
    return Filmed(rendered.frames, rendered.flow)


def unrelated(sample: Sample, seed: int) -> NDArray[np.uint8]:
    """Another clip of the same kind: uint8 (F, H, W, 3)."""
    from eval.world.scenes import FRAMES, render, sample_scene

    if sample.group == CAMERA:
        return film(_camera_sample(1000 + seed % 2**31)).frames
    return render(sample_scene(np.random.default_rng([_SEED, seed])), FRAMES).frames


def wrong_prompt(sample: Sample, words: int) -> Sample:
    """The glyph sample with 1 to 4 wrong words: colour, then background, glyph and motion."""
    from eval.world.glyphs import GLYPHS
    from eval.world.scenes import BACKGROUNDS, COLOURS, MOTIONS, Scene, caption

    scene = Scene(**dict(sample.truth))  # type: ignore[arg-type]
    rng = np.random.default_rng([_SEED, int(sample.fingerprint[:8], 16)])
    choices = {
        "colour": list(COLOURS),
        "background": list(BACKGROUNDS),
        "glyph": list(GLYPHS),
        "motion": list(MOTIONS),
    }
    changed: dict[str, Any] = {}
    for name in list(choices)[:words]:
        changed[name] = str(
            rng.choice([word for word in choices[name] if word != getattr(scene, name)])
        )
    scene = dataclasses.replace(scene, **changed)
    return dataclasses.replace(sample, prompt=caption(scene))


def _camera_sample(index: int) -> Sample:
    from eval.world.scenes import FPS

    rng = np.random.default_rng([_SEED, 1, index])
    speed, angle = rng.uniform(1.0, 2.5), rng.uniform(0, 2 * np.pi)
    zooms = index % 3 == 2
    dx, dy = (0.0, 0.0) if zooms else (speed * np.cos(angle), speed * np.sin(angle))
    zoom = float(rng.choice([1 / 1.04, 1.04])) if zooms else 1.0
    word = ("in" if zoom > 1 else "out") if zooms else ""
    filmed = _pan(index, float(dx), float(dy), zoom)
    return Sample(
        id=f"camera-{index:03d}",
        image=filmed.frames[0],
        prompt=f"a still picture, the camera {'zooms ' + word if zooms else 'pans'}",
        group=CAMERA,
        clip=Clip(filmed.frames, FPS),
        truth={"still": float(index), "dx": float(dx), "dy": float(dy), "zoom": zoom},
    )


@lru_cache(maxsize=256)
def _still(index: int) -> NDArray[np.uint8]:
    """A picture with structure at every scale: soft colours, a fine grain and a dozen glyphs, uint8
    (S, S, 3).
    """
    import cv2

    from eval.world.glyphs import GLYPHS, mask

    rng = np.random.default_rng([_SEED, 2, index])
    picture = np.full((_CANVAS, _CANVAS, 3), 110.0)
    for cells, strength in ((5, 45.0), (30, 14.0)):
        coarse = rng.normal(size=(cells, cells, 3)).astype(np.float32)
        picture += strength * cv2.resize(coarse, (_CANVAS, _CANVAS), interpolation=cv2.INTER_CUBIC)
    for _ in range(12):
        side = int(rng.integers(26, 44))
        shape = cv2.resize(
            mask(str(rng.choice(list(GLYPHS.values())))), (side, side), interpolation=cv2.INTER_AREA
        )
        row, column = rng.integers(0, _CANVAS - side, 2)
        patch = picture[row : row + side, column : column + side]
        patch += shape[..., None] * (rng.uniform(20, 245, 3) - patch)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _pan(still: int, dx: float, dy: float, zoom: float) -> Filmed:
    """A 64 x 64 window on a still picture, whose content moves by (dx, dy) px and grows by ``zoom``
    each frame.
    """
    import cv2

    from eval.world.scenes import FRAMES, SIZE

    middle, centre = (SIZE - 1) / 2, (_CANVAS - 1) / 2
    frames = []
    for index in range(FRAMES):
        step = zoom**-index
        matrix = np.array(
            [
                [step, 0.0, centre - step * middle - index * dx],
                [0.0, step, centre - step * middle - index * dy],
            ]
        )
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        frames.append(
            cv2.warpAffine(
                _still(still), matrix, (SIZE, SIZE), flags=flags, borderMode=cv2.BORDER_REFLECT
            )
        )
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    field = np.stack(
        [(zoom - 1) * (columns - middle) + dx, (zoom - 1) * (rows - middle) + dy], axis=-1
    )
    return Filmed(np.stack(frames), np.repeat(field[None].astype(np.float32), FRAMES - 1, axis=0))
