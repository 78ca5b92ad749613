"""Says when models are loaded, so that loading counts neither as a clip's time nor against its
limit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class _State:
    depth = 0
    blocks = 0
    seconds = 0.0


_STATE = _State()


@contextmanager
def loading() -> Iterator[None]:
    """Put this around whatever a first call does once: importing, reading weights, compiling.

    Whether anything is left to load need not be known: a block that ends at once costs nothing.
    """
    start = time.perf_counter()
    _STATE.depth += 1
    _STATE.blocks += 1
    try:
        yield
    finally:
        _STATE.depth -= 1
        if _STATE.depth == 0:
            _STATE.seconds += time.perf_counter() - start


def is_loading() -> bool:
    """Whether a block of :func:`loading` is open."""
    return _STATE.depth > 0


def loaded() -> tuple[int, float]:
    """How many blocks there were in this process, and the seconds that they took."""
    return _STATE.blocks, _STATE.seconds
