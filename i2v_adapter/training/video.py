"""A clip out of a video file: frames at a stride, scaled and cropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

import av
import numpy as np
from av.error import FFmpegError
from PIL import Image


class UnusableVideoError(Exception):
    """A video that training skips; the message is the reason."""


def read_clip(
    file: str | BinaryIO, frames: int, stride: int, choose_start: Callable[[int], int]
) -> np.ndarray:
    """Every `stride`-th frame of a video, `frames` in all.

    The file is walked twice: packets are counted without decoding, then frames are decoded from the
    key frame before the start. Frames are found by their time stamps, so the count in the header,
    often wrong, is not used.

    Args:
        file: path, or a seekable binary file.
        frames: F.
        stride: distance between two of them.
        choose_start: number of possible starts -> the start, in 0..number - 1.

    Returns:
        uint8 (F, H, W, 3), RGB.

    Raises:
        UnusableVideoError: the video is missing, damaged or too short.
    """
    needed = (frames - 1) * stride + 1
    try:
        with av.open(file, "r") as container:
            if not container.streams.video:
                raise UnusableVideoError("holds no video stream")
            stream = container.streams.video[0]
            packets = [
                (
                    packet.pts,
                    packet.pts if packet.dts is None else min(packet.pts, packet.dts),
                    packet.is_keyframe,
                )
                for packet in container.demux(stream)
                if packet.size and packet.pts is not None and not packet.is_discard
            ]
            stamps = sorted(shown for shown, _, _ in packets)
            if len(stamps) < needed:
                raise UnusableVideoError(
                    f"has {len(stamps)} frames with a time stamp, but {frames} at stride {stride} "
                    f"need {needed}"
                )
            start = choose_start(len(stamps) - needed + 1)
            wanted = stamps[start : start + needed : stride]
            found = {}
            stream.thread_count = 1  # clips are decoded in parallel, one thread each
            # Containers seek by decoding time: a key frame decoded before a B-frame may be shown
            # after it.
            keys = [
                (shown, decoded)
                for shown, decoded, is_key in packets
                if is_key and shown <= wanted[0]
            ]
            container.seek(max(keys, default=packets[0])[1], stream=stream)
            for frame in container.decode(stream):
                if frame.pts in wanted and not frame.is_corrupt:
                    found[frame.pts] = frame.to_ndarray(format="rgb24")
                if frame.pts is not None and frame.pts >= wanted[-1]:
                    break
    except (FFmpegError, OSError) as error:
        raise UnusableVideoError(f"cannot be decoded ({error.strerror or error})") from error
    if len(found) < frames:
        raise UnusableVideoError(
            f"is damaged: {frames - len(found)} of {frames} frames cannot be decoded"
        )
    if len({frame.shape for frame in found.values()}) > 1:
        raise UnusableVideoError("changes its size within the clip")
    return np.stack([found[stamp] for stamp in wanted])


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
