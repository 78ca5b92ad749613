"""A clip out of a video file: frames at a stride, scaled and cropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from i2v_adapter.media.errors import MediaError
from i2v_adapter.media.video import Hdr, Video


class UnusableVideoError(Exception):
    """A video that training skips; the message is the reason."""


class VideoClip(NamedTuple):
    """Frames of a video, uint8 (F, H, W, 3), RGB, and what reading changed, in words."""

    frames: np.ndarray
    notes: list[str]


def read_clip(
    file: str | BinaryIO,
    frames: int,
    stride: int,
    choose_start: Callable[[int], int],
    hdr: Hdr = "refuse",
) -> VideoClip:
    """Every `stride`-th frame of a video, `frames` in all, as a player shows them.

    Frames are decoded from the key frame before the start, by the reader that evaluation uses
    (:class:`i2v_adapter.media.video.Video`); what it refuses is unusable here.

    Args:
        file: path, or a seekable binary file.
        frames: F.
        stride: distance between two of them.
        choose_start: number of possible starts -> the start, in 0..number - 1.
        hdr: what is done with HDR video.

    Raises:
        UnusableVideoError: the video is missing, damaged, too short, HDR, or its frame durations
            vary in the chosen part.
    """
    needed = (frames - 1) * stride + 1
    try:
        with Video(file, hdr=hdr, even=False) as video:
            if len(video) < needed:
                raise UnusableVideoError(
                    f"has {len(video)} frames with a time stamp, but {frames} at stride {stride} "
                    f"need {needed}"
                )
            start = choose_start(len(video) - needed + 1)
            picked = video.pick(range(start, start + needed, stride))
    except MediaError as error:
        raise UnusableVideoError(f"cannot be decoded ({error})") from error
    except UnusableVideoError:
        raise
    except Exception as error:  # whatever a damaged file provokes, it is that file's alone
        raise UnusableVideoError(
            f"cannot be decoded ({type(error).__name__}: {str(error)[:200]})"
        ) from error
    if len({frame.shape for frame in picked}) > 1:
        raise UnusableVideoError("changes its size within the clip")
    return VideoClip(np.stack(picked), video.notes)


def fit(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scale frames, keeping their shape, until they cover (height, width), and crop the centre.

    Args:
        frames: uint8 (F, H, W, 3).

    Returns:
        uint8 (F, height, width, 3).
    """
    _, old_height, old_width, _ = frames.shape
    factor = max(height / old_height, width / old_width)
    left, top = (old_width - width / factor) / 2, (old_height - height / factor) / 2
    box = (left, top, old_width - left, old_height - top)
    scaled = (
        Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR, box)
        for frame in frames
    )
    return np.stack([np.asarray(frame) for frame in scaled])
