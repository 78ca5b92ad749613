"""Errors of the disk and of SQLite on a run folder, as one line with what to do."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eval.errors import StoreError
from eval.io.files import explained


@contextmanager
def folder_errors(folder: Path) -> Iterator[None]:
    """Turns an OSError or sqlite3.Error of the block into a StoreError that names ``folder`` and
    what to do.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(f"{folder}: {explained(error)}") from error
    except sqlite3.Error as error:
        raise StoreError(f"{folder}: {_database(error, folder)}") from error


def _database(error: sqlite3.Error, folder: Path) -> str:
    text = str(error)
    code = errno.ENOSPC if "is full" in text else errno.EROFS if "readonly" in text else None
    if code is None and isinstance(error, sqlite3.DatabaseError) and not _of_the_machine(error):
        return f"store.sqlite is damaged ({text}); i2v-eval salvage {folder} keeps what can be read"
    return explained(OSError(code, text) if code else OSError(text))


def _of_the_machine(error: sqlite3.DatabaseError) -> bool:
    """Whether the error is about the disk, other processes or a value. Every other error counts as
    damage of the database: its messages are too many to list.
    """
    if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.DataError):
        return True
    text = str(error).lower()
    known = ("locked", "busy", "disk i/o", "unable to open", "interrupted", "out of memory")
    return any(words in text for words in known)
