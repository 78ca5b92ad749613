"""What a run folder lacks of its plan: clips to make, clips to measure, failures."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

from rich.console import Console

from eval.errors import one_line
from eval.execute.events import EventLog
from eval.plan.batches import Batch, sweeps
from eval.plan.cells import Plan
from eval.store.store import Failure, Store
from eval.summary.tables import TRUE_CLIPS


def say_damaged(store: Store, plan: Plan, console: Console, log: EventLog) -> None:
    """Deletes the rows of clips whose files are missing or damaged, and says which, so that they
    are made again.
    """
    for cell in plan.cells:
        for text in store.drop_damaged(cell.id):
            console.print(f"warning: {one_line(text)}", markup=False, highlight=False)
            log.write("damaged", cell=cell.id, reason=text)


def stale(
    store: Store, plan: Plan, fingerprints: Mapping[str, str]
) -> tuple[list[Batch], list[Batch]]:
    """Batches with a clip to make, and batches with a clip to measure; the former are among the
    latter.
    """
    unmade, unmeasured = [], []
    for cells in sweeps(plan.cells):
        keys = {
            (cell.id, *pair): key
            for cell in cells
            for pair, key in store.clip_keys(cell.id).items()
        }
        records = itertools.chain.from_iterable(store.records(cell.id) for cell in cells)
        known = {
            (r.cell, r.sample, r.seed, r.metric): (r.clip_key, r.encoder_fingerprint)
            for r in records
        }
        for batch in plan.batches(cells):
            wanted = {item.place: item.key for item in batch.items}
            made = all(keys.get(place) == key for place, key in wanted.items())
            measured = made and all(
                known.get((*item.place, metric.id)) == (item.key, fingerprints[metric.encoder])
                for item in batch.items
                for metric in plan.clip_metrics_of(item.sample)
            )
            if not made:
                unmade.append(batch)
            if not measured or not _have_features(store, plan, wanted.values()):
                unmeasured.append(batch)
    return unmade, unmeasured


def _have_features(store: Store, plan: Plan, keys: Iterable[str]) -> bool:
    return all(store.has_features(encoder, key) for key in keys for encoder in plan.set_encoders)


def planned_failures(store: Store, plan: Plan) -> list[Failure]:
    """Those of the plan; the store may hold others, of cells since removed."""
    planned = {
        (cell.id, sample.id, seed) for cell in plan.cells for sample, seed in plan.pairs(cell)
    }
    planned |= {(TRUE_CLIPS, sample.id, 0) for sample in plan.samples}
    return [failure for failure in store.failures() if failure[:3] in planned]
