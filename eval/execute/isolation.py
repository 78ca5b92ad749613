"""One clip's failure stays its own: a batch that fails is tried again in parts, down to single
clips.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TypeVar

from eval.errors import EvalError, StoreError

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Failed:
    """Why one item has no result, in one line."""

    reason: str
    out_of_memory: bool = False


class ClipTimeoutError(Exception):
    """A call took longer than it may."""


def isolate(
    items: Sequence[Item],
    work: Callable[[Sequence[Item]], Sequence[Result]],
    *,
    timeout: float | None = None,
    debug: bool = False,
) -> list[Result | Failed]:
    """One result for each item, or why there is none.

    A call that fails is tried again in two halves if memory ran out, else item by item; an item
    that fails alone has failed. StoreError is not caught: without a store nothing can go on.

    Args:
        items: a batch, not empty.
        work: gives one result for each of the items it is called with.
        timeout: seconds an item may take, a batch that many times its items; None: for ever. It
            interrupts Python code in the main thread, on systems with SIGALRM; a call that hangs
            inside a C library goes on.
        debug: let the first exception through.

    Raises:
        EvalError: if there is a timeout and no way to keep it here.
    """
    outcome = _attempt(items, work, timeout, debug)
    if not isinstance(outcome, Failed):
        return outcome
    if len(items) == 1:
        return [outcome]
    step = (len(items) + 1) // 2 if outcome.out_of_memory else 1
    parts = [items[start : start + step] for start in range(0, len(items), step)]
    return [
        result for part in parts for result in isolate(part, work, timeout=timeout, debug=debug)
    ]


def _attempt(
    items: Sequence[Item],
    work: Callable[[Sequence[Item]], Sequence[Result]],
    timeout: float | None,
    debug: bool,
) -> list[Result | Failed] | Failed:
    try:
        with time_limit(None if timeout is None else timeout * len(items)):
            return list(work(items))
    except StoreError:
        raise
    except Exception as error:
        if debug:
            raise
        failed = Failed(_reason(error), _out_of_memory(error))
    # The exception, and with it the frames that hold the batch's memory, is gone by here.
    torch = sys.modules.get("torch")
    if failed.out_of_memory and torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
    return failed


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raises ClipTimeoutError inside the block once ``seconds`` have passed; None: never."""
    if seconds is None:
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise ClipTimeoutError(f"took longer than {seconds:g} s")

    try:
        previous = signal.signal(signal.SIGALRM, stop)
    except (AttributeError, ValueError) as error:
        raise EvalError("a timeout needs SIGALRM and the main thread; leave it out here") from error
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _reason(error: Exception) -> str:
    text = (str(error).strip().splitlines() or ["(no message)"])[0]
    return (
        text
        if isinstance(error, EvalError | ClipTimeoutError)
        else f"{type(error).__name__}: {text}"
    )


def _out_of_memory(error: Exception) -> bool:
    """MemoryError, or what torch raises for a GPU (a class of its own) and for main memory (a plain
    RuntimeError).
    """
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
