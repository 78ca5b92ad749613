"""Small video files whose frames say which one they are."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

LEVEL = 8
"""Frame n of a video is uniformly n * LEVEL + its base grey."""


@pytest.fixture(scope="session")
def write_video() -> Callable[..., None]:
    """Writes an mp4 file with key frames and B-frames, so that order of decoding and of display
    differ.
    """

    def write(
        path: Path,
        frames: int,
        base: int = 0,
        size: tuple[int, int] = (32, 48),
        codec: str = "mpeg4",
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=25)
            stream.height, stream.width = size
            stream.pix_fmt = "yuv420p"
            stream.bit_rate = 1_000_000
            stream.codec_context.gop_size = 5
            stream.codec_context.max_b_frames = 2
            for number in range(frames):
                pixels = np.full((*size, 3), base + LEVEL * number, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode(None))

    return write
