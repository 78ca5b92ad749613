"""Frames side by side in one picture."""

import numpy as np
import numpy.typing as npt


def film_strip(
    frames: npt.NDArray[np.uint8], *, side: int, gap: int = 2, most: int = 8
) -> npt.NDArray[np.uint8]:
    """Up to `most` frames, spread over a clip, side by side.

    Args:
        frames: uint8 (F, H, W, 3).
        side: height of the picture, px.
        gap: white columns after each frame.
        most: how many frames at the most.

    Returns:
        uint8 (side, width, 3).
    """
    from PIL import Image

    chosen = np.unique(np.linspace(0, len(frames) - 1, most).round().astype(int))
    height, width = frames.shape[1:3]
    size = (round(width * side / height), side)
    drawn = [
        np.asarray(Image.fromarray(frames[k]).resize(size, Image.Resampling.LANCZOS))
        for k in chosen
    ]
    return np.concatenate(
        [np.pad(frame, ((0, 0), (0, gap), (0, 0)), constant_values=255) for frame in drawn], axis=1
    )
