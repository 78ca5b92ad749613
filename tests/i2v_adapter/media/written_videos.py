"""Videos that tests write, and how they are read back."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from i2v_adapter.media.video import Video

Frames = NDArray[np.uint8]
ROWS, COLUMNS = np.mgrid[0:32, 0:48]
FRAMES = np.stack(
    [
        np.stack([COLUMNS * 5, ROWS * 7, np.full_like(ROWS, 30 * i)], axis=-1).astype(np.uint8)
        for i in range(8)
    ]
)
"""Smooth frames, 32 x 48, that the left, the right, the top and the bottom tell apart."""


def write(
    path: Path,
    frames: Sequence[Frames] = FRAMES,
    *,
    codec: str = "libx264",
    pixels: str = "yuv444p",
    prepare: Callable[[Any], None] = lambda stream: None,
    paint: Callable[[Any], None] = lambda frame: None,
    **options: str,
) -> Path:
    """A video without loss where the codec can; `prepare` gets its stream, `paint` each frame."""
    with av.open(str(path), "w", container_options=options) as file:
        settings = {"qp": "0", "preset": "ultrafast"} if codec == "libx264" else {}
        stream = file.add_stream(codec, rate=8, options=settings)
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], pixels
        stream.codec_context.colorspace = 6
        prepare(stream)
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame = frame.reformat(format=pixels)
            frame.pts = number
            paint(frame)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def read(path: Path, **options: Any) -> tuple[Frames, list[str], float | None]:
    with Video(path, **options) as video:
        frames = np.stack(list(video))
        return frames, video.notes, video.fps


def with_b_frames(stream: Any) -> None:
    stream.codec_context.max_b_frames = 2
    stream.codec_context.gop_size = 12
