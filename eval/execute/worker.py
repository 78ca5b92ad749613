"""What a worker does, on Ray or as a process of this machine: it loads models once, then makes and
measures batches; clips and features it writes itself.
"""

from __future__ import annotations

import os
import pickle
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.clips.lossless import Clip, read_clip
from eval.errors import EvalError
from eval.execute.reading import Notes, notes_of
from eval.execute.time_limits import end_if_overrun
from eval.execute.work import device_of_evaluator, make_batch, measure_batch
from eval.io.arrays import feature_name, write_array
from eval.io.files import Files, write_whole
from eval.measure.evaluator import EvaluatorLike, default_evaluator
from eval.metrics import Metric
from eval.plan.batches import Batch, Item, Place
from eval.plan.cells import Plan
from eval.store.faults import folder_errors
from eval.store.store import Failure, Record, StoredClip

ENVIRONMENT = ("I2V_EVAL_", "HF_HOME", "HF_HUB_", "DIFFUSERS_", "TRANSFORMERS_")
"""Beginnings of the names of environment variables that workers are given."""


class Job(NamedTuple):
    """Everything that a worker needs.

    Attributes:
        plan: the whole of it; a task names clips by (cell, sample, seed).
        files: where clips and features go.
        evaluator: makes the evaluator; None for the default one.
        fingerprints: encoder id -> fingerprint, on the driver.
        timeout, debug: see :class:`eval.execute.options.Options`.
    """

    plan: Plan
    files: Files
    evaluator: Callable[[list[Metric]], EvaluatorLike] | None
    fingerprints: Mapping[str, str]
    timeout: float | None
    debug: bool


class Result(NamedTuple):
    """The result of one task: rows for the store, whose files are already written, and the device
    that the worker used."""

    rows: list[StoredClip]
    records: list[Record]
    failures: list[Failure]
    decoded: int
    device: str = "cpu"
    notes: Notes | None = None


class Worker:
    """Makes and measures batches. Call :meth:`prepare` first."""

    def prepare(
        self, path: Sequence[str], environment: Mapping[str, str], mark: str, job: bytes
    ) -> tuple[str, int]:
        """Takes a job, and checks that this machine has the driver's files, weights and library
        versions.

        Args:
            path: the driver's import path; what is missing here is appended.
            environment: variables to set.
            mark: name of a file that the driver wrote where clips go.
            job: a pickled :class:`Job`, from the driver alone, whose code this worker runs
                anyway; bytes, so that it is read once the import path is complete.

        Returns:
            Host and process id.

        Raises:
            EvalError: this machine does not see the files, or has other weights or library
                versions.
        """
        sys.path.extend(entry for entry in path if entry not in sys.path)
        os.environ.update(environment)
        self._job: Job = pickle.loads(job)
        plan, files, evaluator, fingerprints, timeout, _ = self._job
        host = socket.gethostname()
        if not (files.root / mark).is_file():
            raise EvalError(
                f"the worker on {host} does not see {files.root}; put clips and features where all "
                "workers see them, "
                "with --storage PATH or URL"
            )
        if evaluator is None:
            self._evaluator = default_evaluator(plan.metrics, files.root, **plan.suite.placement)
        else:
            self._evaluator = evaluator(plan.metrics)
        other = [
            name
            for name, found in self._evaluator.fingerprints().items()
            if found != fingerprints[name]
        ]
        other += [cell.id for cell in plan.cells if cell.instance.fingerprint() != cell.fingerprint]
        if other:
            raise EvalError(
                f"the worker on {host} has other weights or library versions for "
                f"{', '.join(other)}; "
                "install there what is installed here"
            )
        if timeout is not None and threading.current_thread() is threading.main_thread():
            end_if_overrun()
        self._cells = {cell.id: cell for cell in plan.cells}
        self._samples = {sample.id: sample for sample in plan.samples}
        return host, os.getpid()

    def make(self, places: Sequence[Place]) -> Result:
        """Makes clips and writes their files.

        Raises:
            StoreError: they cannot be written.
        """
        batch = self._batch(places)
        made = make_batch(batch, timeout=self._job.timeout, debug=self._job.debug)
        with folder_errors(self._job.files.root):
            for row, content in zip(made.rows, made.contents, strict=True):
                write_whole(self._job.files.clip(row.key), content)
        return Result(made.rows, [], made.failures, 0, made.device, notes_of(batch))

    def measure(self, places: Sequence[Place], digests: Mapping[str, str | None]) -> Result:
        """Measures clips that are made, whose files have these digests, and writes their features.

        Raises:
            StoreError: they cannot be written.
        """
        plan, files, _, fingerprints, timeout, debug = self._job
        shelf = _Shelf(files, fingerprints, digests)
        batch = self._batch(places)
        failures = measure_batch(
            shelf, plan, batch, self._evaluator, fingerprints, timeout=timeout, debug=debug
        )
        device = device_of_evaluator(self._evaluator)
        return Result([], shelf.records, failures, shelf.decoded, device)

    def _batch(self, places: Sequence[Place]) -> Batch:
        return Batch(
            tuple(
                Item(self._cells[cell], self._samples[sample], seed)
                for cell, sample, seed in places
            )
        )


class _Shelf:
    """Reads and writes files only; keeps records for the driver, the only writer of the
    database."""

    def __init__(
        self,
        files: Files,
        fingerprints: Mapping[str, str],
        digests: Mapping[str, str | None],
    ) -> None:
        self.records: list[Record] = []
        self.decoded = 0
        self._files = files
        self._fingerprints = fingerprints
        self._digests = digests

    def read(self, key: str) -> Clip:
        self.decoded += 1
        return read_clip(self._files.clip(key), sha256=self._digests[key])

    def add_features(self, encoder: str, features: Mapping[str, NDArray[np.float32]]) -> None:
        with folder_errors(self._files.root):
            for key, vector in features.items():
                name = feature_name(self._fingerprints[encoder], key)
                write_array(self._files.feature(encoder, key), vector, name)

    def add_records(self, records: Iterable[Record]) -> None:
        self.records.extend(records)
