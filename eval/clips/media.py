"""Clips made by any tool: video files, frame folders and arrays, read whole or refused with the
reason.

What a decoder would quietly repair or drop (a cut file, transparency, times that vary) is an error
here, and what is changed on the way to 8-bit RGB frames is noted. Video is decoded by
:mod:`i2v_adapter.media.video`, as in training.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.clips.border import named
from eval.clips.folders import frame_files
from eval.clips.images import read_image
from eval.clips.lossless import MAX_PIXELS, Clip
from eval.clips.npy import array_frames, open_array
from eval.errors import EvalError
from i2v_adapter.media.errors import MediaError
from i2v_adapter.media.file_checks import check_regular

Hdr = Literal["refuse", "tone-map"]
"""What is done with HDR video; see :mod:`i2v_adapter.media.video`."""

SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".gif", ".avi", ".npy")
"""Usual suffixes of clips that are one file."""
READER = "media.v2"
"""Version of what reading does to a file; part of every clip's key."""


class Media(NamedTuple):
    """A clip, and what was changed or is odd about the file, in words."""

    clip: Clip
    notes: list[str]


def read_media(
    path: Path,
    *,
    fps: float | None = None,
    hdr: Hdr = "refuse",
    root: Path | None = None,
) -> Media:
    """Reads a video file (mp4, mov, webm, mkv, gif, avi), a folder of frames, or an .npy array.

    Frames of a folder are one whole sequence of numbered pictures (`eval.clips.folders`). An array
    is uint8 (F, H, W, 3), or floating point of that shape in [0, 1].

    Args:
        path: file or folder.
        fps: rate of frame folders and arrays, which have none of their own.
        hdr: `tone-map` reads HDR video as SDR, with a note.
        root: what links in a frame folder may not leave; that folder if None.

    Returns:
        The clip as a player shows it: upright, square pixels, at the file's own constant rate.

    Raises:
        EvalError: naming the file and the reason: missing, empty, no regular file, cut short, not
            a video, fewer than 2 frames, frame times that vary, transparent pixels, HDR, frames
            of several sizes, values out of range, larger than `MAX_PIXELS`, or an unknown rate.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "clip.npy"
        >>> np.save(path, np.zeros((4, 16, 16, 3), np.uint8))
        >>> media = read_media(path, fps=8.0)
        >>> len(media.clip.frames), media.notes
        (4, [])
    """
    with named(path):
        if _without_rate(path):
            if fps is None:
                raise EvalError(f"{path}: frame folders and arrays have no frame rate; give --fps")
            if path.is_dir():
                files = frame_files(path, root)
                frames = _stacked(_folder_frames(path, files), len(files))
                return Media(Clip(frames, fps), [])
            array = open_array(path, MAX_PIXELS)
            return Media(Clip(_stacked(array_frames(array), len(array)), fps), [])
        from i2v_adapter.media.containers import FORMATS
        from i2v_adapter.media.video import Video

        with Video(path, hdr=hdr, most_pixels=MAX_PIXELS) as video:
            kind, name = video.container
            if path.suffix.lower() not in FORMATS[kind]:
                video.notes.append(
                    f"named '{path.suffix}', but holds {name} ({', '.join(FORMATS[kind])})"
                )
            frames = _stacked(video, len(video))
            if video.fps is None:
                raise MediaError("the video has no frame rate")
            return Media(Clip(frames, video.fps), video.notes)


def first_frame(path: Path, *, hdr: Hdr = "refuse", root: Path | None = None) -> NDArray[np.uint8]:
    """The first frame as `read_media` gives it, uint8 (H, W, 3), without decoding the rest.

    Raises:
        EvalError: as `read_media`, as far as one frame can tell.
    """
    frames = first_frames(path, 1, hdr=hdr, root=root)
    if not frames:
        raise EvalError(f"{path}: the clip has no frames")
    return frames[0]


class MediaFormat(NamedTuple):
    """Number of frames, height and width in px, frames per second."""

    frames: int
    height: int
    width: int
    fps: float


