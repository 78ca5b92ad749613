"""How many threads this process may work on, and work that is spread over them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def thread_count() -> int:
    """``OMP_NUM_THREADS`` where it is set, as for torch; else the cores that this process may use.

    Workers of a run are started with as many threads as their share of the cores.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """``work`` of each item, in their order; on as many threads as `thread_count` says.

    For work that spends its time in NumPy or OpenCV, which let other threads run meanwhile. The
    first error is raised, and items that were not begun by then are left.
    """
    listed = list(items)
    count = min(thread_count(), len(listed))
    if count < 2:
        return [work(item) for item in listed]
    pool = ThreadPoolExecutor(count)
    try:
        return list(pool.map(work, listed))
    finally:
        pool.shutdown(cancel_futures=True)
