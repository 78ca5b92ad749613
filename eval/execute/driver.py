"""The driver of a run on workers: it hands out batches and is the only writer of the database."""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from rich.console import Console

from eval.errors import EvalError
from eval.execute.events import EventLog
from eval.execute.reading import keep_notes
from eval.execute.worker import ENVIRONMENT, Job, Result
from eval.io.files import write_whole
from eval.io.progress import progress
from eval.plan.batches import Batch
from eval.store.devices import note as note_device
from eval.store.store import Failure, Store

ATTEMPTS = 3
"""How many workers a batch may lose before its clips are made one by one, and a single clip before
it is a failure."""


class WorkerLostError(Exception):
    """A worker process ended before it answered."""


class Workers(Protocol):
    """Processes that each hold a :class:`eval.execute.worker.Worker`."""

    name: str
    """For messages: how they were asked for."""

    def size(self) -> int:
        """How many there may be."""
        ...

    def hire(self) -> Any:
        """Starts one, which is not prepared yet."""
        ...

    def order(self, worker: Any, call: str, arguments: Sequence[Any]) -> None:
        """Has a worker call a method of its Worker; it does one thing at a time."""
        ...

    def answer(self) -> tuple[Any, Any]:
        """Waits for any worker's result: the worker, and what came of its call. A
        :class:`WorkerLostError` or whatever the call raised is returned, not raised.
        """
        ...

    def dismiss(self, worker: Any) -> None:
        """Ends one, whatever it does."""
        ...


@dataclass(frozen=True)
class _Task:
    stage: str
    batch: Batch
    lost: int = 0

    def parts(self) -> Iterator[_Task]:
        for item in self.batch.items:
            yield _Task(self.stage, Batch((item,)))


class Driver:
    """The state of one run on workers.

    A batch is measured as soon as it is made, while other workers still generate. A worker has one
    batch in hand and is given the next when the rows of that one are stored, so a slow driver holds
    workers back instead of filling memory. A batch whose worker is lost is tried on another.

    Args:
        workers: the processes.
        store: of the driver.
        job: what workers are told.
        packed: the job as bytes, which a worker unpickles.
        log: told of batches, workers and their loss.
    """

    def __init__(
        self, workers: Workers, store: Store, job: Job, packed: object, log: EventLog
    ) -> None:
        self._workers = workers
        self._store = store
        self._log = log
        self._timeout = job.timeout
        self._mark = f".workers-{uuid.uuid4().hex}"
        environment = {
            name: value for name, value in os.environ.items() if name.startswith(ENVIRONMENT)
        }
        self._orders = (list(sys.path), environment, self._mark, packed)
        self._busy: dict[Any, tuple[_Task | None, float]] = {}
        self._idle: list[Any] = []
        self._todo: deque[_Task] = deque()
        self._unstarted = 0
        self.lost = self.made = self.measured = 0

    def carry_out(
        self, unmade: Sequence[Batch], unmeasured: Sequence[Batch], console: Console
    ) -> tuple[int, int]:
        """Makes ``unmade``, which are also in ``unmeasured``, and measures. How many clips were
        made, and measured.

        Raises:
            EvalError: a worker cannot do the job as the driver would.
            StoreError: the store or a file cannot be written.
        """
        make = {id(batch) for batch in unmade}
        self._todo.extend(
            _Task("make" if id(batch) in make else "measure", batch) for batch in unmeasured
        )
        total = sum(len(batch.items) for batch in (*unmade, *unmeasured))
        mark = self._store.files.root / self._mark
        write_whole(mark, b"")
        try:
            with progress(console, "making and measuring", total) as advance:
                for _ in range(min(self._workers.size(), len(self._todo))):
                    self._hire()
                while self._todo or any(task for task, _ in self._busy.values()):
                    if done := self._step():
                        advance(done)
        finally:
            for worker in (*self._idle, *self._busy):
                self._workers.dismiss(worker)
            mark.unlink(missing_ok=True)
            if self.lost:
                self._store.sweep()
        return self.made, self.measured

    def _hire(self) -> None:
        worker = self._workers.hire()
        self._give(worker, None, "prepare", self._orders)

    def _give(self, worker: Any, task: _Task | None, call: str, arguments: Sequence[Any]) -> None:
        self._workers.order(worker, call, arguments)
        self._busy[worker] = task, time.monotonic()

    def _step(self) -> int:
        """Gives out what can be given out, waits for one answer and stores it. Returns how many
        clips are done.
        """
        while self._idle and self._todo:
            self._submit(self._idle.pop(), self._todo.popleft())
        worker, result = self._workers.answer()
        task, since = self._busy.pop(worker)
        if isinstance(result, WorkerLostError):
            return self._replace(task, result, time.monotonic() - since)
        self._idle.append(worker)
        if isinstance(result, BaseException):
            raise result
        if task is None:
            self._unstarted = 0
            host, process = result
            self._log.write("worker", host=host, pid=process)
            return 0
        return self._keep(task, result)

    def _submit(self, worker: Any, task: _Task) -> None:
        places, keys = task.batch.places, [item.key for item in task.batch.items]
        if task.stage == "make":
            self._store.forget_clips(places, keys)
            self._give(worker, task, "make", (places,))
        else:
            self._store.forget_failures(places)
            self._give(worker, task, "measure", (places, self._store.digests(keys)))

    def _keep(self, task: _Task, result: Result) -> int:
        """Stores what a worker has done."""
        good = len(task.batch.items) - len(result.failures)
        if task.stage == "make":
            self._store.add_clip_rows(result.rows, result.failures)
            note_device(self._store, "make", [row.key for row in result.rows], result.device)
            keep_notes(self._store, result.notes or {})
            self._log.batch("made", task.batch, result.failures)
            self.made += good
            left = task.batch.without({failure[:3] for failure in result.failures})
            if left.items:
                self._todo.appendleft(_Task("measure", left))
            return len(task.batch.items) + len(result.failures)
        self._store.add_records(result.records)
        self._store.add_failures(result.failures)
        keys = [item.key for item in task.batch.items]
        note_device(self._store, "measure", keys, result.device)
        self._store.decoded += result.decoded
        self._log.batch("measured", task.batch, result.failures)
        self.measured += good
        return len(task.batch.items)

    def _replace(self, task: _Task | None, error: WorkerLostError, seconds: float) -> int:
        """Replaces a lost worker, and puts its batch back in the queue."""
        self.lost += 1
        cells = "; ".join(cell.id for cell in task.batch.cells) if task else None
        self._log.write("worker-lost", cell=cells, reason=str(error))
        if task is None:
            self._unstarted += 1
            if self._unstarted >= ATTEMPTS:
                raise EvalError(
                    f"{self._workers.name}: {ATTEMPTS} workers died before they could start "
                    f"({error})"
                )
        self._hire()
        if task is None:
            return 0
        late = self._timeout is not None and seconds > self._timeout * len(task.batch.items)
        if not late and task.lost + 1 < ATTEMPTS:
            self._todo.appendleft(replace(task, lost=task.lost + 1))
        elif len(task.batch.items) > 1:
            self._todo.extendleft(task.parts())
        else:
            reason = f"its worker died {ATTEMPTS} times ({error})"
            if late:
                reason = f"took longer than {self._timeout:g} s, and its worker process was ended"
            failed = [Failure(*place, task.stage, reason) for place in task.batch.places]
            return self._keep(task, Result([], [], failed, 0))
        return 0
