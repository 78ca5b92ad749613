"""Copies the readable rows of a damaged store to a new one. The next run makes what is missing."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from eval.errors import StoreError
from eval.store.faults import folder_errors
from eval.store.lock import FolderLock
from eval.store.rows import insert
from eval.store.schema import ADDED, COLUMNS, FILE, checksum_of, migrate


class Salvaged(NamedTuple):
    """Table -> rows kept, and where the damaged store lies now."""

    kept: dict[str, int]
    damaged: Path


def salvage(folder: Path) -> Salvaged:
    """Replaces a damaged store by a sound one with every readable row; the damaged file is kept
    beside it.

    Raises:
        StoreError: there is no store, another process holds the folder, or it cannot be written.
    """
    path, fresh = folder / FILE, folder / f".{FILE}.partial"
    if not path.is_file():
        raise StoreError(f"{folder}: not a run folder (no {FILE})")
    lock = FolderLock(folder)
    try:
        with folder_errors(folder):
            fresh.unlink(missing_ok=True)
            with closing(sqlite3.connect(fresh, isolation_level=None)) as database:
                migrate(database)
                database.execute("BEGIN")
                database.execute("DELETE FROM meta")
                kept = {table: _copy(path, table, database) for table in COLUMNS}
                database.execute("COMMIT")
            damaged = _free_name(folder)
            shutil.copy2(path, damaged)
            for suffix in ("-wal", "-shm"):
                path.with_name(FILE + suffix).unlink(missing_ok=True)
            os.replace(fresh, path)
    finally:
        lock.release()
    return Salvaged(kept, damaged)


def _copy(path: Path, table: str, database: sqlite3.Connection) -> int:
    """Copies the sound rows of a table. Returns how many."""
    keys = [name for _, name, *_, key in database.execute(f"PRAGMA table_info({table})") if key]
    seen: set[tuple[object, ...]] = set()
    for order in ("ASC", "DESC"):  # from both ends, up to the first page that cannot be read
        for row in _readable(path, table, [f"{key} {order}" for key in keys]):
            if (whole := _sound(table, row)) and whole not in seen:
                seen.add(whole)
                insert(database, table, [whole], "INSERT OR IGNORE")
                if "checksum" not in row:  # the features beside it have no seals either
                    insert(database, "meta", [("unsealed", "1")], "INSERT OR IGNORE")
    (kept,) = database.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(kept)


def _readable(path: Path, table: str, order: list[str]) -> Iterator[dict[str, object]]:
    """Rows as column -> value; text as bytes, since a flipped bit may make it undecodable."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as source:
        source.text_factory = bytes
        try:
            found = source.execute(f"SELECT * FROM {table} ORDER BY {', '.join(order)}")
            names = [column[0] for column in found.description]
            for row in found:
                yield dict(zip(names, row, strict=True))
        except (
            sqlite3.DatabaseError,
            UnicodeDecodeError,
        ):  # what this command is for: rows before the damage are kept
            return


def _sound(table: str, row: dict[str, object]) -> tuple[object, ...] | None:
    """The columns of a row, if it is what was stored; a row from before there were checksums, if
    its text decodes.
    """
    try:
        values = {
            name: value.decode() if isinstance(value, bytes) else value
            for name, value in row.items()
        }
    except UnicodeDecodeError:
        return None
    whole = tuple(values.get(name, ADDED.get(name)) for name in COLUMNS[table])
    if "checksum" in values and values["checksum"] != checksum_of(*whole):
        return None
    return whole


def _free_name(folder: Path) -> Path:
    number = 1
    while (path := folder / f"{FILE}.damaged-{number}").exists():
        number += 1
    return path
