"""Images of samples and frame folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval.clips.border import named
from eval.errors import EvalError
from i2v_adapter.media.errors import MediaError
from i2v_adapter.media.images import read_image as read


def read_image(path: Path, *, where: str = "image") -> NDArray[np.uint8]:
    """Reads an image as uint8 (H, W, 3) RGB, turned upright by its EXIF orientation.

    Raises:
        EvalError: naming the file, if it is missing, not an image, too large, has transparent
            pixels or 16-bit grey values; whatever else may be wrong with it.
    """
    with named(f"{where}: '{path}'"):
        try:
            return read(path)
        except MediaError as error:
            raise EvalError(f"{where}: '{path}' {error}") from error
