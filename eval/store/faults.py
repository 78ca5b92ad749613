"""What the disk and SQLite say when something is wrong with a run folder, as one line with the way
out.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eval.errors import StoreError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def folder_errors(folder: Path) -> Iterator[None]:
    """Turns an OSError or sqlite3.Error of the block into a StoreError that names ``folder`` and
    the way out.
    """
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{folder}: {_explained(error, folder)}") from error


def _explained(error: OSError | sqlite3.Error, folder: Path) -> str:
    code = error.errno if isinstance(error, OSError) else None
    text = str(error.strerror or error) if isinstance(error, OSError) else str(error)
    if code in _FULL or "is full" in text:
        return (
            f"no space left ({text}); what is stored stays: make room, and run the same command "
            "again"
        )
    if code in _CLOSED or "readonly" in text:
        return f"cannot be written ({text}); give another --out"
    if "malformed" in text or "not a database" in text:
        return (
            f"store.sqlite is damaged ({text}); python -m eval salvage {folder} keeps what can "
            "be read"
        )
    return f"{text}; what is stored stays: put it right, and run the same command again"
