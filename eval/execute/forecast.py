"""Predicts what a run would do and what it would cost, from what its folder already holds. Makes
and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from eval.execute.remaining import stale
from eval.measure.evaluator import EvaluatorLike, default_evaluator
from eval.metrics import Metric
from eval.plan.cells import Cell, Plan
from eval.store.schema import FILE
from eval.store.store import Store


class CellForecast(NamedTuple):
    """One cell's share of the work.

    Attributes:
        cell: its id.
        clips: all of it.
        make: clips to make.
        measure: clips to measure.
        seconds: to make them, at the pace of this cell's clips in the folder; None: there are
            none to tell from.
        size: bytes of the clips to make, at the mean size of those in the folder; else without
            compression, where the number of frames is known; else None.
    """

    cell: str
    clips: int
    make: int
    measure: int
    seconds: float | None
    size: int | None


def forecast(
    plan: Plan, folder: Path, evaluator: Callable[[list[Metric]], EvaluatorLike] | None = None
) -> list[CellForecast]:
    """One row a cell, in the plan's order.

    Raises:
        EvalError: as :func:`eval.execute.run.run` would, before it makes anything.
    """
    own = plan.suite.placement
    measuring = (
        evaluator(plan.metrics) if evaluator else default_evaluator(plan.metrics, folder, **own)
    )
    fingerprints = dict(measuring.fingerprints())
    if not (folder / FILE).is_file():
        every = {cell.id: len(plan.pairs(cell)) for cell in plan.cells}
        return [_row(plan, cell, every[cell.id], every[cell.id], None) for cell in plan.cells]
    with Store(folder, read_only=True) as store:
        unmade, unmeasured = stale(store, plan, fingerprints)
        make, measure = ({cell.id: 0 for cell in plan.cells} for _ in range(2))
        for counts, batches in ((make, unmade), (measure, unmeasured)):
            for batch in batches:
                for item in batch.items:
                    counts[item.cell.id] += 1
        return [_row(plan, cell, make[cell.id], measure[cell.id], store) for cell in plan.cells]


def _row(plan: Plan, cell: Cell, make: int, measure: int, store: Store | None) -> CellForecast:
    known = []
    if store:
        warm = store.seconds(cell.id, warm=True) or store.seconds(cell.id)
        known = list(warm.values())
    sizes = (
        [store.files.clip(key).stat().st_size for key in store.clip_keys(cell.id).values()]
        if store
        else []
    )
    seconds = make * sum(known) / len(known) if known else 0.0 if make == 0 else None
    size = round(make * sum(sizes) / len(sizes)) if sizes else _uncompressed(plan, cell, make)
    return CellForecast(cell.id, len(plan.pairs(cell)), make, measure, seconds, size)


def _uncompressed(plan: Plan, cell: Cell, make: int) -> int | None:
    if not make:
        return 0
    total = 0
    for sample, _ in plan.pairs(cell):
        frames = cell.settings.get("frames") or (len(sample.clip.frames) if sample.clip else None)
        if frames is None:
            return None
        height, width = sample.image.shape[:2]
        height, width = (
            cell.settings.get(name) or own for name, own in (("height", height), ("width", width))
        )
        total += int(frames) * int(height) * int(width) * 3
    return total
