"""The rows of a run folder's store, each with a checksum, so that a bit that flips on the disk is
found.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import NamedTuple

from eval.store.schema import ADDED, CHECKSUMMED, COLUMNS, REALS, checksum_of, version


class StoredClip(NamedTuple):
    """A row of ``clips``.

    Attributes:
        cell, sample, seed: the clip's place.
        key: names its file.
        seconds: wall time to make it, without loading.
        cold: whether it is of the first call of its method in a process, and that time includes
            whatever the method loaded.
        size: bytes of its file; None: not known yet, in a store from before there were digests.
        sha256: hex digest of its file; None: not known yet.
    """

    cell: str
    sample: str
    seed: int
    key: str
    seconds: float
    cold: bool = False
    size: int | None = None
    sha256: str | None = None


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
    (``measure``), why, and the traceback ("" if nothing was raised).
    """

    cell: str
    sample: str
    seed: int
    stage: str
    reason: str
    traceback: str = ""

    def __str__(self) -> str:
        return (
            f"cell {self.cell}, sample/seed {self.sample}/{self.seed} ({self.stage}): {self.reason}"
        )


def read(
    database: sqlite3.Connection, table: str, where: str = "", values: Sequence[object] = ()
) -> Iterator[tuple[object, ...]]:
    """Rows of a table with the columns of :data:`eval.store.schema.COLUMNS`, in the order of the
    primary key.

    Raises:
        sqlite3.DatabaseError: a row does not match its checksum.
    """
    columns = COLUMNS[table]
    checked = version(database) >= CHECKSUMMED
    there = [name for name in columns if checked or name not in ADDED]
    asked = ", ".join([*there, "checksum"] if checked else there)
    for row in database.execute(f"SELECT {asked} FROM {table} {where}", values):
        if not checked:
            found = dict(zip(there, row, strict=True))
            yield tuple(found.get(name, ADDED.get(name)) for name in columns)
            continue
        *fields, checksum = row
        if checksum != checksum_of(*fields):
            raise sqlite3.DatabaseError(f"malformed: a row of {table} does not match its checksum")
        yield tuple(fields)


def insert(
    database: sqlite3.Connection, table: str, rows: Iterable[Sequence[object]], verb: str = "INSERT"
) -> None:
    """Adds rows with the columns of :data:`eval.store.schema.COLUMNS`, and their checksums.

    Raises:
        sqlite3.IntegrityError: a row is there already (unless ``verb`` is ``INSERT OR REPLACE``),
            or holds NULL or NaN where there must be a value.
    """
    columns = (*COLUMNS[table], "checksum")
    reals = {index for index, name in enumerate(columns) if name in REALS}
    plain = [
        tuple(_as_stored(value, index in reals) for index, value in enumerate(row)) for row in rows
    ]
    database.executemany(
        f"{verb} INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' for _ in columns)})",
        [(*row, checksum_of(*row)) for row in plain],
    )


def _as_stored(value: object, real: bool) -> object:
    """The value as SQLite gives it back: no subclasses, no -0.0, no integer in a REAL column."""
    if isinstance(value, float) or (real and isinstance(value, int)):
        return float(value) + 0.0
    if isinstance(value, bool):
        return int(value)
    return str(value) if isinstance(value, str) else value


class Transaction:
    """Commits on a clean exit, rolls back otherwise."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        if self._database.in_transaction:  # a timeout can fall between BEGIN and the block
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
