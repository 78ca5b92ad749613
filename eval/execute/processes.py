"""Workers as processes of this machine, which can be ended if a method hangs or damages its
process.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from rich.console import Console

from eval.errors import EvalError
from eval.execute.driver import Driver, WorkerLostError
from eval.execute.events import EventLog
from eval.execute.pool import Pool
from eval.execute.worker import Job
from eval.plan.batches import Batch
from eval.store.store import Store


def carry_out_in_processes(
    store: Store,
    job: Job,
    unmade: Sequence[Batch],
    unmeasured: Sequence[Batch],
    pool: Pool,
    console: Console,
    log: EventLog,
) -> tuple[int, int]:
    """Makes and measures clips in worker processes, with the files and records of
    :func:`eval.execute.run.carry_out`. See :class:`eval.execute.driver.Driver`.

    Returns:
        How many clips were made, and measured.

    Raises:
        EvalError: the job cannot be sent to another process, or workers do not start.
        StoreError: the store or a file cannot be written.
    """
    try:
        packed = pickle.dumps(job)
    except Exception as error:  # pickle raises whatever the objects raise
        raise EvalError(
            f"--executor processes: the plan cannot be sent to another process ({error}); define "
            "methods and encoders at the top of a module"
        ) from error
    driver = Driver(_Processes(pool), store, job, packed, log)
    return driver.carry_out(unmade, unmeasured, console)


class _Process:
    """One worker and the line to it."""

    def __init__(self, threads: int | None) -> None:
        mine, its = socket.socketpair()
        environment = os.environ | ({"OMP_NUM_THREADS": str(threads)} if threads else {})
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        with its:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "eval.execute.process_worker", str(its.fileno())],
                pass_fds=[its.fileno()],
                env=environment | {"PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=sys.__stderr__ if sys.__stderr__ is not None else subprocess.DEVNULL,
                start_new_session=True,
            )
        self.line = Connection(mine.detach())

    def end(self) -> str:
        """Ends it with all that it started; how it ended, if it had done so by itself."""
        code = self.process.poll()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.line.close()
        code = self.process.returncode if code is None else code
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


class _Processes:
    """See :class:`eval.execute.driver.Workers`."""

    name = "--executor processes"

    def __init__(self, pool: Pool) -> None:
        self._count = pool.workers or 1
        self._threads = max(1, (os.cpu_count() or 1) // self._count) if self._count > 1 else None
        self._busy: dict[Connection, _Process] = {}

    def size(self) -> int:
        return self._count

    def hire(self) -> _Process:
        return _Process(self._threads)

    def order(self, worker: _Process, call: str, arguments: Sequence[Any]) -> None:
        self._busy[worker.line] = worker
        with suppress(OSError):  # it is dead; answer() finds that out
            worker.line.send((call, tuple(arguments)))

    def answer(self) -> tuple[_Process, Any]:
        line = wait(list(self._busy))[0]
        assert isinstance(line, Connection)
        worker = self._busy.pop(line)
        try:
            return worker, line.recv()
        except (EOFError, OSError):
            return worker, WorkerLostError(f"its process ended with {worker.end()}")

    def dismiss(self, worker: _Process) -> None:
        self._busy.pop(worker.line, None)
        worker.end()
