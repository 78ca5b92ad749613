"""Ways to draw a glyph: what a style LoRA learns and the style judge tells apart.

A style changes the coverage of a character before it is posed, so it moves, grows and turns with the glyph, and colour,
background, motion and caption stay as they are: `render(scene, draw=STYLES["outlined"])`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np

from eval.world.glyphs import mask

_CONTOUR = 20.0  # mask px, 4.5 px of a 36 px glyph: what the VAE keeps (28 dB; striped or hatched glyphs 26)


@lru_cache(maxsize=4096)
def outlined(character: str) -> np.ndarray:
    """Coverage of the character's contour alone, float32 (MASK_SIZE, MASK_SIZE) in [0, 1]: what lies deeper than the
    contour is wide shows the background."""
    import cv2

    filled = mask(character)
    depth = cv2.distanceTransform((filled > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    return (filled * np.clip(_CONTOUR + 1.0 - depth, 0.0, 1.0)).astype(np.float32)


STYLES: Mapping[str, Callable[[str], np.ndarray]] = {"plain": mask, "outlined": outlined}
"""Style -> the coverage it draws, float32 (MASK_SIZE, MASK_SIZE), of a character."""
