"""The one reader of images: upright 8-bit RGB, or the reason why an image cannot be read."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from i2v_adapter.media.errors import MediaError
from i2v_adapter.media.file_checks import MAX_FRAME, check_regular

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "PPM")
"""Formats by Pillow's names. Those that start other programs (EPS) are not among them."""


def read_image(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Reads an image, turned upright by its EXIF orientation.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        MediaError: missing, no regular file, not an image, more than `MAX_FRAME` pixels,
            transparent pixels, 16-bit or floating-point values. The reason follows the
            file's name in a sentence, as in "is not a readable image (...)".
    """
    from PIL import Image, ImageOps

    try:
        check_regular(Path(path))
    except MediaError as error:
        missing = str(error) == "no such file"
        raise MediaError(
            "not found" if missing else f"is not a readable image ({error})"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit is below
            Image.init()
            opened = Image.open(path, formats=[name for name in FORMATS if name in Image.OPEN])
        with opened as image:
            if image.width * image.height > MAX_FRAME:
                raise MediaError(
                    f"has {image.width} x {image.height} pixels, over the limit of {MAX_FRAME:,}; "
                    "reduce it"
                )
            if image.mode.startswith("RGB") and "16" in str([tile[3] for tile in image.tile]):
                raise MediaError("has 16 bits a channel; convert it to 8 bits a channel")
            if image.mode.startswith(("I", "F")):
                raise MediaError(f"has {image.mode} values; convert it to 8 bits a channel")
            if (
                image.has_transparency_data
                and np.asarray(image.convert("RGBA"))[..., 3].min() < 255
            ):
                raise MediaError("has transparent pixels; flatten it over a background")
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except MediaError:
        raise
    except Image.DecompressionBombError as error:  # Pillow's own limit, before the size is known
        found = re.search(r"\d+", str(error))
        count = f"{int(found[0]):,}" if found else "too many"
        raise MediaError(
            f"has {count} pixels, over the limit of {MAX_FRAME:,}; reduce it"
        ) from error
    except (OSError, ValueError, SyntaxError) as error:
        reason = str(error).split(":")[0].split(" '")[0][:200]
        raise MediaError(
            f"is not a readable image ({reason}); PNG, JPEG, WebP, BMP and TIFF are"
        ) from error
