"""Clips and images as pictures that travel inside the page.

A clip becomes one film strip, its frames side by side in a single WebP picture. The page shows one
frame's width of it and moves the window in steps (CSS), so that all clips share one clock, can be
paused, and obey `prefers-reduced-motion`; none of which a browser offers for animated pictures.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eval.clips.images import read_image
from eval.errors import EvalError

if TYPE_CHECKING:
    from PIL import Image

    from eval.clips.lossless import Clip

LONGEST_SIDE = 160
"""Frames with a longer side are reduced to it for the page."""
_WEBP_SIDE = 16383  # the format's limit


@dataclass(frozen=True)
class Film:
    """A picture for the page: a film strip, or a still image (`frames` = 1).

    Attributes:
        uri: data URI of a WebP picture, `frames` frames side by side.
        width, height: size of one frame in px, as embedded.
        frames: number of frames.
        seconds: duration of one loop.
        reduced: whether the frames were made smaller (and lossy) for the page.
    """

    uri: str
    width: int
    height: int
    frames: int = 1
    seconds: float = 0.0
    reduced: bool = False


def film(clip: Clip) -> Film:
    """A clip, uint8 (F, H, W, 3), as a film strip: lossless up to `LONGEST_SIDE` px, else reduced
    and lossy.

    Raises:
        EvalError: more frames than one picture can hold.
    """
    import numpy as np
    from PIL import Image

    count, height, width, _ = clip.frames.shape
    frames = clip.frames
    reduced = max(height, width) > LONGEST_SIDE
    if reduced:
        width, height = _fitted(width, height)
        size = (width, height)
        frames = np.stack(
            [np.asarray(Image.fromarray(f).resize(size, Image.Resampling.LANCZOS)) for f in frames]
        )
    if count * width > _WEBP_SIDE:
        most = _WEBP_SIDE // width
        raise EvalError(
            f"a clip of {count} frames is too long for the page, which holds {most} of {width} px "
            "width"
        )
    strip = Image.fromarray(np.concatenate(list(frames), axis=1))
    return Film(_uri(strip, lossless=not reduced), width, height, count, count / clip.fps, reduced)


def picture(path: Path) -> Film:
    """An image file as a still picture, reduced like `film`.

    Raises:
        EvalError: the file is not a readable image.
    """
    from PIL import Image

    try:
        image = Image.fromarray(read_image(path))
    except EvalError as error:
        raise EvalError(f"{path}: not a readable image ({error})") from error
    reduced = max(image.size) > LONGEST_SIDE
    if reduced:
        image = image.resize(_fitted(*image.size), Image.Resampling.LANCZOS)
    return Film(_uri(image, lossless=not reduced), image.width, image.height, reduced=reduced)


def _fitted(width: int, height: int) -> tuple[int, int]:
    scale = LONGEST_SIDE / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _uri(image: Image.Image, *, lossless: bool) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=lossless, quality=80, method=2, exact=True)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
