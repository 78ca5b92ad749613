"""A plan on Ray: the driver hands batches to workers and is the only writer of the database."""

from __future__ import annotations

import logging
import os
import sys
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from eval.errors import EvalError
from eval.execute.events import EventLog
from eval.execute.pool import Pool
from eval.execute.ray_worker import ENVIRONMENT, Job, Result, Worker
from eval.io.files import write_whole
from eval.io.progress import progress
from eval.plan.batches import Batch
from eval.store.store import Failure, Store

ATTEMPTS = 3
"""Workers a batch may lose before its clips go on one by one, and a clip before it has failed."""


@dataclass(frozen=True)
class _Task:
    stage: str
    batch: Batch
    lost: int = 0

    def parts(self) -> Iterator[_Task]:
        for item in self.batch.items:
            yield _Task(self.stage, Batch((item,)))


def carry_out_on_ray(
    store: Store,
    job: Job,
    unmade: Sequence[Batch],
    unmeasured: Sequence[Batch],
    pool: Pool,
    console: Console,
    log: EventLog,
) -> tuple[int, int]:
    """Makes and measures on workers what :func:`eval.execute.run.carry_out` would here: same files,
    same records.

    A batch is measured as soon as it is made, while other workers still generate. A worker has one
    batch in hand and is given the next when the rows of that one are stored, so a slow driver holds
    workers back instead of filling memory. A batch whose worker is lost is tried on another.

    Args:
        store: of the driver.
        job: what workers are told.
        unmade: batches to make; they are also in `unmeasured`.
        unmeasured: batches to measure.
        pool: how many workers, how large, and where.
        console: for progress.
        log: told of batches, workers and their loss.

    Returns:
        How many clips were made, and measured.

    Raises:
        EvalError: no Ray, no such cluster, or a worker that cannot do the job as the driver would.
        StoreError: the store or a file cannot be written.
    """
    with _session(pool) as ray:
        return _Driver(ray, store, job, pool, log).carry_out(unmade, unmeasured, console)


@contextmanager
def _session(pool: Pool) -> Iterator[Any]:
    """Ray, connected; if it was not before, until the end of the block."""
    os.environ.setdefault(
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0"
    )  # else Ray warns of its own future
    try:
        import ray
    except ImportError as error:
        raise EvalError("--executor ray needs Ray: pip install 'i2v-adapter[ray]'") from error
    mine = not ray.is_initialized()
    if mine:
        try:
            ray.init(
                address=pool.address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                include_dashboard=None,
            )
        except Exception as error:  # Ray raises that very class where a node does not start in time
            where = pool.address or "this machine"
            raise EvalError(
                f"--executor ray: no Ray at {where} ({str(error).splitlines()[0]})"
            ) from error
    try:
        yield ray
    finally:
        if mine:
            ray.shutdown()


