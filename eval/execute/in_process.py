"""Makes and measures clips in this process, batch by batch; see `eval.execute.processes` for
workers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from rich.console import Console

from eval.execute.ahead import ReadAhead
from eval.execute.free_memory import check_memory
from eval.execute.isolation import Failed, isolate
from eval.execute.measuring import Shelf, measure_true
from eval.execute.options import Options
from eval.execute.work import device_of_evaluator, make_batch, measure_batch
from eval.io.progress import progress
from eval.measure.evaluator import EvaluatorLike
from eval.plan.batches import Batch
from eval.plan.cells import Plan
from eval.samples import Sample
from eval.store.devices import note as note_device
from eval.store.store import Failure, Store
from eval.summary.tables import TRUE_CLIPS


def make(
    store: Store,
    batches: Sequence[Batch],
    console: Console,
    options: Options = Options(),
) -> int:
    """Makes and stores the clips of ``batches`` with their device, or stores why a clip failed.
    Returns how many clips were made.
    """
    made = 0
    with progress(console, "making", sum(len(batch.items) for batch in batches)) as advance:
        for batch in batches:
            check_memory()
            rows, contents, failures, device = make_batch(
                batch, timeout=options.timeout, debug=options.debug
            )
            store.add_clips(rows, contents, failures)
            note_device(store, "make", [row.key for row in rows], device)
            options.log.batch("made", batch, failures)
            made += len(rows)
            advance(len(batch.items))
    return made


def measure_made(
    store: Store,
    plan: Plan,
    batches: Sequence[Batch],
    evaluator: EvaluatorLike,
    fingerprints: Mapping[str, str],
    console: Console,
    options: Options,
) -> int:
    """Measures the clips of ``batches`` that were made. Returns how many were measured."""
    measured = 0
    unmade = {failure[:3] for failure in store.failures() if failure.stage == "make"}
    parts = [batch.without(unmade) for batch in batches]
    total = sum(len(batch.items) for batch in batches)
    with progress(console, "measuring", total) as advance, _read(store, parts, evaluator) as shelf:
        for batch, part in zip(batches, parts, strict=True):
            check_memory()
            store.forget_failures(part.places)
            failures = measure_batch(
                shelf,
                plan,
                part,
                evaluator,
                fingerprints,
                timeout=options.timeout,
                debug=options.debug,
            )
            store.add_failures(failures)
            keys = [item.key for item in part.items]
            note_device(store, "measure", keys, device_of_evaluator(evaluator))
            options.log.batch("measured", part, failures)
            measured += len(part.items) - len(failures)
            advance(len(batch.items))
    return measured


def _read(
    store: Store, batches: Sequence[Batch], evaluator: EvaluatorLike
) -> AbstractContextManager[Shelf]:
    """Where the clips of these batches are read from: ahead, on a thread, for a GPU, which would
    wait for them; a CPU's cores have other work.
    """
    if not batches or getattr(evaluator, "device", "cpu") == "cpu":
        return nullcontext(store)
    keys = [item.key for batch in batches for item in batch.items]
    return ReadAhead(store, keys, max(len(batch.items) for batch in batches))


def measure_true_clips(
    store: Store, plan: Plan, evaluator: EvaluatorLike, options: Options
) -> None:
    """Stores features of the true clips. A sample whose true clip cannot be read is left out of
    set metrics.
    """

    def work(samples: Sequence[Sample]) -> list[None]:
        measure_true(store, replace(plan, samples=list(samples), coverage=None), evaluator)
        return [None] * len(samples)

    store.forget_failures([(TRUE_CLIPS, sample.id, 0) for sample in plan.samples])
    results = isolate(plan.samples, work, timeout=options.timeout, debug=options.debug)
    store.add_failures(
        [
            Failure(TRUE_CLIPS, sample.id, 0, "measure", result.reason, result.traceback)
            for sample, result in zip(plan.samples, results, strict=True)
            if isinstance(result, Failed)
        ]
    )
