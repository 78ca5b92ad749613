"""Whether a clip's file is the one that its row was written for."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path
from typing import NamedTuple

from eval.clips.lossless import read_clip
from eval.errors import EvalError
from eval.io.files import Files
from eval.store.rows import StoredClip


class Found(NamedTuple):
    """What was found at the place of a clip's file.

    Attributes:
        fault: what is wrong with it; None: nothing.
        size, sha256: of the file, if it is sound and was looked at.
        stamp: its times of change, if it lies on a disk.
    """

    fault: str | None
    size: int | None = None
    sha256: str | None = None
    stamp: str | None = None


def look(files: Files, row: StoredClip, stamp: str | None) -> Found:
    """Looks at a clip's file; reads it only if its stamp is not the one that is known.

    On remote storage only the size is compared; the content is checked when the clip is read. For a
    row without a digest (from an older store) the clip only has to decode.
    """
    path = files.clip(row.key)
    if not isinstance(path, Path):
        size = files.size(path)
        return Found(_size_fault(size, row.size), size, row.sha256)
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            return Found("is not a regular file")
        if fault := _size_fault(found.st_size, row.size):
            return Found(fault)
        now = stamp_of(path)
        if row.sha256 is not None and now == stamp:
            return Found(None, row.size, row.sha256, now)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        if row.sha256 is None:
            read_clip(path)
        elif sha256 != row.sha256:
            return Found("was changed: its sha256 is not the one that was stored")
        return Found(None, found.st_size, sha256, now)
    except (FileNotFoundError, NotADirectoryError):
        return Found("is missing")
    except (OSError, EvalError) as error:
        return Found(f"cannot be read ({error})")


def stamp_of(path: Path) -> str | None:
    """Times of change of a file, which differ after any change to it. None on remote storage."""
    if not isinstance(path, Path):
        return None
    found = path.stat()
    return f"{found.st_ino} {found.st_mtime_ns} {found.st_ctime_ns}"


def _size_fault(size: int | None, known: int | None) -> str | None:
    if size is None:
        return "is missing"
    return None if known in (None, size) else f"has {size} of {known} bytes"
