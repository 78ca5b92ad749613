"""Stops a run before the machine runs out of memory. Stored results stay; the same command in a new
process continues.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from eval.errors import EvalError

LEAST = 0.03
"""Part of the memory that must be free before another batch is begun."""
GLANCE = 0.5
"""Seconds of processor time between two looks during a call."""
_GROUP = Path("/sys/fs/cgroup")


class MemoryLowError(EvalError):
    """Too little memory is free to go on."""

    exit_code = 1


def check_memory() -> None:
    """Raises MemoryLowError where nearly nothing is free and this process holds much of what is
    used: a method that leaks. Where the system does not tell, nothing is checked.
    """
    found = _machine() + _group()
    for free, whole in found:
        mine = _mine()
        if free < LEAST * whole and mine > whole / 4:
            raise MemoryLowError(
                f"{free / 2**20:.0f} MiB of {whole / 2**20:.0f} MiB are free, and this process "
                f"holds {mine / 2**20:.0f} MiB: something leaks memory. What is stored stays; run "
                "the same command again"
            )


@contextmanager
def memory_watched() -> Iterator[None]:
    """Where :func:`check_memory` would stop the run while the block works, a MemoryError is raised
    in the block: a call that takes memory piece by piece ends before the machine does. A single
    allocation larger than what is free is not seen. Outside the main thread, and without interval
    timers, this does nothing.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "setitimer"):
        yield
        return

    def look(number: int, frame: FrameType | None) -> None:
        try:
            check_memory()
        except MemoryLowError as error:
            raise MemoryError(str(error).partition(". What")[0]) from None

    previous = signal.signal(signal.SIGPROF, look)
    signal.siginterrupt(signal.SIGPROF, False)  # system calls go on
    signal.setitimer(signal.ITIMER_PROF, GLANCE, GLANCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)


def _machine() -> list[tuple[int, int]]:
    """Free and whole bytes of the machine."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        known = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
        return [(known["MemAvailable"], known["MemTotal"])]
    except (OSError, ValueError, KeyError, IndexError):
        return []


def _group() -> list[tuple[int, int]]:
    """Free and whole bytes of this container, if it has a limit."""
    try:
        whole = int((_GROUP / "memory.max").read_text())
        used = int((_GROUP / "memory.current").read_text())
        lines = (_GROUP / "memory.stat").read_text().splitlines()
        known = dict(line.split() for line in lines)
        return [(whole - used + int(known["inactive_file"]), whole)]
    except (OSError, ValueError, KeyError):  # no limit is the word "max"
        return []


def _mine() -> int:
    """Bytes that this process holds in memory."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))
    except (OSError, ValueError, StopIteration):
        return 0
