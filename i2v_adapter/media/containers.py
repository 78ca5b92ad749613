"""Opens video files: which containers are read, which of several streams, and from what."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import av
from av.stream import Disposition

from i2v_adapter.media.errors import MediaError
from i2v_adapter.media.file_checks import MAX_FRAME, check_regular

FORMATS: dict[str, tuple[str, ...]] = {
    "mov": (".mp4", ".mov", ".m4v"),
    "matroska": (".mkv", ".webm"),
    "gif": (".gif",),
    "avi": (".avi",),
}
"""Containers by the first of their names, with the usual suffixes. Playlists, which open other
files, are not among them."""
_WHITELIST = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,gif,avi"


class Opened(NamedTuple):
    """A container, its video stream, and the number of its other ones without cover pictures."""

    container: Any
    stream: Any
    others: int

    @property
    def kind(self) -> str:
        """A key of `FORMATS`."""
        return str(self.container.format.name.split(",")[0])

    def rates(self) -> list[float]:
        """Rates that the file states, the most exact first: the suite's own tag, the stream's."""
        tags = {key.lower(): value for key, value in self.container.metadata.items()}
        try:
            tagged = float(tags.get("fps", 0))
        except ValueError:
            tagged = 0.0
        return [tagged, float(self.stream.average_rate or 0)]


def open_source(source: str | os.PathLike[str] | BinaryIO) -> tuple[BinaryIO, bool]:
    """The source as a binary file, and whether to close it.

    Raises:
        MediaError: no regular file, an empty one, or one that cannot be opened.
    """
    if not isinstance(source, str | os.PathLike):
        if source.seek(0, os.SEEK_END) == 0:
            raise MediaError("the file is empty (0 bytes)")
        return source, False
    check_regular(Path(source))
    try:
        return open(source, "rb"), True
    except OSError as error:
        raise MediaError(f"cannot be read ({error.strerror})") from error


def open_container(file: BinaryIO) -> Opened:
    """The container in a file, from its start, and the stream that a player would choose.

    Raises:
        MediaError: it holds no video stream.
        FFmpegError: it is no container of `FORMATS`.
    """
    file.seek(0)
    container = av.open(
        _Unnamed(file),
        "r",
        options={"format_whitelist": _WHITELIST, "max_pixels": str(MAX_FRAME)},
        metadata_errors="replace",
        buffer_size=1 << 18,
    )
    pictures = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic
    ]
    if not pictures:
        container.close()
        raise MediaError("the file holds no video stream")
    best = container.streams.best("video")
    stream: Any = best if best in pictures else pictures[0]
    if stream.codec_context is None:
        container.close()
        raise MediaError("its codec is not known here, or its header is damaged")
    stream.thread_count = 1
    return Opened(container, stream, len(pictures) - 1)


class _Unnamed:
    """A binary file without its name, by which FFmpeg would guess the format."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell
