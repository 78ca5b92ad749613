"""How far a run folder has come, also while a process works on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from eval.io.documents import read_table
from eval.store.lock import holder, is_held
from eval.store.received import read_run
from eval.store.schema import FILE, VERSION
from eval.store.store import Failure, Store


class CellStatus(NamedTuple):
    """A cell's clips: wanted by the last run's suite, made, measured with at least one metric,
    failed.
    """

    cell: str
    wanted: int
    made: int
    measured: int
    failed: int


class Status(NamedTuple):
    """A run folder at this moment.

    Attributes:
        suite: its name.
        schema: version of the store's tables, and whether the next run will migrate it.
        holder: the process that works on it, or None.
        finished: when the last run that made something ended, or None.
        cells: in the plan's order.
        failures: all of them.
        checked: whether the database and every clip's file were looked at.
    """

    suite: str
    schema: str
    holder: str | None
    finished: str | None
    cells: list[CellStatus]
    failures: list[Failure]
    checked: bool


SMALL = 16 * 2**20
"""Bytes of a database that is always checked."""


def status(folder: Path, *, check: bool = False) -> Status:
    """Reads the state of a run folder; writes nothing.

    Args:
        folder: of the run.
        check: look at all pages of the database, and at the file of every clip, also where the
            database is larger than `SMALL` and no process was killed. Otherwise clips are counted
            as the database has them.

    Raises:
        StoreError: the folder holds no run, or its store is damaged.
    """
    held = holder(folder) if is_held(folder) else None
    check = check or not _is_large(folder) or (held is None and _was_killed(folder))
    with Store(folder, read_only=True, check=check) as store:
        document: dict[str, Any] = read_run(folder)
        every = _samples(folder) * len(document.get("seeds", []))
        failures = store.failures()
        wanted = {cell["id"]: cell.get("clips", every) for cell in document.get("cells", [])}
        if check:
            cells = [_cell(store, cell, count, failures) for cell, count in wanted.items()]
        else:
            counts = store.counts()
            cells = [
                CellStatus(cell, count, *counts.get(cell, (0, 0, 0)))
                for cell, count in wanted.items()
            ]
        schema = (
            f"{store.version}"
            if store.version == VERSION
            else f"{store.version}, the next run makes it {VERSION}"
        )
    name = str(document.get("suite", {}).get("name", "unknown"))
    return Status(name, schema, held, document.get("finished"), cells, failures, check)


def _is_large(folder: Path) -> bool:
    path = folder / FILE
    return path.is_file() and path.stat().st_size > SMALL


def _was_killed(folder: Path) -> bool:
    """Whether a process left its journal behind: SQLite removes it when the last one leaves."""
    return (folder / f"{FILE}-wal").exists()


def _cell(store: Store, cell: str, wanted: int, failures: list[Failure]) -> CellStatus:
    measured = {(record.sample, record.seed) for record in store.records(cell)}
    failed = sum(failure.cell == cell for failure in failures)
    return CellStatus(cell, wanted, len(store.clip_keys(cell)), len(measured), failed)


def _samples(folder: Path) -> int:
    return sum(1 for _ in read_table(folder / "samples.csv", ("id",)))
