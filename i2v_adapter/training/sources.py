"""Where videos and captions come from: a folder with a table, or WebDataset shards."""

from __future__ import annotations

import glob
import io
import os
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from i2v_adapter.tables.columns import CLIP, PROMPT
from i2v_adapter.tables.named_files import Finder
from i2v_adapter.tables.reader import Column, Rows
from i2v_adapter.tables.texts import RowError, parse_json, text_of
from i2v_adapter.training.config import Data, TrainingError
from i2v_adapter.training.video_clips import UnusableVideoError

VIDEO_SUFFIXES = ("mp4", "webm", "mkv", "mov", "avi")


class Entry(NamedTuple):
    """A video as PyAV opens it (path or binary file), and its caption."""

    file: str | BinaryIO
    caption: str


class Source(Protocol):
    """A numbered collection of captioned videos; `notes` hold remarks for the reader."""

    notes: Sequence[str]

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """What the user knows the video by."""

    def read(self, index: int) -> Entry:
        """Raises UnusableVideoError where the entry has no caption."""


COLUMNS = (
    replace(CLIP, old=("videoid",), kind="name", required=True),
    replace(PROMPT, old=("name", "caption"), required=True),
    Column("page_dir"),
)
_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")


class VideoFolder:
    """A folder of videos and a table (CSV or JSON lines) with `clip`, the file in the folder, and
    `prompt`, one row a video.

    WebVid's layout is read, too: `videoid`, `name` (the caption) and perhaps `page_dir`; the video
    of a row is `<videos>/<page_dir>/<videoid>.mp4`. Other columns are ignored.

    Attributes:
        notes: what a reader should know of the table.

    Raises:
        TrainingError: folder or file is missing, has no such columns, or no rows.
    """

    def __init__(self, videos: Path, captions: Path) -> None:
        if not videos.is_dir():
            raise TrainingError(f"data.videos: {videos}: no such folder")
        self._folder, self._finder = videos, Finder()
        table = Rows(captions, COLUMNS)
        try:
            self._rows = [
                (_file(values) or f"line {line}", values.get("prompt", ""), fault)
                for line, values, fault in table
            ]
        except RowError as error:
            raise TrainingError(f"data.captions: {error}") from error
        if not self._rows:
            raise TrainingError(f"data.captions: {captions}: the table has no rows")
        self.notes: Sequence[str] = table.notes

    def __len__(self) -> int:
        return len(self._rows)

    def name(self, index: int) -> str:
        return self._rows[index][0]

    def read(self, index: int) -> Entry:
        name, caption, fault = self._rows[index]
        if fault:
            raise UnusableVideoError(f"cannot be used: {fault}")
        try:
            return Entry(str(self._finder.find(self._folder, name)), caption)
        except RowError as error:
            raise UnusableVideoError(f"cannot be used: {error}") from error


def _file(values: Mapping[str, str]) -> str:
    """Of a row's video, relative to the folder; WebVid's ids have no suffix."""
    clip = values.get("clip", "").strip()
    suffix = "" if _SUFFIX.search(clip) else ".mp4"
    return os.path.join(values.get("page_dir", "").strip(), f"{clip}{suffix}") if clip else ""


class _Member(NamedTuple):
    offset: int
    size: int


class Shards:
    """WebDataset tar files: `<key>.mp4` (or another video) with `<key>.txt`, or a `<key>.json` that
    has a `caption`.

    The shards, in order of name, are listed once; then a video is read from its place. A file
    within a shard belongs to the key before the first dot of its base name, as in WebDataset.

    Args:
        pattern: glob pattern of uncompressed tar files.

    Raises:
        TrainingError: no file matches, one is not an uncompressed tar file, or there is no
            video in them.
    """

    def __init__(self, pattern: str) -> None:
        self.notes: Sequence[str] = ()
        paths = sorted(glob.glob(pattern))
        if not paths:
            raise TrainingError(f"data.shards: no file matches {pattern!r}")
        self._samples: list[tuple[str, str, _Member, dict[str, _Member]]] = []
        for path in paths:
            for key, files in _members(path).items():
                video = next((files[suffix] for suffix in VIDEO_SUFFIXES if suffix in files), None)
                if video is not None:
                    texts = {
                        suffix: member
                        for suffix, member in files.items()
                        if suffix in ("txt", "json")
                    }
                    self._samples.append((path, key, video, texts))
        if not self._samples:
            raise TrainingError(f"data.shards: the files of {pattern!r} hold no video")

    def __len__(self) -> int:
        return len(self._samples)

    def name(self, index: int) -> str:
        path, key, _, _ = self._samples[index]
        return f"{path}:{key}"

    def read(self, index: int) -> Entry:
        try:
            return self._entry(*self._samples[index])
        except OSError as error:
            raise UnusableVideoError(f"cannot be read ({error.strerror})") from error

    def _entry(self, path: str, _: str, video: _Member, texts: Mapping[str, _Member]) -> Entry:
        with open(path, "rb") as shard:
            caption = ""
            try:
                if "txt" in texts:
                    caption = _read(shard, texts["txt"]).decode().strip()
                elif "json" in texts:
                    found = parse_json(_read(shard, texts["json"]))
                    caption = text_of(found["prompt"] if "prompt" in found else found["caption"])
            except (ValueError, KeyError, TypeError) as error:
                raise UnusableVideoError(f"has no readable caption ({error})") from error
            if not caption:
                raise UnusableVideoError("has no caption")
            return Entry(io.BytesIO(_read(shard, video)), caption)


def _members(path: str) -> dict[str, dict[str, _Member]]:
    """Key -> suffix -> place in the file, in the order of the file."""
    found: dict[str, dict[str, _Member]] = {}
    try:
        with tarfile.open(path, "r:") as shard:
            for member in shard:
                folder, base = os.path.split(member.name)
                stem, _, suffix = base.partition(".")
                if member.isfile() and not member.issparse() and stem:
                    files = found.setdefault(os.path.join(folder, stem), {})
                    files[suffix.lower()] = _Member(member.offset_data, member.size)
    except Exception as error:  # tarfile raises also ValueError and OverflowError on damage
        raise TrainingError(
            f"data.shards: {path}: not a whole, uncompressed tar file ({error})"
        ) from error
    return found


def _read(shard: BinaryIO, member: _Member) -> bytes:
    shard.seek(member.offset)
    return shard.read(member.size)


def open_source(data: Data) -> Source:
    """The source that a configuration names."""
    if data.shards is not None:
        return Shards(data.shards)
    assert data.videos is not None
    assert data.captions is not None
    return VideoFolder(data.videos, data.captions)
