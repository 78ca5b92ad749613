"""Clips made by any tool: video files, frame folders and arrays, read whole or refused with the
reason.

What a decoder would quietly repair or drop (a cut file, transparency, times that vary) is an error
here, and what is changed on the way to 8-bit RGB frames is noted: a score of something else than
the file shows is worse than none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.clips.lossless import Clip
from eval.errors import EvalError
from eval.samples.manifest import read_image

if TYPE_CHECKING:
    import av

MAX_PIXELS = 512_000_000
"""Frames x height x width of the largest clip that is read: 246 frames of 1920 x 1080, 1.5 GB in
memory.
"""

IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""Suffixes of the frames in a frame folder; other files there are not looked at."""

FORMATS: dict[str, tuple[str, ...]] = {
    "mov": (".mp4", ".mov", ".m4v"),
    "matroska": (".mkv", ".webm"),
    "gif": (".gif",),
    "avi": (".avi",),
}
"""Containers by the first of their names, with the usual suffixes. Playlists, which open other
files, are not among them."""

JITTER = 0.2
"""Largest relative deviation of a frame's duration from the median that still counts as a constant
rate; besides, the container's own rounding is allowed for."""


_FLATTEN = "flatten it over the background it is meant for"


class Media(NamedTuple):
    """A clip, and what was changed or is odd about the file, in words."""

    clip: Clip
    notes: list[str]


def read_media(path: Path, *, fps: float | None = None) -> Media:
    """Reads a video file (mp4, mov, webm, mkv, gif, avi), a folder of frames, or an .npy array.

    Frames of a folder are taken in natural order of their names (``f2`` before ``f10``). An array
    is uint8 (F, H, W, 3), or floating point of that shape in [0, 1].

    Args:
        path: file or folder.
        fps: rate of frame folders and arrays, which have none of their own.

    Returns:
        The clip upright (rotated as the file's display matrix says), at the file's own constant
        rate.

    Raises:
        EvalError: naming the file and the reason: missing, empty, cut short, not a video, fewer
            than 2 frames, frame times that vary, transparent pixels, frames of several sizes,
            values out of range, larger than `MAX_PIXELS`, or a rate that nobody gave.
    """
    notes: list[str] = []
    if path.is_dir() or path.suffix.lower() == ".npy":
        if fps is None:
            raise EvalError(f"{path}: frame folders and arrays have no frame rate; give --fps")
        frames = list(_folder_frames(path)) if path.is_dir() else list(_array_frames(path))
    else:
        frames, fps = _video(path, notes)
    if len(frames) < 2:
        raise EvalError(f"{path}: the clip has {len(frames)} frame; 2 or more are needed")
    shapes = {frame.shape[:2] for frame in frames}
    if len(shapes) > 1:
        listed = ", ".join(f"{width} x {height}" for height, width in sorted(shapes))
        raise EvalError(f"{path}: frames of several sizes ({listed}); bring them to one")
    return Media(Clip(np.stack(frames), fps), notes)


def first_frame(path: Path) -> NDArray[np.uint8]:
    """The first frame as `read_media` gives it, uint8 (H, W, 3), without decoding the rest.

    Raises:
        EvalError: as `read_media`, as far as one frame can tell.
    """
    if path.is_dir():
        return next(_folder_frames(path))
    if path.suffix.lower() == ".npy":
        return next(_array_frames(path))
    with _open(path) as container:
        for frame in _decoded(path, container):
            return _pixels(path, frame)
    raise EvalError(f"{path}: the video has no frames; is the file cut short?")


def digest(path: Path, fps: float | None) -> str:
    """sha256 hex over what `read_media` reads there: the file, or every frame's name and file; and
    the rate, where the caller gives it. Nothing is decoded.

    Raises:
        EvalError: a missing or unreadable file.
    """
    without_rate = path.is_dir() or path.suffix.lower() == ".npy"
    total = hashlib.sha256(f"media.v1|{fps if without_rate else ''}".encode())
    try:
        for file in _frame_files(path) if path.is_dir() else [path]:
            with file.open("rb") as content:
                total.update(f"|{file.name if path.is_dir() else ''}|".encode())
                total.update(hashlib.file_digest(content, "sha256").digest())
    except OSError as error:
        raise EvalError(f"{path}: cannot be read ({error.strerror})") from error
    return total.hexdigest()


def _video(path: Path, notes: list[str]) -> tuple[list[NDArray[np.uint8]], float]:
    frames: list[NDArray[np.uint8]] = []
    times: list[float] = []
    with _open(path) as container:
        stream = container.streams.video[0]
        if path.suffix.lower() not in (suffixes := FORMATS[container.format.name.split(",")[0]]):
            notes.append(
                f"named '{path.suffix}', but holds {container.format.long_name} "
                f"({', '.join(suffixes)})"
            )
        for frame in _decoded(path, container):
            if not frames:
                depth = max(component.bits for component in frame.format.components)
                if depth > 8:
                    notes.append(f"{depth} bits a channel were reduced to 8")
                if frame.rotation:
                    notes.append(f"turned by {frame.rotation} degrees, as its display matrix says")
            _check_size(path, len(frames) + 1, frame.height, frame.width)
            frames.append(_pixels(path, frame))
            times.append(float(frame.time) if frame.time is not None else float("nan"))
        if not frames:
            raise EvalError(f"{path}: the video has no frames; is the file cut short?")
        tick = float(stream.time_base or 0)
        _check_whole(path, container, len(frames), times, tick)
        return frames, _rate(path, stream, np.asarray(times), tick)


def _open(path: Path) -> av.container.InputContainer:
    import av
    from av.error import FFmpegError

    if not path.is_file():
        raise EvalError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise EvalError(f"{path}: the file is empty (0 bytes)")
    try:
        container = av.open(
            str(path), options={"format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,gif,avi"}
        )
    except FFmpegError as error:
        raise EvalError(
            f"{path}: not a readable mp4, mov, webm, mkv, gif or avi ({_reason(error)})"
        ) from error
    if not container.streams.video:
        container.close()
        raise EvalError(f"{path}: the file holds no video stream")
    stream = container.streams.video[0]
    stream.thread_count = 1
    try:
        _check_size(path, max(1, stream.frames), stream.height, stream.width)
        if (
            stream.metadata.get("alpha_mode") == "1"
        ):  # the alpha planes of VP8 and VP9, which their decoders drop
            raise EvalError(f"{path}: the video has an alpha channel; {_FLATTEN}")
    except EvalError:
        container.close()
        raise
    return container


