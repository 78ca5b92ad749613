"""The glyphs of the glyph world: which characters, and their masks.

All shapes come from the DejaVu Sans that matplotlib ships, so a fresh machine has them. Three
disjoint sets:

- `SEEN`: named shapes that every generator is trained on;
- `UNSEEN`: named shapes that no generator ever sees (the encoders do);
- wild shapes: everything else in the font that is solid enough, and thousands of drawn ones
  (`eval.world.shapes`). They widen the generators' idea of "a shape" and are captioned with the
  names of `UNSEEN` at random, so those words are familiar to the text encoder and say nothing about
  what to draw.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from eval.world.shapes import shape

SEEN: dict[str, str] = {
    "square": "■",
    "moon": "☾",
    "triangle": "▲",
    "diamond": "♦",
    "heart": "♥",
    "spade": "♠",
    "club": "♣",
    "star": "★",
    "telephone": "☎",
    "cloud": "☁",
    "umbrella": "☂",
    "king": "♚",
    "rook": "♜",
    "knight": "♞",
    "pawn": "♟",
    "flag": "⚑",
    "airplane": "✈",
    "cross": "✚",
    "flower": "✿",
    "sun": "☀",
    "burst": "✸",
    "shield": "☗",
    "scissors": "✂",
    "cone": "◭",
}
UNSEEN: dict[str, str] = {
    "queen": "♛",
    "bishop": "♝",
    "clover": "☘",
    "anchor": "⚓",
    "skull": "☠",
    "note": "♬",
    "check": "✔",
    "pentagon": "⬟",
    "face": "☻",
    "hand": "☛",
    "medal": "✪",
    "gear": "⚙",
}
GLYPHS: dict[str, str] = SEEN | UNSEEN

# Close relatives of the unseen shapes (outlined twins, mirror images, other weights): kept out of
# the wild set too.
_RELATIVES = "♕♗☚☜☞☺✓☑♩♪♫⚇⚆⬠⭓⭔☸✩✫✬✭✮✯⍟❂"
_WILD_BLOCKS = ((0x23, 0x7F), (0x391, 0x3CA), (0x410, 0x450), (0x2190, 0x2800), (0x2B00, 0x2B60))
MASK_SIZE = 192  # px; the glyph's larger side fills MASK_SIZE - 2 * MASK_MARGIN
MASK_MARGIN = 16
_SHAPE, _SHAPES = "shape-", 3000
_STROKE = 5  # px at 256 px type: thin strokes would vanish at an eighth of that size


@lru_cache(maxsize=1)
def _font_path() -> Path:
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


def mask(character: str) -> np.ndarray:
    """Coverage of one character or drawn shape (`shape-12`), float32 (MASK_SIZE, MASK_SIZE) in [0,
    1], its larger side fitted and centred."""
    return _mask_bytes(character).astype(np.float32) / 255.0


@lru_cache(maxsize=4096)
def _mask_bytes(character: str) -> np.ndarray:
    from PIL import Image

    canvas = _drawn(character)
    box = canvas.getbbox()
    if box is None:
        raise ValueError(
            f"glyph {character!r} (U+{ord(character):04X}) is blank in {_font_path().name}"
        )
    glyph = canvas.crop(box)
    inner = MASK_SIZE - 2 * MASK_MARGIN
    ratio = inner / max(glyph.size)
    width, height = (max(1, round(side * ratio)) for side in glyph.size)
    fitted = Image.new("L", (MASK_SIZE, MASK_SIZE))
    fitted.paste(
        glyph.resize((width, height), Image.Resampling.LANCZOS),
        ((MASK_SIZE - width) // 2, (MASK_SIZE - height) // 2),
    )
    return np.asarray(fitted)


def _drawn(character: str):
    """The character at 256 px type, or the drawn shape, as a PIL image with room around it."""
    from PIL import Image, ImageDraw, ImageFont

    if character.startswith(_SHAPE):
        return Image.fromarray(shape(int(character.removeprefix(_SHAPE))))
    font = ImageFont.truetype(str(_font_path()), 256)
    canvas = Image.new("L", (640, 640))
    ImageDraw.Draw(canvas).text(
        (320, 320), character, font=font, fill=255, anchor="mm", stroke_width=_STROKE
    )
    return canvas


@lru_cache(maxsize=1)
def wild_characters() -> tuple[str, ...]:
    """Characters outside `GLYPHS` that are solid enough to survive a 64 px frame (about 400), and
    the drawn shapes.
    """
    from fontTools.ttLib import TTFont

    present = set(TTFont(_font_path()).getBestCmap())
    excluded = set(GLYPHS.values()) | set(_RELATIVES)
    chosen = []
    for first, last in _WILD_BLOCKS:
        for code in range(first, last):
            character = chr(code)
            if (
                code not in present
                or character in excluded
                or 0x2500 <= code < 0x25A0
                or 0x2630 <= code < 0x2638
            ):
                continue
            try:
                coverage = mask(character)
            except ValueError:
                continue
            rows, columns = coverage.max(axis=1) > 0.5, coverage.max(axis=0) > 0.5
            if coverage.mean() > 0.30 and min(rows.sum(), columns.sum()) > 0.4 * MASK_SIZE:
                chosen.append(character)
    return (*chosen, *(f"{_SHAPE}{number}" for number in range(_SHAPES)))
