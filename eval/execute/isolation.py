"""Isolates failures: a batch that fails is tried again in parts, down to single clips, so that one
clip does not stop the others.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from eval.errors import Stop, StoreError, one_line, reason_of, traceback_of
from eval.execute.free_memory import memory_watched
from eval.execute.time_limits import HalfImportedError, time_limit
from eval.methods.guard import guarded

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Failed:
    """Why one item has no result.

    Attributes:
        reason: one line of at most 1,000 printable characters.
        out_of_memory: whether memory ran out.
        traceback: where it happened, at most 20,000 characters; "" if nothing was raised.
    """

    reason: str
    out_of_memory: bool = False
    traceback: str = field(default="", compare=False)


def isolate(
    items: Sequence[Item],
    work: Callable[[Sequence[Item]], Sequence[Result]],
    *,
    timeout: float | None = None,
    debug: bool = False,
    relieve: Callable[[], bool] | None = None,
) -> list[Result | Failed]:
    """One result for each item, or the reason why it failed.

    A call that fails is tried again in two halves if memory ran out, else item by item; an item
    that fails alone has failed. Everything that the call raises is a failure, SystemExit and its
    own KeyboardInterrupt included; the process gets its state back (:func:`guarded`). StoreError
    (nothing can go on without a store), Stop and HalfImportedError are not caught.

    Args:
        items: a batch, not empty.
        work: gives one result for each of the items it is called with.
        timeout: seconds an item may take, a batch that many times its items; None: for ever. It
            interrupts Python code in the main thread, on systems with SIGALRM; a call that hangs
            inside a C library goes on; see :func:`eval.execute.time_limits.end_if_overrun`.
        debug: let the first exception through.
        relieve: frees memory that other models hold; called when memory ran out. Where it says
            that there were any, the same call is tried once more.

    Raises:
        EvalError: if there is a timeout and no way to keep it here.
        Stop: SIGINT or SIGTERM came.
    """
    outcome = _attempt(items, work, timeout, debug)
    if isinstance(outcome, Failed) and outcome.out_of_memory and relieve and relieve():
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
    limit = None if timeout is None else timeout * len(items)
    try:
        with guarded(), memory_watched(), time_limit(limit, _name(items)):
            return list(work(items))
    except (StoreError, HalfImportedError, Stop):
        raise
    except BaseException as error:  # sys.exit() and KeyboardInterrupt("text") too fail a clip alone
        if debug:
            raise
        failed = Failed(reason_of(error), _out_of_memory(error), traceback_of(error))
    # The exception, and with it the frames that hold the batch's memory, is gone by here.
    torch = sys.modules.get("torch")
    if failed.out_of_memory and torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
    return failed


def _name(items: Sequence[Item]) -> str:
    """Of the first item, for a message: where it stands in a plan, as far as it does."""
    place = getattr(items[0], "place", None)
    if not isinstance(place, tuple):
        return ""
    more = f" or one of {len(items) - 1} more" if len(items) > 1 else ""
    return one_line("the clip of cell {}, sample {}, seed {}".format(*place)) + more


def _out_of_memory(error: BaseException) -> bool:
    """MemoryError, or what torch raises for a GPU (a class of its own) and for main memory (a plain
    RuntimeError).
    """
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
