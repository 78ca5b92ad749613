"""Ways to draw a glyph: what a style LoRA learns and the style classifier tells apart.

A style changes the coverage of a character before it is posed, so it moves, grows and turns with
the glyph, and colour, background, motion and caption stay as they are: `render(scene,
draw=STYLES["inverted"])`. Outlines were tried first: a third of the glyphs are so thin that their
outline is the glyph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np

from eval.world.glyphs import mask

_RIM = 4  # mask px around the plate that stay empty, so that its edge is drawn smoothly


@lru_cache(maxsize=4096)
def inverted(character: str) -> np.ndarray:
    """Coverage of a square plate that the character is cut out of, float32 (MASK_SIZE, MASK_SIZE)
    in [0, 1]: the plate has the glyph's colour, the glyph shows the background."""
    cut = 1.0 - mask(character)
    plate = np.zeros_like(cut)
    plate[_RIM:-_RIM, _RIM:-_RIM] = 1.0
    return cut * plate


STYLES: Mapping[str, Callable[[str], np.ndarray]] = {"plain": mask, "inverted": inverted}
"""Style -> the coverage it draws, float32 (MASK_SIZE, MASK_SIZE), of a character. The base draws
the first.
"""
