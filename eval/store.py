"""The run folder: SQLite for what is known, files for clips and features. It stores, and decides nothing."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from .clip import Clip, read_clip, write_clip
from .errors import EvalError

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS clips (cell TEXT, sample TEXT, seed INTEGER, key TEXT NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (cell, sample, seed)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (cell TEXT, sample TEXT, seed INTEGER, metric TEXT, value REAL NOT NULL,
    flags TEXT NOT NULL, clip_key TEXT NOT NULL, encoder_fingerprint TEXT NOT NULL,
    PRIMARY KEY (cell, sample, seed, metric)) WITHOUT ROWID;
"""


class StoredClip(NamedTuple):
    """A row of ``clips`` without its cell: generation wall time in seconds a clip."""

    sample: str
    seed: int
    key: str
    seconds: float


class Record(NamedTuple):
    """A row of ``records``: one value, what it was measured on, and by which encoder weights."""

    cell: str
    sample: str
    seed: int
    metric: str
    value: float
    flags: str
    clip_key: str
    encoder_fingerprint: str


class Store:
    """One run folder, held by one process at a time. Use it as a context manager.

    A row is written only after the files it speaks of, and files are replaced only after their rows are gone, so that a
    kill at any moment leaves nothing that looks complete and is not.

    Args:
        folder: made if missing.

    Attributes:
        decoded: how many clips were read from their files.

    Raises:
        EvalError: if another process holds the folder (naming it), or the store cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        from filelock import FileLock, Timeout

        self.folder = folder
        self.decoded = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / "run.lock")
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise EvalError(f"{folder}: in use by {self._holder()}; wait for it, or give another --out") from error
        except OSError as error:
            raise EvalError(f"{folder}: cannot be written ({error.strerror}); give another --out") from error
        write_text(folder / "run.lock.json", json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        try:
            self._database = sqlite3.connect(folder / "store.sqlite", isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")  # a killed process loses nothing committed
            self._database.executescript(_TABLES)
        except sqlite3.DatabaseError as error:
            self._lock.release()
            raise EvalError(f"{folder / 'store.sqlite'}: not a usable store ({error}); give another --out") from error

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()
        (self.folder / "run.lock.json").unlink(missing_ok=True)
        self._lock.release()

    def _holder(self) -> str:
        try:
            holder = json.loads((self.folder / "run.lock.json").read_text())
            return f"process {holder['pid']} on {holder['host']}"
        except (OSError, ValueError, KeyError):
            return "another process"

    # clips

    def clip_path(self, key: str) -> Path:
        return self.folder / "clips" / key[:2] / f"{key}.mkv"

    def clip_keys(self, cell: str) -> dict[tuple[str, int], str]:
        """(sample, seed) -> key of the clips of ``cell`` whose files are there."""
        rows = self._database.execute("SELECT sample, seed, key FROM clips WHERE cell = ?", (cell,))
        return {(sample, seed): key for sample, seed, key in rows if self.clip_path(key).is_file()}

    def read(self, key: str) -> Clip:
        self.decoded += 1
        return read_clip(self.clip_path(key))

    def add_clips(self, cell: str, rows: Sequence[StoredClip], clips: Sequence[Clip]) -> None:
        """Stores a batch: forgets what was known of it, writes the files, then adds all rows in one transaction."""
        where = [(cell, row.sample, row.seed) for row in rows]
        with self._transaction():
            self._database.executemany("DELETE FROM records WHERE cell = ? AND sample = ? AND seed = ?", where)
            self._database.executemany("DELETE FROM clips WHERE cell = ? AND sample = ? AND seed = ?", where)
        for row, clip in zip(rows, clips, strict=True):
            for stale in self.folder.glob(f"features/*/{row.key}.npy"):
                stale.unlink()
            write_clip(self.clip_path(row.key), clip)
        with self._transaction():
            self._database.executemany("INSERT INTO clips VALUES (?, ?, ?, ?, ?)", [(cell, *row) for row in rows])

    # records

    def records(self, cell: str) -> list[Record]:
        rows = self._database.execute("SELECT * FROM records WHERE cell = ? ORDER BY sample, seed, metric", (cell,))
        return [Record(*row) for row in rows]

    def add_records(self, records: Iterable[Record]) -> None:
        """Adds or replaces records, in one transaction."""
        with self._transaction():
            self._database.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?)", records)

    # features

    def feature_path(self, encoder: str, key: str) -> Path:
        return self._feature_folder(encoder) / f"{key}.npy"

    def _feature_folder(self, encoder: str) -> Path:
        return self.folder / "features" / quote(encoder, safe="")

    def use_features(self, encoder: str, fingerprint: str) -> None:
        """Drops the stored features of ``encoder`` if other weights made them."""
        if self.meta(f"features/{encoder}") != fingerprint:
            shutil.rmtree(self._feature_folder(encoder), ignore_errors=True)
            self.set_meta(f"features/{encoder}", fingerprint)

    def add_features(self, encoder: str, features: Mapping[str, NDArray[np.float32]]) -> None:
        """Writes clip key -> float32 (D,), each file whole or not at all."""
        for key, vector in features.items():
            path = self.feature_path(encoder, key)
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{key}.partial")
            with partial.open("wb") as file:
                np.save(file, vector)
            os.replace(partial, path)

    def features(self, encoder: str, keys: Sequence[str]) -> NDArray[np.float32]:
        """float32 (len(keys), D)."""
        paths = [self.feature_path(encoder, key) for key in keys]
        loaded: NDArray[np.float32] = np.stack([np.load(path, allow_pickle=False) for path in paths])
        return loaded

    # the rest

    def meta(self, key: str) -> str | None:
        row: tuple[str] | None = self._database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def set_meta(self, key: str, value: str) -> None:
        self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def _transaction(self) -> _Transaction:
        return _Transaction(self._database)


class _Transaction:
    """Commits on a clean exit, rolls back otherwise."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.execute("ROLLBACK" if kind else "COMMIT")


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 file that appears whole or not at all, with ``\\n`` line ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8", newline="\n")
    os.replace(partial, path)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, or an empty one if there is no such file.

    Raises:
        EvalError: naming the file, if it is not a JSON object.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise EvalError(f"{path}: not valid JSON ({error}); remove it and run again") from error
    if not isinstance(content, dict):
        raise EvalError(f"{path}: not a JSON object; remove it and run again")
    return content
