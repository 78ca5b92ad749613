"""A log for machines: one JSON object a line, on disk as soon as it has happened."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from .faults import folder_errors

if TYPE_CHECKING:
    from .store import Failure


class EventLog:
    """Appends events to a file, or to none.

    Args:
        path: of the file; lines of earlier runs stay. None: nothing is written.

    Raises:
        StoreError: the file cannot be written; also from :meth:`write`.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        if path is not None:
            with folder_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()

    def batch(self, event: str, cell: str, clips: int, failures: Sequence[Failure]) -> None:
        """How many clips of a batch went well, after one line for each that did not."""
        for failure in failures:
            self.write("failed", **failure._asdict())
        self.write(event, cell=cell, clips=clips)

    def write(self, event: str, **fields: str | int | float | None) -> None:
        """One line: ``time`` (UTC), ``event`` and the fields."""
        if self._path is None:
            return
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **fields})
        with folder_errors(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
