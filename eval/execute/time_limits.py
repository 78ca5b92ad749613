"""Time limits that a call cannot swallow, and that never cut an import in half."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from eval.errors import ClipTimeoutError, EvalError
from eval.io.loading import is_loading

LOADING_LIMIT = 600.0
"""Seconds that an import, or the loading of a model, may take in addition to a call's own limit."""
COMMAND_GRACE = 60.0
"""The same for a command, where the call and the command are one process: what may still come back
is waited for."""
GRACE = 2.0
"""Seconds that a call may go on after its limit before :func:`end_if_overrun` ends the process."""
OVERRUN = 124
"""Exit code of a process that ended so."""
_GLANCE = 0.05
"""Seconds between two looks whether an import has ended."""


class HalfImportedError(EvalError):
    """An import was cut off: many modules cannot be imported a second time in one process."""

    exit_code = 1


@contextmanager
def time_limit(seconds: float | None, name: str = "") -> Iterator[None]:
    """Raises ClipTimeoutError inside the block once ``seconds`` have passed; None: never.

    A limit that ends while a module is imported or a model is loaded (:func:`eval.io.loading`)
    waits for the end of that, at most :data:`LOADING_LIMIT`, and then begins again: the first call
    of a process is not cut for what it loads.

    Args:
        seconds: the limit.
        name: of what is limited, for the message of :func:`end_if_overrun`.

    Raises:
        ClipTimeoutError: also after the block, where it swallowed the first.
        HalfImportedError: an import took longer than :data:`LOADING_LIMIT`.
        EvalError: there is no way to keep a limit here.
    """
    if seconds is None:
        yield
        return
    alarm = _Alarm(seconds, name)
    try:
        previous = signal.signal(signal.SIGALRM, alarm.ring)
    except (AttributeError, ValueError) as error:
        raise EvalError("a timeout needs SIGALRM and the main thread; leave it out here") from error
    try:
        try:
            _OPEN.append(alarm)
            signal.setitimer(signal.ITIMER_REAL, seconds)
            yield
        finally:
            alarm.active = False
    finally:
        _OPEN.remove(alarm)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        if alarm.rung is not None:
            raise alarm.rung


class _Alarm:
    def __init__(self, seconds: float, name: str) -> None:
        self.active = True
        self.name = name
        self.rung: BaseException | None = None
        self.seconds = seconds
        self.due = time.monotonic() + seconds
        self._loading_since: float | None = None

    def ring(self, number: int, frame: FrameType | None) -> None:
        if not self.active:
            return
        importing = _importing(frame)
        if importing or is_loading():
            now = time.monotonic()
            self._loading_since = self._loading_since or now
            if now - self._loading_since < LOADING_LIMIT:
                self.due = now + _GLANCE
                signal.setitimer(signal.ITIMER_REAL, _GLANCE)
                return
        elif self._loading_since is not None:
            self._loading_since = None
            self.due = time.monotonic() + self.seconds
            signal.setitimer(signal.ITIMER_REAL, self.seconds)
            return
        if importing:
            self.rung = HalfImportedError(
                f"an import took longer than {LOADING_LIMIT:g} s and was cut off; modules that are "
                "half imported cannot be used, so this process ends: run the same command again"
            )
        else:
            self.rung = ClipTimeoutError(f"took longer than {self.seconds:g} s")
        raise self.rung


_OPEN: list[_Alarm] = []


def end_if_overrun(grace: float = GRACE, advice: str = "") -> None:
    """From now on this process ends where a call goes on after its limit: a method that swallows
    every exception, or that hangs inside a C library. For worker processes, which are replaced, and
    for commands, which would hang for ever.

    Args:
        grace: seconds that a call may go on after its limit.
        advice: what the user can do; the end is then said on standard error.
    """
    leave, main = os._exit, threading.main_thread().ident

    def watch() -> None:
        while True:
            time.sleep(_GLANCE)
            loading = is_loading() or _importing(sys._current_frames().get(main or 0))
            patience = LOADING_LIMIT + grace if loading else grace
            for alarm in tuple(_OPEN):
                if alarm.due + patience < time.monotonic():
                    if advice:
                        _say_overrun(alarm, advice)
                    leave(OVERRUN)

    threading.Thread(target=watch, daemon=True).start()


_COMMAND = False


def this_process_is_a_command() -> None:
    """Said by the entry point of the command line, never by the library."""
    global _COMMAND
    _COMMAND = True


def end_command_if_overrun(timeout: float | None, advice: str) -> None:
    """:func:`end_if_overrun` for a command with a timeout; nothing where a program calls the
    library, whose process is its own.
    """
    if _COMMAND and timeout is not None:
        end_if_overrun(COMMAND_GRACE, advice)


def _say_overrun(alarm: _Alarm, advice: str) -> None:
    what = alarm.name or "a call"
    line = (
        f"error: {what} took longer than {alarm.seconds:g} s and cannot be interrupted, so this "
        f"process ends; what is stored stays. {advice}\n"
    )
    with suppress(OSError):
        os.write(2, line.encode("utf-8", "backslashreplace"))


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
