"""The run folder: SQLite for what is known, files for clips and features. It stores, and decides
nothing.
"""

from __future__ import annotations

import functools
import itertools
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Concatenate, NamedTuple, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from eval.clips.lossless import Clip, read_clip
from eval.errors import EvalError
from eval.io.arrays import read_array, write_array
from eval.io.files import Files, named_place, place, write_whole
from eval.store.faults import folder_errors
from eval.store.lock import FolderLock
from eval.store.schema import open_database, open_read_only, version

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class StoredClip(NamedTuple):
    """A row of ``clips``: generation wall time in seconds a clip."""

    cell: str
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


class Failure(NamedTuple):
    """A row of ``failures``: a clip that could not be made (stage ``make``) or measured
    (``measure``), and why.
    """

    cell: str
    sample: str
    seed: int
    stage: str
    reason: str

    def __str__(self) -> str:
        return (
            f"cell {self.cell}, sample/seed {self.sample}/{self.seed} ({self.stage}): {self.reason}"
        )


def _named(
    method: Callable[Concatenate[Store, Parameters], Result],
) -> Callable[Concatenate[Store, Parameters], Result]:
    """Errors of the disk and of SQLite in ``method`` become one line that names the folder."""

    @functools.wraps(method)
    def guarded(store: Store, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with folder_errors(store.folder):
            return method(store, *args, **kwargs)

    return guarded


class Store:
    """One run folder, held by one process at a time. Use it as a context manager.

    The database and the tables always lie in the folder, on a disk; clips and features may lie
    elsewhere (``storage``).

    A row is written only after the files it speaks of, and files are replaced only after their rows
    are gone, so that a kill at any moment leaves nothing that looks complete and is not.

    Args:
        folder: made if missing.
        wait: seconds to wait for another process to let the folder go.
        read_only: look at a folder, also while another process works on it; nothing in it is
            touched.
        storage: path or fsspec URL of clips and features; None: where they were put before, at
            first the folder itself.

    Attributes:
        decoded: how many clips were read from their files.
        files: clips and features.
        storage: as given, now or before; None for the folder itself.

    Raises:
        StoreError: if another process holds the folder (naming it), or the store cannot be
            opened or is damaged.
        EvalError: no such storage, or another than before.
    """

    def __init__(
        self,
        folder: Path,
        *,
        wait: float = 0.0,
        read_only: bool = False,
        storage: str | None = None,
    ) -> None:
        self.folder = folder
        self.decoded = 0
        self._lock = None if read_only else FolderLock(folder, wait=wait)
        try:
            with folder_errors(folder):
                self._database = open_read_only(folder) if read_only else open_database(folder)
        except EvalError:
            self._release()
            raise
        try:
            self.storage = self._settle(storage)
            self.files = Files(place(self.storage) if self.storage else folder)
        except EvalError:
            self.__exit__(None, None, None)
            raise
        if self._lock and self._lock.left_behind:
            self.sweep()

    def _settle(self, storage: str | None) -> str | None:
        """The storage that was chosen once and for all."""
        known = self.meta("storage")
        if storage is None:
            if known:
                named_place(known, self.folder)
            return known
        wanted = storage if "://" in storage else str(Path(storage).resolve())
        (clips,) = self._database.execute("SELECT count(*) FROM clips").fetchone()
        if wanted != known and (known or clips):
            raise EvalError(
                f"--storage {storage}: the clips of {self.folder} lie in {known or 'it'}; give "
                "another --out"
            )
        place(wanted)
        if wanted != known:
            self.set_meta("storage", wanted)
        return wanted

    @_named
    def sweep(self) -> None:
        """Removes what killed processes were in the middle of writing."""
        for root in {self.folder, self.files.root}:
            for partial in root.rglob(".*.partial") if isinstance(root, Path) else ():
                partial.unlink(missing_ok=True)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()

    @property
    def version(self) -> int:
        """Of the tables; below :data:`eval.store.schema.VERSION` only where nothing may be
        written."""
        return version(self._database)

    # clips

    @_named
    def clip_keys(self, cell: str) -> dict[tuple[str, int], str]:
        """(sample, seed) -> key of the clips of ``cell`` whose files are there."""
        rows = self._database.execute("SELECT sample, seed, key FROM clips WHERE cell = ?", (cell,))
        return {
            (sample, seed): key
            for sample, seed, key in rows
            if self.files.present(self.files.clip(key))
        }

    @_named
    def seconds(self, cell: str) -> dict[tuple[str, int], float]:
        """(sample, seed) -> wall time it took to make the clip."""
        rows = self._database.execute(
            "SELECT sample, seed, seconds FROM clips WHERE cell = ?", (cell,)
        )
        return {(sample, seed): seconds for sample, seed, seconds in rows}

    def read(self, key: str) -> Clip:
        self.decoded += 1
        return read_clip(self.files.clip(key))

    @_named
    def add_clips(
        self,
        rows: Sequence[StoredClip],
        contents: Sequence[bytes],
        failures: Sequence[Failure] = (),
    ) -> None:
        """Stores a batch: forgets what was known of it, writes the files, then adds all rows in one
        transaction. ``contents``: of :func:`eval.clips.lossless.encoded`, one for each row.
        """
        self.forget_clips([row[:3] for row in (*rows, *failures)], [row.key for row in rows])
        for row, content in zip(rows, contents, strict=True):
            write_whole(self.files.clip(row.key), content)
        self.add_clip_rows(rows, failures)

    @_named
    def forget_clips(self, items: Sequence[tuple[str, str, int]], keys: Iterable[str]) -> None:
        """Makes way for the clips of these (cell, sample, seed): their rows go, then the features
        of these keys.
        """
        with self._transaction():
            for table in ("records", "clips", "failures"):
                self._forget(table, items)
        encoders = self._database.execute(
            "SELECT substr(key, 10) FROM meta WHERE key LIKE 'features/%'"
        ).fetchall()
        for (encoder,), key in itertools.product(encoders, keys):
            stale = self.files.feature(encoder, key)
            if self.files.present(stale):
                stale.unlink(missing_ok=True)

    @_named
    def add_clip_rows(self, rows: Sequence[StoredClip], failures: Sequence[Failure] = ()) -> None:
        """Adds a batch whose files are written, in one transaction."""
        with self._transaction():
            self._database.executemany("INSERT INTO clips VALUES (?, ?, ?, ?, ?)", rows)
            self._database.executemany("INSERT INTO failures VALUES (?, ?, ?, ?, ?)", failures)

    # failures

    @_named
    def failures(self) -> list[Failure]:
        """All of them; none in a store from before there were any."""
        if self.version < 2:
            return []
        rows = self._database.execute("SELECT * FROM failures ORDER BY cell, sample, seed")
        return [Failure(*row) for row in rows]

    @_named
    def forget_failures(self, items: Iterable[tuple[str, str, int]]) -> None:
        """Of (cell, sample, seed)."""
        with self._transaction():
            self._forget("failures", items)

    @_named
    def add_failures(self, failures: Sequence[Failure]) -> None:
        """Adds or replaces failures, whose records go."""
        with self._transaction():
            self._forget("records", [failure[:3] for failure in failures])
            self._database.executemany(
                "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?)", failures
            )

    def _forget(self, table: str, items: Iterable[tuple[str, str, int]]) -> None:
        self._database.executemany(
            f"DELETE FROM {table} WHERE cell = ? AND sample = ? AND seed = ?", items
        )

    # records

    @_named
    def records(self, cell: str) -> list[Record]:
        rows = self._database.execute(
            "SELECT * FROM records WHERE cell = ? ORDER BY sample, seed, metric", (cell,)
        )
        return [Record(*row) for row in rows]

    @_named
    def add_records(self, records: Iterable[Record]) -> None:
        """Adds or replaces records, in one transaction."""
        with self._transaction():
            self._database.executemany(
                "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?)", records
            )

    # features

    @_named
    def use_features(self, encoder: str, fingerprint: str) -> None:
        """Drops the stored features of ``encoder`` if other weights made them."""
        if self.meta(f"features/{encoder}") != fingerprint:
            self.files.remove(self.files.feature_folder(encoder))
            self.set_meta(f"features/{encoder}", fingerprint)

    @_named
    def add_features(self, encoder: str, features: Mapping[str, NDArray[np.float32]]) -> None:
        """Writes clip key -> float32 (D,), each file whole or not at all."""
        for key, vector in features.items():
            write_array(self.files.feature(encoder, key), vector)

    def features(self, encoder: str, keys: Sequence[str]) -> NDArray[np.float32]:
        """float32 (len(keys), D)."""
        return np.stack([read_array(self.files.feature(encoder, key)) for key in keys])

    # the rest

    @_named
    def meta(self, key: str) -> str | None:
        row: tuple[str] | None = self._database.execute(
            "SELECT value FROM meta WHERE key = ?", (key,)
        ).fetchone()
        return row[0] if row else None

    @_named
    def set_meta(self, key: str, value: str) -> None:
        self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def _transaction(self) -> _Transaction:
        return _Transaction(self._database)


class _Transaction:
    """Commits on a clean exit, rolls back otherwise."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        if (
            self._database.in_transaction
        ):  # a timeout's exception can fall between BEGIN and the block
            self._database.execute("ROLLBACK")
        self._database.execute("BEGIN IMMEDIATE")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._database.in_transaction:  # SQLite itself rolls back when the disk is full
            self._database.execute("ROLLBACK" if kind else "COMMIT")
