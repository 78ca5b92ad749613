"""A log for machines: one JSON object a line, on disk as soon as it has happened."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from eval.store.faults import folder_errors

if TYPE_CHECKING:
    from eval.plan.batches import Batch
    from eval.store.store import Failure


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

    def batch(self, event: str, batch: Batch, failures: Sequence[Failure]) -> None:
        """How many clips of a batch went well, a line for each of its cells, after one for each
        that did not.
        """
        for failure in failures:
            fields = failure._asdict()
            del fields["traceback"]
            self.write("failed", **fields)
        wanted = Counter(item.cell.id for item in batch.items)
        failed = Counter(failure.cell for failure in failures)
        for cell, clips in wanted.items():
            self.write(event, cell=cell, clips=clips - failed[cell])

    def write(self, event: str, **fields: str | int | float | None) -> None:
        """One line: ``time`` (UTC), ``event`` and the fields."""
        if self._path is None:
            return
        line = json.dumps(
            {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **fields}
        )
        with folder_errors(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
