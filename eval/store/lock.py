"""One process at a time on a run folder, and who it is."""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

from eval.errors import StoreError


class FolderLock:
    """Holds a run folder until :meth:`release`, or until the process ends in whatever way.

    Args:
        folder: made if missing.
        wait: seconds to wait for another process to let it go.

    Attributes:
        left_behind: whether the process that held it before was killed.

    Raises:
        StoreError: naming the process that holds the folder, or why the folder cannot be written.
    """

    def __init__(self, folder: Path, *, wait: float = 0.0) -> None:
        from filelock import FileLock, Timeout

        self._mark = folder / "run.lock.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / "run.lock")
            self._lock.acquire(timeout=wait)
            self.left_behind = self._mark.exists()
            since = datetime.now(UTC).isoformat(timespec="seconds")
            self._mark.write_text(
                json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since})
            )
        except Timeout as error:
            raise StoreError(
                f"{folder}: in use by {holder(folder)}; wait for it with --wait SECONDS, or give "
                "another --out"
            ) from error
        except OSError as error:
            raise StoreError(
                f"{folder}: cannot be written ({error.strerror}); give another --out"
            ) from error

    def release(self) -> None:
        self._mark.unlink(missing_ok=True)
        self._lock.release()


def is_held(folder: Path) -> bool:
    """Whether the process that took the folder still runs; assumed for a process on
    another host."""
    try:
        mark = json.loads((folder / "run.lock.json").read_text(encoding="utf-8"))
        return mark["host"] != socket.gethostname() or is_running(int(mark["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def is_running(process: int) -> bool:
    """Whether there is a process of this number on this machine."""
    try:
        os.kill(process, 0)
    except PermissionError:  # it runs, as another user
        return True
    except (OSError, OverflowError):
        return False
    return True


def holder(folder: Path) -> str:
    """What the process that took the folder wrote about itself; it stays after a kill."""
    try:
        mark = json.loads((folder / "run.lock.json").read_text())
        return f"process {mark['pid']} on {mark['host']} since {mark['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