class _Driver:
    """The state of one run on Ray."""

    def __init__(self, ray: Any, store: Store, job: Job, pool: Pool, log: EventLog) -> None:
        self._ray = ray
        self._store = store
        self._log = log
        self._pool = pool
        self._mark = f".workers-{uuid.uuid4().hex}"
        environment = {
            name: value for name, value in os.environ.items() if name.startswith(ENVIRONMENT)
        }
        packed = ray.put(ray.cloudpickle.dumps(job))
        self._orders = (list(sys.path), environment, self._mark, packed)
        self._actor = ray.remote(Worker).options(num_cpus=pool.cpus, num_gpus=pool.gpus)
        self._busy: dict[Any, tuple[Any, _Task | None]] = {}
        self._idle: list[Any] = []
        self._todo: deque[_Task] = deque()
        self._unstarted = 0
        self.lost = self.made = self.measured = 0

    def carry_out(
        self, unmade: Sequence[Batch], unmeasured: Sequence[Batch], console: Console
    ) -> tuple[int, int]:
        make = {id(batch) for batch in unmade}
        self._todo.extend(
            _Task("make" if id(batch) in make else "measure", batch) for batch in unmeasured
        )
        total = sum(len(batch.items) for batch in (*unmade, *unmeasured))
        mark = self._store.files.root / self._mark
        write_whole(mark, b"")
        try:
            with progress(console, "making and measuring", total) as advance:
                for _ in range(min(self._size(), len(self._todo))):
                    self._hire()
                while self._todo or any(task for _, task in self._busy.values()):
                    if done := self._step():
                        advance(done)
        finally:
            for actor in (*self._idle, *(actor for actor, _ in self._busy.values())):
                self._ray.kill(actor)
            mark.unlink(missing_ok=True)
            if self.lost:
                self._store.sweep()
        return self.made, self.measured

    def _size(self) -> int:
        if self._pool.workers:
            return self._pool.workers
        found = self._ray.cluster_resources()
        wanted = {"CPU": self._pool.cpus, "GPU": self._pool.gpus}
        fits = [found.get(name, 0) // each for name, each in wanted.items() if each]
        if not fits or min(fits) < 1:
            raise EvalError(
                f"--executor ray: a worker of {self._pool.cpus:g} cores and {self._pool.gpus:g} "
                "GPUs does not fit on a "
                f"cluster of {found.get('CPU', 0):g} and {found.get('GPU', 0):g}"
            )
        return int(min(fits))

    def _hire(self) -> None:
        actor = self._actor.remote()
        self._busy[actor.prepare.remote(*self._orders)] = (actor, None)

    def _step(self) -> int:
        """Gives out what can be given out, waits for one answer and stores it. Returns how many
        clips are done.
        """
        while self._idle and self._todo:
            self._submit(self._idle.pop(), self._todo.popleft())
        (answer, *_), _ = self._ray.wait(list(self._busy), num_returns=1)
        actor, task = self._busy.pop(answer)
        try:
            result = self._ray.get(answer)
        except self._ray.exceptions.RayActorError as error:
            return self._replace(task, error)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from error
        self._idle.append(actor)
        if task is None:
            self._unstarted = 0
            host, process = result
            self._log.write("worker", host=host, pid=process)
            return 0
        return self._keep(task, result)

    def _submit(self, actor: Any, task: _Task) -> None:
        places = task.batch.places
        if task.stage == "make":
            self._store.forget_clips(places, [item.key for item in task.batch.items])
        else:
            self._store.forget_failures(places)
        self._busy[getattr(actor, task.stage).remote(places)] = (actor, task)

    def _keep(self, task: _Task, result: Result) -> int:
        """Stores what a worker has done."""
        good = len(task.batch.items) - len(result.failures)
        if task.stage == "make":
            self._store.add_clip_rows(result.rows, result.failures)
            self._log.batch("made", task.batch, result.failures)
            self.made += good
            left = task.batch.without({failure[:3] for failure in result.failures})
            if left.items:
                self._todo.appendleft(_Task("measure", left))
            return len(task.batch.items) + len(result.failures)
        self._store.add_records(result.records)
        self._store.add_failures(result.failures)
        self._store.decoded += result.decoded
        self._log.batch("measured", task.batch, result.failures)
        self.measured += good
        return len(task.batch.items)

    def _replace(self, task: _Task | None, error: Exception) -> int:
        """A worker is gone, by whatever hand: another takes its place, and its batch goes on."""
        self.lost += 1
        lines = str(error).splitlines()
        reason = next((line for line in lines if "Worker exit type" in line), lines[0]).strip()[
            :300
        ]
        cells = "; ".join(cell.id for cell in task.batch.cells) if task else None
        self._log.write("worker-lost", cell=cells, reason=reason)
        if task is None:
            self._unstarted += 1
            if self._unstarted >= ATTEMPTS:
                raise EvalError(
                    f"--executor ray: {ATTEMPTS} workers died before they could start ({reason})"
                )
        self._hire()
        if task is None:
            return 0
        if task.lost + 1 < ATTEMPTS:
            self._todo.appendleft(replace(task, lost=task.lost + 1))
        elif len(task.batch.items) > 1:
            self._todo.extendleft(task.parts())
        else:
            failed = [
                Failure(*place, task.stage, f"its worker died {ATTEMPTS} times")
                for place in task.batch.places
            ]
            return self._keep(task, Result([], [], failed, 0))
        return 0
