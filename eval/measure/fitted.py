"""Pictures at the size of a clip, for measures that compare pixel with pixel."""

from __future__ import annotations

import numpy as np

from eval.io.arrays import Float64Array, UInt8Array


def fitted(image: UInt8Array, height: int, width: int) -> Float64Array:
    """The image in [0, 1] at another size: bicubic, antialiased, clamped, in float32; the shorter
    of the two scaled sides fills its side of the target and the other is cropped at the centre.

    Args:
        image: uint8 (h, w, 3).
        height: of the result, px.
        width: of the result, px.

    Returns:
        float64 (height, width, 3); an image of that size already is returned unchanged.

    Examples:
        >>> fitted(np.full((20, 40, 3), 51, np.uint8), 8, 8)[0, 0].round(6).tolist()
        [0.2, 0.2, 0.2]
    """
    if image.shape[:2] == (height, width):
        return image / 255.0
    import torch
    from torch.nn import functional

    rows, columns = image.shape[:2]
    if height * columns >= width * rows:
        size = (height, max(width, round(height * columns / rows)))
    else:
        size = (max(height, round(width * rows / columns)), width)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
    scaled = functional.interpolate(pixels, size, mode="bicubic", antialias=True).clamp(0, 1)
    top, left = round((size[0] - height) / 2), round((size[1] - width) / 2)
    cropped = scaled[0, :, top : top + height, left : left + width]
    return np.asarray(cropped.permute(1, 2, 0).numpy().astype(np.float64))


def squashed(frames: UInt8Array, side: int) -> UInt8Array:
    """uint8 (F, H, W, 3) to (F, side, side, 3) by PIL's bilinear filter."""
    from PIL import Image

    small = (Image.fromarray(f).resize((side, side), Image.Resampling.BILINEAR) for f in frames)
    return np.stack([np.asarray(frame) for frame in small])


def stretched(frame: UInt8Array, height: int, width: int) -> UInt8Array:
    """uint8 (H, W, 3) to (height, width, 3) by OpenCV's bilinear filter, without antialiasing."""
    import cv2

    return np.asarray(cv2.resize(np.ascontiguousarray(frame), (width, height)), dtype=np.uint8)
