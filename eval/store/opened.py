"""A run folder that is open: its database, its files, and who holds it."""

from __future__ import annotations

import functools
import json
import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from eval.errors import EvalError
from eval.io.documents import read_json
from eval.io.files import Files, named_place, place, write_whole, writer_of
from eval.store.faults import folder_errors
from eval.store.lock import FolderLock, is_running
from eval.store.rows import Failure, Record, StoredClip, Transaction, insert, read
from eval.store.schema import open_database, open_read_only, version

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Opened = TypeVar("Opened", bound="OpenStore")
Row = TypeVar("Row", StoredClip, Record, Failure)
CLAIM = "run-of-this-storage.json"
"""In a storage: which run it belongs to."""
TABLE_OF: dict[Any, str] = {StoredClip: "clips", Record: "records", Failure: "failures"}


def named(
    method: Callable[Concatenate[Opened, Parameters], Result],
) -> Callable[Concatenate[Opened, Parameters], Result]:
    """Turns errors of the disk and of SQLite in ``method`` into one line that names the folder."""

    @functools.wraps(method)
    def guarded(store: Opened, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with folder_errors(store.folder):
            return method(store, *args, **kwargs)

    return guarded


class OpenStore:
    """The part of :class:`eval.store.store.Store` that opens and closes it."""

    def __init__(
        self,
        folder: Path,
        *,
        wait: float = 0.0,
        read_only: bool = False,
        check: bool = True,
        storage: str | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.decoded = 0
        self._digests: dict[str, str | None] | None = None
        self._lock = None if read_only else FolderLock(folder, wait=wait)
        try:
            with folder_errors(folder):
                self._database = (
                    open_read_only(folder, check=check) if read_only else open_database(folder)
                )
        except EvalError:
            self._release()
            raise
        try:
            self.storage = self._settle(storage)
            self.files = Files(place(self.storage) if self.storage else self.folder)
            if self._lock:
                self._claim()
                self._upgrade()
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

    def _upgrade(self) -> None:
        """What is done once for a store that an older version wrote."""

    @named
    def _claim(self) -> None:
        """Takes a storage for this run alone: two runs in one would replace each other's files."""
        if self.storage is None:
            return
        known = self.meta("run")
        mark = self.files.root / CLAIM
        owner = read_json(mark).get("run") if mark.is_file() else None
        if owner is None:
            known = known or uuid.uuid4().hex
            write_whole(mark, json.dumps({"run": known, "folder": str(self.folder)}).encode())
            self.set_meta("run", known)
        elif owner != known:
            raise EvalError(
                f"--storage {self.storage}: it belongs to the run folder "
                f"{read_json(mark).get('folder')}; give each run a storage of its own"
            )

    @named
    def sweep(self) -> None:
        """Removes what killed processes were in the middle of writing."""
        for root in {self.folder, self.files.root}:
            for partial in root.rglob(".*.partial") if isinstance(root, Path) else ():
                if not _writes_now(partial):
                    partial.unlink(missing_ok=True)

    def __enter__(self) -> Self:
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

    @named
    def meta(self, key: str) -> str | None:
        found = list(read(self._database, "meta", "WHERE key = ?", [key]))
        return str(found[0][1]) if found else None

    @named
    def set_meta(self, key: str, value: str) -> None:
        insert(self._database, "meta", [(key, value)], "INSERT OR REPLACE")

    def _rows(
        self, kind: Callable[..., Row], where: str = "", values: Sequence[object] = ()
    ) -> list[Row]:
        return [kind(*row) for row in read(self._database, TABLE_OF[kind], where, values)]

    def _transaction(self) -> Transaction:
        return Transaction(self._database)


def _writes_now(partial: Path) -> bool:
    """Whether another process, such as a report, is in the middle of writing the file."""
    process = writer_of(partial)
    return process not in (None, os.getpid()) and is_running(int(process or 0))
