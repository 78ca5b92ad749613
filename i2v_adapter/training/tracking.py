"""Trackers of a run: a log file that is always there, and those of accelerate that a configuration
names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate.tracking import GeneralTracker, get_available_trackers
from accelerate.utils import LoggerType

from i2v_adapter.training.config import TrainingError
from i2v_adapter.training.state import disk_errors


class JsonLinesTracker(GeneralTracker):
    """Appends one JSON object a call of `log` to a file: the values, and `step`."""

    name = "jsonl"
    requires_logging_directory = False
    main_process_only = True

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    @property
    def tracker(self) -> Path:
        """The file."""
        return self._path

    def log(self, values: Mapping[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """Append `values`."""
        with disk_errors(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")


def choose_trackers(names: Sequence[str], log: Path) -> list[Any]:
    """What `Accelerator(log_with=)` takes.

    Raises:
        TrainingError: a name is unknown to accelerate, or its package is not installed.
    """
    available = [str(tracker) for tracker in get_available_trackers()]
    for name in names:
        if name not in available:
            known = [str(kind) for kind in LoggerType if str(kind) != "all"]
            reason = (
                "its package is not installed"
                if name in known
                else f"accelerate knows {', '.join(known)}"
            )
            raise TrainingError(f"trackers: {name!r} cannot be used: {reason}")
    return [JsonLinesTracker(log), *names]
