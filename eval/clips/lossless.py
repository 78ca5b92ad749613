"""A clip and its lossless file: FFV1 in Matroska, written through PyAV."""

from __future__ import annotations

import hashlib
import io
import math
import numbers
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.clips.border import named
from eval.errors import EvalError
from eval.io.files import is_file, write_whole

SLOWEST, FASTEST = 0.01, 1000.0
"""Frames per second that a clip may have."""
MAX_PIXELS = 512_000_000
"""Frames x height x width of the largest clip that is read: 246 frames of 1920 x 1080, 1.5 GB in
memory.
"""


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames and their rate.

    Attributes:
        frames: uint8 (F, H, W, 3), RGB, F >= 1.
        fps: frames per second, between 0.01 and 1000; any real number, kept as a float.

    Raises:
        EvalError: if shape, dtype or rate are anything else.

    Examples:
        >>> clip = Clip(np.zeros((8, 64, 64, 3), np.uint8), fps=8)
        >>> clip.frames.shape, clip.fps
        ((8, 64, 64, 3), 8.0)
    """

    frames: NDArray[np.uint8]
    fps: float

    def __post_init__(self) -> None:
        frames = self.frames
        if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8:
            raise EvalError(
                "clip frames must be a uint8 array, not "
                f"{getattr(frames, 'dtype', type(frames).__name__)}"
            )
        if frames.ndim != 4 or frames.shape[3] != 3 or min(frames.shape) < 1:
            raise EvalError(
                f"clip frames must have shape (F, H, W, 3) with no empty axis, not {frames.shape}"
            )
        fps = self.fps
        if isinstance(fps, bool) or not isinstance(fps, numbers.Real):
            raise EvalError(f"clip fps must be a number, not {type(fps).__name__}")
        if not (math.isfinite(fps) and SLOWEST <= fps <= FASTEST):
            raise EvalError(
                f"clip fps must be between {SLOWEST:g} and {FASTEST:g} frames per second, not {fps}"
            )
        object.__setattr__(self, "fps", float(fps))

    @cached_property
    def fingerprint(self) -> str:
        """sha256 hex over shape, rate and pixels."""
        digest = hashlib.sha256(f"{self.frames.shape}|{float(self.fps)!r}|".encode())
        digest.update(np.ascontiguousarray(self.frames).data)
        return digest.hexdigest()


def clip_format(clip: Clip) -> tuple[int, int, int, float]:
    """Number of frames, height and width in px, frames per second."""
    frames, height, width, _ = clip.frames.shape
    return frames, height, width, clip.fps


def rounded_clip(values: NDArray[np.floating], fps: float) -> Clip:
    """Floating-point frames (F, H, W, 3) in [0, 1] as a clip; what lies outside is clipped.

    Raises:
        EvalError: a value that is not finite, which would become a black pixel.
    """
    values = np.asarray(values, dtype=np.float64)
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise EvalError(
            f"{bad} of {values.size} generated values are not finite; are the weights sound?"
        )
    return Clip(np.clip(np.rint(values * 255.0), 0, 255).astype(np.uint8), fps)


def write_clip(path: str | os.PathLike[str], clip: Clip) -> None:
    """Writes ``clip`` bit-exactly. The file appears whole or not at all, and equal clips give equal
    bytes.

    The exact rate is kept in the container's ``fps`` tag, since Matroska's own timestamps are in
    milliseconds.

    Args:
        path: or a ``upath.UPath``, for a file elsewhere.
        clip: what to write.

    Raises:
        EvalError: the codec refuses the clip, or the file cannot be written.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "clip.mkv"
        >>> frames = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
        >>> write_clip(path, Clip(frames, fps=8))
        >>> bool((read_clip(path).frames == frames).all())
        True
    """
    write_whole(_path(path), encoded(clip))


def encoded(clip: Clip) -> bytes:
    """The content of the file that :func:`write_clip` writes.

    Raises:
        EvalError: the codec refuses the clip, for example for its size.
    """
    import av
    from av.error import FFmpegError

    frames, height, width, _ = clip.frames.shape
    if frames * height * width > MAX_PIXELS:
        raise EvalError(
            f"a clip of shape {clip.frames.shape} is over the limit of {MAX_PIXELS:,} pixels a clip"
        )
    try:
        return _encoded(clip, av)
    except FFmpegError as error:
        raise EvalError(
            f"a clip of shape {clip.frames.shape} cannot be encoded ({error.strerror or error})"
        ) from error


def _encoded(clip: Clip, av: Any) -> bytes:
    _, height, width, _ = clip.frames.shape
    rate = Fraction(clip.fps).limit_denominator(1_000_000)
    content = io.BytesIO()
    with av.open(
        content, "w", format="matroska", container_options={"fflags": "+bitexact"}
    ) as container:
        container.metadata["fps"] = repr(float(clip.fps))
        options = {
            "level": "1",
            "flags": "+bitexact",
        }  # later levels need slices, which small frames do not have
        stream = container.add_stream("ffv1", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "bgr0"
        stream.thread_count = 1
        for pixels in clip.frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return content.getvalue()


def _path(path: str | os.PathLike[str]) -> Path:
    return Path(path) if isinstance(path, str | os.PathLike) else path


def read_clip(path: str | os.PathLike[str], *, sha256: str | None = None) -> Clip:
    """Reads a file of :func:`write_clip`, and no other: foreign video is for
    :func:`eval.clips.media.read_media`.

    Args:
        path: or a ``upath.UPath``, for a file elsewhere.
        sha256: hex digest that the file must have; None: any.

    Raises:
        EvalError: naming the file, if it is missing, not such a file, cut short, larger than
            `MAX_PIXELS`, or of another digest.

    Examples:
        >>> read_clip("no-such-clip.mkv")
        Traceback (most recent call last):
        ...
        eval.errors.EvalError: no-such-clip.mkv: clip file not found
    """
    with open_clip(path, sha256=sha256) as clip:
        frames = np.empty((clip.count, clip.height, clip.width, 3), np.uint8)
        for number, frame in enumerate(clip.frames):
            frames[number] = frame
        return Clip(frames, clip.fps)


@dataclass(frozen=True)
class ClipFrames:
    """A clip file that is read frame by frame.

    Attributes:
        count: number of frames.
        height, width: px.
        fps: frames per second.
        frames: uint8 (height, width, 3), RGB, one after another, once.
    """

    count: int
    height: int
    width: int
    fps: float
    frames: Iterator[NDArray[np.uint8]]


@contextmanager
def open_clip(path: str | os.PathLike[str], *, sha256: str | None = None) -> Iterator[ClipFrames]:
    """Opens a file of :func:`write_clip`, so that one frame at a time is in memory.

    The packets are counted first: a file that is cut short or over the limit is refused before
    anything is decoded.

    Raises:
        EvalError: as `read_clip`; while frames are read, too.

    Examples:
        >>> with open_clip("clip.mkv") as clip:  # doctest: +SKIP
        ...     means = [frame.mean() for frame in clip.frames]
    """
    path = _path(path)
    with _opened(path, sha256) as container:
        stream, fps = _own_stream(path, container)
        stream.thread_count = 1
        height, width = stream.height, stream.width
        count = sum(packet.size > 0 for packet in container.demux(stream))
        if not count:
            raise EvalError(f"{path}: the video has no frames")
        if count * height * width > MAX_PIXELS:
            raise EvalError(
                f"{path}: {count} frames of {width} x {height} px are over the limit of "
                f"{MAX_PIXELS:,} pixels a clip"
            )
        announced = (container.duration or 0) / 1e6
        if (count + 0.5) / fps + 0.002 < announced:
            raise EvalError(
                f"{path}: {count} of {round(announced * fps)} frames are there; the file is cut "
                "short"
            )
        container.seek(0)
        frames = _frames(path, container, stream, count, (height, width))
        yield ClipFrames(count, height, width, fps, frames)


def _frames(
    path: Path, container: Any, stream: Any, count: int, size: tuple[int, int]
) -> Iterator[NDArray[np.uint8]]:
    from av.video.reformatter import VideoReformatter

    convert = VideoReformatter().reformat  # one for all: making it costs more than using it
    number = -1
    for number, frame in enumerate(container.decode(stream)):
        if frame.is_corrupt or (frame.height, frame.width) != size or number >= count:
            raise EvalError(f"{path}: frame {number} is damaged")
        if frame.format.name == "bgr0":  # a copy of the bytes, where swscale would start threads
            plane = frame.planes[0]
            rows = np.frombuffer(plane, np.uint8).reshape(frame.height, plane.line_size)
            pixels = rows[:, : 4 * frame.width].reshape(frame.height, frame.width, 4)
            yield np.ascontiguousarray(pixels[..., 2::-1])
        else:
            yield np.asarray(convert(frame, format="rgb24").to_ndarray(), np.uint8)
    if number + 1 < count:
        raise EvalError(f"{path}: {number + 1} of {count} frames can be decoded")


def read_format(path: str | os.PathLike[str]) -> tuple[int, int, int, float]:
    """Number of frames, height and width in px, and rate of a file of :func:`write_clip`, from its
    header: nothing is decoded.

    Raises:
        EvalError: as `read_clip`, as far as the header tells.
    """
    with _opened(path) as container:
        stream, fps = _own_stream(_path(path), container)
        return round((container.duration or 0) / 1e6 * fps), stream.height, stream.width, fps


@contextmanager
def _opened(path: str | os.PathLike[str], sha256: str | None = None) -> Iterator[Any]:
    import av

    path = _path(path)
    if not is_file(path):
        raise EvalError(f"{path}: clip file not found")
    with named(path), _readable(path), path.open("rb") as file:
        source: Any = file if isinstance(path, Path) else io.BytesIO(file.read())
        if sha256 is not None:
            if hashlib.file_digest(source, "sha256").hexdigest() != sha256:
                raise EvalError(
                    f"{path}: not the clip that was stored; run again, and it is made again"
                )
            source.seek(0)
        with av.open(source, format="matroska", metadata_errors="replace") as container:
            yield container


def _own_stream(path: Path, container: Any) -> tuple[Any, float]:
    """The stream of a clip file and its rate."""
    tags = {key.lower(): value for key, value in container.metadata.items()}
    streams = container.streams.video
    if len(streams) != 1 or streams[0].codec_context.name != "ffv1" or "fps" not in tags:
        raise EvalError(f"{path}: not a clip file of this suite (one FFV1 stream with a rate)")
    return streams[0], float(tags["fps"])


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    from av.error import FFmpegError

    try:
        yield
    except FFmpegError as error:
        raise EvalError(f"{path}: not a readable video ({error.strerror or error})") from error
