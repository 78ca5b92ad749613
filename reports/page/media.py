"""Clips and images as pictures of a page.

A clip becomes one film strip: its frames in rows and columns of a single WebP picture. The page
names each picture once, as a CSS background, and shows it wherever it is needed; it moves the
background in steps, so that all clips share one clock, can be paused and stepped, and obey
`prefers-reduced-motion`; none of which a browser offers for animated pictures.
"""

from __future__ import annotations

import base64
import hashlib
import io
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from eval.clips.images import read_image
from eval.errors import EvalError

if TYPE_CHECKING:
    from PIL import Image

    from eval.clips.lossless import Clip

QUALITY = 88
"""WebP quality of pictures that are not lossless."""
MOST_PIXELS = 48_000_000
"""Pixels of a strip, frames together, that a browser can be asked to hold; larger frames are
reduced."""
_WEBP_SIDE = 16383  # the format's limit


@dataclass(frozen=True)
class Film:
    """A picture for the page: a film strip, or a still image (`frames` = 1).

    Attributes:
        data: a WebP picture, `columns` x `rows` frames in reading order; b"" if `missing`.
        width, height: size of one frame in px, as embedded.
        columns, rows: of the strip.
        seconds: duration of one loop.
        held: how often the last frame is repeated to fill the last row.
        reduced: whether the frames were made smaller for the page.
        missing: why there is no picture; "" if there is one.
    """

    data: bytes
    width: int
    height: int
    columns: int = 1
    rows: int = 1
    seconds: float = 0.0
    held: int = 0
    reduced: bool = False
    missing: str = ""

    @property
    def frames(self) -> int:
        """Frames of the strip, repeated ones included."""
        return self.columns * self.rows

    @cached_property
    def key(self) -> str:
        """Names the picture: equal pictures have equal keys."""
        return hashlib.sha256(self.data).hexdigest()[:16]

    @property
    def uri(self) -> str:
        """The picture as a data URI."""
        return "data:image/webp;base64," + base64.b64encode(self.data).decode("ascii")


def placeholder(reason: str) -> Film:
    """Stands where a clip or an image cannot be shown."""
    return Film(b"", 1, 1, missing=reason)


def film(clip: Clip, *, lossless: bool = False, most_pixels: int = MOST_PIXELS) -> Film:
    """A clip, uint8 (F, H, W, 3), as a film strip of its own size, unless all frames together have
    more than `most_pixels`.
    """
    import numpy as np
    from PIL import Image

    frames = clip.frames
    count, height, width, _ = frames.shape
    columns, rows = _layout(count, width, height)
    scale = min(
        math.sqrt(most_pixels / (columns * rows * width * height)),
        _WEBP_SIDE / (columns * width),
        _WEBP_SIDE / (rows * height),
    )
    reduced = scale < 1
    if reduced:
        width, height = max(1, int(width * scale)), max(1, int(height * scale))
        size = (width, height)
        frames = np.stack(
            [np.asarray(Image.fromarray(f).resize(size, Image.Resampling.LANCZOS)) for f in frames]
        )
    held = columns * rows - count
    if held:
        frames = np.concatenate([frames, np.repeat(frames[-1:], held, axis=0)])
    strip = frames.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    picture = Image.fromarray(strip.reshape(rows * height, columns * width, 3))
    data = _webp(picture, lossless=lossless)
    seconds = columns * rows / clip.fps
    return Film(data, width, height, columns, rows, seconds, held, reduced)


def _layout(count: int, width: int, height: int) -> tuple[int, int]:
    """Columns and rows of a strip: one row where it fits, else as little held frames as can be."""
    if count * width <= _WEBP_SIDE:
        return count, 1
    least = math.ceil(count * width / _WEBP_SIDE)
    most = max(least, min(count, _WEBP_SIDE // height, 4 * math.isqrt(count)))
    rows = min(range(least, most + 1), key=lambda r: (math.ceil(count / r) * r - count, r))
    return math.ceil(count / rows), rows


def picture(path: Path, *, lossless: bool = False) -> Film:
    """An image file as a still picture, reduced like `film`.

    Raises:
        EvalError: the file is not a readable image.
    """
    from PIL import Image

    try:
        image = Image.fromarray(read_image(path))
    except EvalError as error:
        raise EvalError(f"{path}: not a readable image ({error})") from error
    most = 1024  # the input beside clips; the run folder has it whole
    reduced = max(image.size) > most
    if reduced:
        image.thumbnail((most, most), Image.Resampling.LANCZOS)
    return Film(_webp(image, lossless=lossless), image.width, image.height, reduced=reduced)


def _webp(image: Image.Image, *, lossless: bool) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=lossless, quality=QUALITY, method=2, exact=True)
    return buffer.getvalue()