def media_format(
    path: Path, *, fps: float | None = None, hdr: Hdr = "refuse", root: Path | None = None
) -> MediaFormat:
    """What `read_media` would give, from one decoded frame and the file's own count of frames.

    Raises:
        EvalError: as `read_media`, as far as these tell.
    """
    height, width, _ = first_frame(path, hdr=hdr, root=root).shape
    with named(path):
        if _without_rate(path):
            if fps is None:
                raise EvalError(f"{path}: frame folders and arrays have no frame rate; give --fps")
            is_folder = path.is_dir()
            count = len(frame_files(path, root) if is_folder else open_array(path, MAX_PIXELS))
            return MediaFormat(count, height, width, fps)
        from i2v_adapter.media.video import Video

        with Video(path, hdr=hdr, most_pixels=MAX_PIXELS) as video:
            return MediaFormat(len(video), height, width, video.fps or 1.0)


def first_frames(
    path: Path,
    count: int,
    *,
    fps: float | None = None,
    hdr: Hdr = "refuse",
    root: Path | None = None,
) -> list[NDArray[np.uint8]]:
    """At most `count` frames from the beginning, uint8 (H, W, 3) each, as `read_media` gives them.

    Raises:
        EvalError: as `read_media`, as far as these frames can tell.
    """
    with named(path):
        if path.is_dir():
            return list(islice(_folder_frames(path, frame_files(path, root)), count))
        if path.suffix.lower() == ".npy":
            return list(islice(array_frames(open_array(path, MAX_PIXELS)), count))
        from i2v_adapter.media.video import Video

        with Video(path, hdr=hdr, most_pixels=MAX_PIXELS) as video:
            return list(islice(video, count))


def digest(path: Path, fps: float | None, *, hdr: Hdr = "refuse", root: Path | None = None) -> str:
    """sha256 hex over what `read_media` reads there: the file, or every frame's name and file; and
    the options that change what is read. Nothing is decoded.

    Raises:
        EvalError: a missing or unreadable file, no regular file, a frame folder that is not one
            sequence.
    """
    rate = fps if _without_rate(path) else ""
    total = hashlib.sha256(f"{READER}|{rate}|{hdr}".encode())
    with named(path):
        is_folder = path.is_dir()
        for file in frame_files(path, root) if is_folder else [path]:
            check_regular(file)
            try:
                with file.open("rb") as content:
                    total.update(b"|" + (os.fsencode(file.name) if is_folder else b"") + b"|")
                    total.update(hashlib.file_digest(content, "sha256").digest())
            except OSError as error:
                raise MediaError(f"cannot be read ({error.strerror})") from error
    return total.hexdigest()


def _without_rate(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() == ".npy"


def _stacked(frames: Iterable[NDArray[np.uint8]], count: int) -> NDArray[np.uint8]:
    """All frames in one array, without a second copy of them in memory.

    Args:
        frames: one after another.
        count: how many are expected.
    """
    stack: NDArray[np.uint8] | None = None
    number = 0
    for number, frame in enumerate(frames, start=1):
        if stack is None:
            _check_size(max(count, 1), *frame.shape[:2])
            stack = np.empty((max(count, 1), *frame.shape), np.uint8)
        if frame.shape != stack.shape[1:]:
            sizes = sorted({frame.shape[:2], stack.shape[1:3]})
            listed = ", ".join(f"{width} x {height}" for height, width in sizes)
            raise MediaError(f"frames of several sizes ({listed}); bring them to one")
        if number > len(stack):
            _check_size(number, *frame.shape[:2])
            stack = np.concatenate([stack, np.empty_like(stack)])
        stack[number - 1] = frame
    if stack is None or number < 2:
        raise MediaError(f"the clip has {number} frame; 2 or more are needed")
    return stack[:number]


def _check_size(count: int, height: int, width: int) -> None:
    if count * height * width > MAX_PIXELS:
        raise MediaError(
            f"{count} or more frames of {width} x {height} px are over the limit of "
            f"{MAX_PIXELS:,} pixels a clip; shorten or reduce it"
        )


def _folder_frames(folder: Path, files: list[Path]) -> Iterator[NDArray[np.uint8]]:
    for file in files:
        yield read_image(file, where=str(folder))
