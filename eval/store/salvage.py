"""Saves what can be read of a damaged store. What cannot is missing, and the next run makes it
again.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from eval.errors import StoreError
from eval.store.faults import folder_errors
from eval.store.lock import FolderLock
from eval.store.schema import FILE, TABLES, migrate


class Salvaged(NamedTuple):
    """Table -> rows kept, and where the damaged store lies now."""

    kept: dict[str, int]
    damaged: Path


def salvage(folder: Path) -> Salvaged:
    """Writes a sound store with every readable row, in place of the one there, which is kept beside
    it.

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
                kept = {table: _copy(path, table, database) for table in TABLES}
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
    columns = [
        (name, key) for _, name, _, _, _, key in database.execute(f"PRAGMA table_info({table})")
    ]
    keys = [name for name, key in columns if key]
    holes = ", ".join("?" for _ in columns)
    for order in ("ASC", "DESC"):  # from both ends, up to the first page that cannot be read
        rows = _readable(
            path, f"SELECT * FROM {table} ORDER BY {', '.join(f'{key} {order}' for key in keys)}"
        )
        database.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({holes})", rows)
    (kept,) = database.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(kept)


def _readable(path: Path, query: str) -> list[tuple[object, ...]]:
    rows = []
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as source:
        try:
            for row in source.execute(query):
                rows.append(row)
        except (
            sqlite3.DatabaseError
        ):  # what this command is for: the rows before the damage are kept
            pass
    return rows


def _free_name(folder: Path) -> Path:
    number = 1
    while (path := folder / f"{FILE}.damaged-{number}").exists():
        number += 1
    return path
