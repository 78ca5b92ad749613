"""Runs code of other people (methods, metrics, encoders) so that it can neither end this process
nor change it.
"""

from __future__ import annotations

import gc
import locale
import logging
import os
import random
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any, NamedTuple

from eval.errors import EvalError, Stop, reason_of


@contextmanager
def guarded() -> Iterator[None]:
    """Runs the block and puts the process back into the state that it had before.

    Put back are: working directory, environment, umask, signal handlers, import path, standard
    streams, global random generators, recursion limit, locale, and the modes of torch, numpy,
    warnings, logging and the garbage collector. ``os._exit`` raises SystemExit instead. A child
    that the block forks and that leaves the block ends there.

    Raises:
        Stop: SIGINT or SIGTERM came, also where the block swallowed it.
    """
    with stoppable(), ExitStack() as stack:
        stack.enter_context(_no_way_out(os.getpid()))
        for kept in _kept():
            stack.callback(kept.put_back, kept.get())
        yield


@contextmanager
def foreign(what: str) -> Iterator[None]:
    """:func:`guarded`; whatever the block raises besides becomes an EvalError that names
    ``what``, SystemExit included.
    """
    try:
        with guarded():
            yield
    except (EvalError, Stop):
        raise
    except BaseException as error:
        raise EvalError(f"{what} fails with {reason_of(error)}") from error


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGINT and SIGTERM raise :class:`eval.errors.Stop` inside the block; where the block swallows
    it, after it.

    A signal that somebody else handles or ignores keeps its handler. Outside the main thread this
    does nothing: signals arrive elsewhere.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        raise Stop(number)

    ours: Any = stop
    ours.raises_stop = True
    previous = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        handler = signal.getsignal(number)
        if handler is signal.default_int_handler or getattr(handler, "raises_stop", False):
            previous[number] = signal.signal(number, ours)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if heard:
            raise Stop(heard[0])


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """SIGTERM too raises :class:`eval.errors.Stop` inside the block."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stop(number)

    ours: Any = stop
    ours.raises_stop = True
    previous = signal.signal(signal.SIGTERM, ours)
    try:
        with stoppable():
            yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def _no_way_out(process: int) -> Iterator[None]:
    leave = os._exit

    def refuse(status: int) -> Any:
        if os.getpid() != process:
            leave(status)
        raise SystemExit(f"os._exit({status})")

    os._exit = refuse  # type: ignore[assignment]
    try:
        yield
    finally:
        os._exit = leave
        if os.getpid() != process:  # a child that was forked in the block: it must not go on here
            leave(1)


class _Kept(NamedTuple):
    get: Callable[[], Any]
    put_back: Callable[[Any], object]


def _kept() -> Iterator[_Kept]:
    """What is put back, the last first: the order of an ExitStack."""
    if threading.current_thread() is threading.main_thread():
        yield _Kept(_handlers, _put_handlers)
        yield _Kept(
            lambda: signal.pthread_sigmask(signal.SIG_BLOCK, []),
            lambda mask: signal.pthread_sigmask(signal.SIG_SETMASK, mask),
        )
    yield _Kept(lambda: list(warnings.filters), _drop_new_errors)
    yield _Kept(lambda: logging.root.manager.disable, logging.disable)
    yield _Kept(gc.isenabled, lambda on: gc.enable() if on else gc.disable())
    yield _Kept(sys.getrecursionlimit, sys.setrecursionlimit)
    yield _Kept(socket.getdefaulttimeout, socket.setdefaulttimeout)
    yield _Kept(lambda: locale.setlocale(locale.LC_ALL), _put_locale)
    yield _Kept(random.getstate, random.setstate)
    yield _Kept(lambda: (sys.stdin, sys.stdout, sys.stderr), _put_streams)
    yield _Kept(lambda: list(sys.path), _put_path)
    yield _Kept(_umask, os.umask)
    yield _Kept(lambda: dict(os.environ), _put_environment)
    yield _Kept(_working_directory, _put_working_directory)
    if numpy := sys.modules.get("numpy"):
        yield _Kept(numpy.geterr, lambda modes: numpy.seterr(**modes))
        yield _Kept(numpy.random.get_state, numpy.random.set_state)
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_rng_state"):  # else it is half imported
        yield from _kept_of_torch(torch)


def _kept_of_torch(torch: Any) -> Iterator[_Kept]:
    yield _Kept(torch.get_rng_state, torch.set_rng_state)
    yield _Kept(torch.get_default_dtype, torch.set_default_dtype)
    yield _Kept(torch.is_grad_enabled, torch.set_grad_enabled)
    yield _Kept(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision)
    yield _Kept(torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms)
    threads = torch.get_num_threads()
    yield _Kept(
        lambda: threads,
        lambda number: torch.get_num_threads() == number or torch.set_num_threads(number),
    )
    if torch.cuda.is_initialized():
        yield _Kept(torch.cuda.get_rng_state_all, torch.cuda.set_rng_state_all)


def seed_everything(seed: int) -> None:
    """Seeds the global generators of Python, numpy and torch, as far as they are imported.

    A method should take its generators from the seeds it is given. One that uses global generators
    then still gives the same clips when its batch is made again.
    """
    random.seed(seed)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(seed % 2**32)
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "manual_seed"):
        torch.manual_seed(seed % 2**63)


def _handlers() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


def _put_handlers(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def _drop_new_errors(before: list[Any]) -> None:
    """Filters that make warnings errors go; others stay: libraries add them when they are
    imported.
    """
    kept = [entry for entry in warnings.filters if entry[0] != "error" or entry in before]
    if len(kept) != len(warnings.filters):
        warnings.filters[:] = kept  # type: ignore[index]
        warnings._filters_mutated()  # type: ignore[attr-defined]


def _put_locale(name: str) -> None:
    if locale.setlocale(locale.LC_ALL) != name:
        locale.setlocale(locale.LC_ALL, name)


def _put_streams(streams: tuple[Any, Any, Any]) -> None:
    sys.stdin, sys.stdout, sys.stderr = streams


def _put_path(path: list[str]) -> None:
    if sys.path != path:
        sys.path[:] = path


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _put_environment(before: dict[str, str]) -> None:
    if dict(os.environ) == before:
        return
    zone = os.environ.get("TZ")
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)
    if zone != os.environ.get("TZ") and hasattr(time, "tzset"):
        time.tzset()


def _working_directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return None


def _put_working_directory(before: str | None) -> None:
    if before is not None and before != _working_directory():
        os.chdir(before)
