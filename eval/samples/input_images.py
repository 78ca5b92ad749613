"""Input images of samples: large enough to say something, and drawn in their own shape."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.clips.images import read_image
from eval.errors import EvalError
from eval.samples import Sample

SMALLEST = 8
"""Px of the shorter side. The VAEs of Stable Diffusion make one latent pixel of 8 x 8: of a smaller
picture not even that is left to keep."""
_STRETCHED = 1.05
"""Ratio of two aspect ratios that is noted. Sides in multiples of 8 px alone change less."""


def read_input(path: Path, *, where: str = "image") -> NDArray[np.uint8]:
    """An input image as uint8 (H, W, 3) RGB; see `eval.clips.images.read_image`.

    Raises:
        EvalError: naming the file: it cannot be read, or a side has fewer than `SMALLEST` px.
    """
    image = read_image(path, where=where)
    height, width = image.shape[:2]
    if min(height, width) < SMALLEST:
        raise EvalError(
            f"{where}: '{path}' is {width} x {height} px (width x height); each side needs at "
            f"least {SMALLEST}. Give a larger picture"
        )
    return image


def stretching(samples: Iterable[Sample], cells: Iterable[Any]) -> list[str]:
    """A sentence for each size to which methods stretch images of another shape.

    Args:
        samples: with their images.
        cells: with `settings`, of which ``height`` and ``width`` (None: the image's) are looked
            at, and their `instance`; methods that do not draw the image are left out.
    """
    sizes = {
        (cell.settings.get("height"), cell.settings.get("width"))
        for cell in cells
        if getattr(cell.instance, "first_frame", "") != "free"
    }
    notes = []
    for height, width in sorted(sizes, key=str):
        found: list[tuple[float, Sample, str]] = []
        total = 0
        for sample in samples:
            total += 1
            rows, columns = sample.image.shape[:2]
            wide, high = width or columns, height or rows
            factor = math.exp(abs(math.log((wide / high) / (columns / rows))))
            if factor > _STRETCHED:
                found.append((factor, sample, f"{wide} x {high}"))
        if found:
            factor, worst, size = max(found, key=lambda row: row[0])
            rows, columns = worst.image.shape[:2]
            notes.append(
                f"{len(found)} of {total} images are stretched to another shape, most of all "
                f"'{worst.id}': {columns} x {rows} px (width x height) to {size}, one side "
                f"{100 * (factor - 1):.0f}% more than the other; crop the images, or set height "
                "and width to their shape"
            )
    return notes
