"""Workers on Ray: actors, on this machine or on a cluster."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from eval.errors import EvalError
from eval.execute.driver import Driver, WorkerLostError
from eval.execute.events import EventLog
from eval.execute.pool import Pool
from eval.execute.worker import Job, Worker
from eval.plan.batches import Batch
from eval.store.store import Store


def carry_out_on_ray(
    store: Store,
    job: Job,
    unmade: Sequence[Batch],
    unmeasured: Sequence[Batch],
    pool: Pool,
    console: Console,
    log: EventLog,
) -> tuple[int, int]:
    """Makes and measures clips on Ray workers, with the files and records of
    :func:`eval.execute.run.carry_out`. See :class:`eval.execute.driver.Driver`.

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
        packed = ray.put(ray.cloudpickle.dumps(job))
        driver = Driver(_RayWorkers(ray, pool), store, job, packed, log)
        return driver.carry_out(unmade, unmeasured, console)


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


class _RayWorkers:
    """See :class:`eval.execute.driver.Workers`."""

    name = "--executor ray"

    def __init__(self, ray: Any, pool: Pool) -> None:
        self._ray = ray
        self._pool = pool
        self._actor = ray.remote(Worker).options(num_cpus=pool.cpus, num_gpus=pool.gpus)
        self._pending: dict[Any, Any] = {}

    def size(self) -> int:
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

    def hire(self) -> Any:
        return self._actor.remote()

    def order(self, worker: Any, call: str, arguments: Sequence[Any]) -> None:
        self._pending[getattr(worker, call).remote(*arguments)] = worker

    def answer(self) -> tuple[Any, Any]:
        (answer, *_), _ = self._ray.wait(list(self._pending), num_returns=1)
        worker = self._pending.pop(answer)
        try:
            return worker, self._ray.get(answer)
        except self._ray.exceptions.RayActorError as error:
            lines = str(error).splitlines()
            reason = next((line for line in lines if "Worker exit type" in line), lines[0])
            return worker, WorkerLostError(reason.strip()[:300])
        except self._ray.exceptions.RayTaskError as error:
            return worker, error.cause

    def dismiss(self, worker: Any) -> None:
        self._ray.kill(worker)
