"""Stops a run before the machine runs out of memory: what is stored stays, and a fresh process goes
on.
"""

from __future__ import annotations

from pathlib import Path

from eval.errors import EvalError

LEAST = 0.03
"""Part of the memory that must be free before another batch is begun."""
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