def _decoded(path: Path, container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
    from av.error import FFmpegError

    try:
        for frame in container.decode(container.streams.video[0]):
            if frame.is_corrupt:
                raise EvalError(f"{path}: a frame is damaged; is the file cut short?")
            yield frame
    except FFmpegError as error:
        raise EvalError(
            f"{path}: decoding stops with an error ({_reason(error)}); is the file cut short?"
        ) from error


def _reason(error: Any) -> str:
    return str(error.strerror or error)


def _pixels(path: Path, frame: av.VideoFrame) -> NDArray[np.uint8]:
    """The frame as uint8 (H, W, 3), upright."""
    if (
        any(component.is_alpha for component in frame.format.components)
        or frame.format.name == "pal8"
    ):
        rgba = frame.to_ndarray(format="rgba")
        if rgba[..., 3].min() < 255:
            raise EvalError(f"{path}: transparent pixels; {_FLATTEN}")
        pixels = rgba[..., :3]
    else:
        pixels = frame.to_ndarray(format="rgb24")
    turns, rest = divmod(round(frame.rotation), 90)
    if rest:
        raise EvalError(
            f"{path}: rotated by {frame.rotation} degrees; only multiples of 90 are supported"
        )
    return np.ascontiguousarray(np.rot90(pixels, turns))


def _check_size(path: Path, count: int, height: int, width: int) -> None:
    if count * height * width > MAX_PIXELS:
        raise EvalError(
            f"{path}: {count} or more frames of {width} x {height} px are over the limit of "
            f"{MAX_PIXELS:,} pixels a "
            "clip; shorten or reduce it"
        )


def _check_whole(path: Path, container: Any, count: int, times: list[float], tick: float) -> None:
    """Refuses a file with fewer frames, or an earlier end, than its header announces."""
    stream = container.streams.video[0]
    if container.format.name == "gif" and path.read_bytes()[-1:] != b";":
        raise EvalError(f"{path}: the end mark is missing; the file is cut short")
    if stream.frames and count < stream.frames:
        raise EvalError(
            f"{path}: {count} of {stream.frames} frames can be decoded; the file is cut short"
        )
    only = (
        len(container.streams) == 1
    )  # with sound, the container's duration may be that of the sound
    tagged = _seconds(stream.metadata.get("DURATION", ""))
    announced = tagged or (container.duration / 1e6 if container.duration and only else 0.0)
    step = (times[-1] - times[0]) / max(1, count - 1)
    if count > 1 and times[0] + (count + 0.5) * step + 2 * tick < announced:
        raise EvalError(
            f"{path}: frames end at {times[-1] + step:.2f} s of {announced:.2f} s; the file is cut "
            "short"
        )


def _seconds(tag: str) -> float:
    """Matroska's duration of a track, ``HH:MM:SS.fraction``; 0 if there is none."""
    parts = tag.strip("\0 ").split(":")
    try:
        return (
            float(parts[0]) * 3600 + float(parts[1]) * 60 + float(parts[2])
            if len(parts) == 3
            else 0.0
        )
    except ValueError:
        return 0.0


def _rate(path: Path, stream: Any, times: NDArray[np.float64], tick: float) -> float:
    """Frames per second, if constant."""
    if len(times) < 2:
        return float(stream.average_rate or 1)
    steps = np.diff(times)
    median = float(np.median(steps))
    if not np.isfinite(steps).all() or median <= 0:
        raise EvalError(f"{path}: frames without usable times; convert the clip to a constant rate")
    if np.abs(steps - median).max() > max(JITTER * median, 1.5 * tick):
        raise EvalError(
            f"{path}: frame durations vary from {steps.min() * 1000:.0f} to "
            f"{steps.max() * 1000:.0f} ms; "
            "convert the clip to a constant rate"
        )
    measured = 1.0 / float(steps.mean())
    stated = float(stream.average_rate or 0)
    return stated if abs(stated - measured) < 0.01 * measured else measured


def _folder_frames(path: Path) -> Iterator[NDArray[np.uint8]]:
    files = _frame_files(path)
    if not files:
        raise EvalError(f"{path}: the folder holds no frames ({', '.join(IMAGES)})")
    for file in files:
        pixels = read_image(file, where=str(path))
        _check_size(path, len(files), *pixels.shape[:2])
        yield pixels


def _frame_files(folder: Path) -> list[Path]:
    return sorted(
        (file for file in folder.iterdir() if file.suffix.lower() in IMAGES), key=_natural
    )


def _natural(file: Path) -> list[tuple[int, str]]:
    return [
        (int(part), "") if part.isdigit() else (-1, part)
        for part in re.split(r"(\d+)", file.name.lower())
    ]


def _array_frames(path: Path) -> Iterator[NDArray[np.uint8]]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise EvalError(f"{path}: no such file") from error
    except (ValueError, EOFError, OSError) as error:
        reason = "0 bytes" if path.stat().st_size == 0 else str(error).splitlines()[0]
        raise EvalError(
            f"{path}: not a readable .npy array ({reason}); is the file cut short?"
        ) from error
    if array.ndim != 4 or array.shape[3] != 3 or min(array.shape) < 1:
        raise EvalError(f"{path}: an array of shape {array.shape}; it must be (F, H, W, 3), RGB")
    _check_size(path, *array.shape[:3])
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise EvalError(
            f"{path}: values of type {array.dtype}; give uint8, or floating point in [0, 1]"
        )
    for number, frame in enumerate(array):
        if array.dtype == np.uint8:
            yield np.array(frame)
            continue
        if not np.isfinite(frame).all():
            raise EvalError(f"{path}: frame {number} holds values that are not finite")
        if frame.min() < 0 or frame.max() > 1:
            raise EvalError(
                f"{path}: frame {number} has values from {frame.min():g} to {frame.max():g}; give "
                "[0, 1]"
            )
        yield np.rint(np.asarray(frame, np.float64) * 255).astype(np.uint8)
