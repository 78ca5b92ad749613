"""Values of a run's clips as columns, a number for each clip and metric: 8 bytes in place of a row
of the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.errors import EvalError
from eval.measure.catalogue import applies
from eval.metrics import Metric
from eval.plan.cells import Cell, Plan
from eval.samples import Sample
from eval.store.store import Record, Store
from eval.summary.clusters import image_clusters
from eval.summary.vbench_export import IDS

Pairs = Sequence[tuple[Sample, int]]
"""Samples and seeds."""
_VBENCH = frozenset(id for ids in IDS.values() for id in ids)


class About:
    """Which clips metrics are about. Equal lists of samples are looked at once.

    Args:
        metrics: of the run.
    """

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics
        self._known: dict[tuple[int, ...], dict[str, tuple[int, ...]]] = {}
        self._pairs: list[Pairs] = []  # kept, so that no other sample has the id of one of them

    def rows(self, pairs: Pairs) -> dict[str, tuple[int, ...]]:
        """Metric id -> places of the pairs whose samples it is about; equal tuples are one
        object."""
        key = tuple(id(sample) for sample, _ in pairs)
        if key not in self._known:
            self._pairs.append(pairs)
            shared: dict[tuple[int, ...], tuple[int, ...]] = {}
            self._known[key] = {}
            for metric in self._metrics:
                rows = tuple(
                    row for row, (sample, _) in enumerate(pairs) if applies(metric, sample)
                )
                self._known[key][metric.id] = shared.setdefault(rows, rows)
        return self._known[key]

    def alike(
        self, metrics: Sequence[Metric], pairs: Pairs
    ) -> Iterator[tuple[tuple[int, ...], list[Metric]]]:
        """Metrics that are about the same clips, together: places of these clips, and the
        metrics. Metrics that are about none are left out."""
        rows = self.rows(pairs)
        found: dict[int, list[Metric]] = {}
        for metric in metrics:
            found.setdefault(id(rows[metric.id]), []).append(metric)
        for each in found.values():
            if rows[each[0].id]:
                yield rows[each[0].id], each


@dataclass(frozen=True, eq=False)
class CellValues:
    """One cell.

    Attributes:
        pairs: the cell's clips.
        values: metric id -> float64 (clips,), nan where the metric is not about the sample.
    """

    pairs: Pairs
    values: dict[str, NDArray[np.float64]]


class RunValues:
    """All cells, filled by `read`.

    Args:
        store: holds the records.
        plan: says which of them belong to the run.

    Attributes:
        cells: cell id -> its values.
        flagged: flag -> the samples whose records carry it.
        vbench: cell id -> the records that VBench's scores are made from.
        records: how many there are.
        about: which clips metrics are about.
        images: sample id -> name of its input image.
    """

    def __init__(self, store: Store, plan: Plan) -> None:
        self._store, self._plan = store, plan
        self.cells: dict[str, CellValues] = {}
        self.flagged: dict[str, set[str]] = {}
        self.vbench: dict[str, list[Record]] = {}
        self.records = 0
        self.about = About(plan.metrics)
        self.images = image_clusters(plan.samples)

    def read(self) -> Iterator[Record]:
        """Reads the records of the plan's clips, one cell in memory at a time.

        Yields:
            Every record, sorted by cell, sample, seed and metric.

        Raises:
            EvalError: a clip lacks a value.
        """
        for cell in sorted(self._plan.cells, key=lambda cell: cell.id):
            yield from self._read(cell)

    def _read(self, cell: Cell) -> list[Record]:
        pairs, metrics = self._plan.pairs(cell), self._plan.clip_metrics
        names = [(sample.id, seed) for sample, seed in pairs]
        rows = self.about.rows(pairs)
        values = {metric.id: np.full(len(pairs), np.nan) for metric in metrics}
        places = {metric.id: {names[row]: row for row in rows[metric.id]} for metric in metrics}
        known = dict.fromkeys(values, 0)
        records: list[Record] = []
        for record in self._store.records(cell.id):
            name = record.metric
            place = places[name].get((record.sample, record.seed)) if name in places else None
            if place is None:
                continue
            values[name][place] = record.value
            known[name] += 1
            records.append(record)
            for flag in filter(None, record.flags.split(";")) if record.flags else ():
                self.flagged.setdefault(flag, set()).add(record.sample)
        for name, expected in rows.items():
            if name in known and known[name] != len(expected):
                raise EvalError(
                    f"cell {cell.id}: {name} is known for {known[name]} of {len(expected)} clips; "
                    "run the suite again"
                )
        self.cells[cell.id] = CellValues(pairs, values)
        self.vbench[cell.id] = [record for record in records if record.metric in _VBENCH]
        self.records += len(records)
        return records
