"""What a run measured, as the claims ask for it: values of two cells on the same pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from eval.claims.decision import MOST_MISSING, Outcome, Result, Test, decide
from eval.measure.catalogue import registered
from eval.metrics import Metric
from eval.plan.cells import Cell, Plan
from eval.samples import Sample
from eval.store.store import Store
from eval.summary.jackknife import jackknife_interval
from eval.summary.statistics import Interval, mean_interval
from eval.summary.tables import true_key

Pair = tuple[Sample, int]


@dataclass(frozen=True)
class Values:
    """The records and features of a run."""

    store: Store
    plan: Plan

    @cached_property
    def cells(self) -> dict[str, Cell]:
        """Cell id -> cell."""
        return {cell.id: cell for cell in self.plan.cells}

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """Family -> the run's first metric of it."""
        return {metric.family: metric for metric in reversed(self.plan.metrics)}

    @cached_property
    def records(self) -> dict[str, dict[tuple[str, str, int], float]]:
        """Cell id -> (metric id, sample id, seed) -> value."""
        return {
            cell: {(r.metric, r.sample, r.seed): r.value for r in self.store.records(cell)}
            for cell in self.cells
        }

    def test(self, test: Test) -> Result:
        """Evaluates a test on the run's values."""
        metric = self.metrics.get(test.metric)
        if metric is None:
            return _unmeasured(test, f"the suite does not measure {test.metric}")
        for cell in filter(None, (test.first, test.second)):
            if cell not in self.cells:
                return _unmeasured(test, f"the run has no cell {cell}")
        planned = self._planned(test)
        pairs = [
            pair
            for pair in planned
            if all(self._has(cell, metric, pair) for cell in (test.first, test.second))
        ]
        if len(pairs) < (1 - MOST_MISSING) * len(planned) or not pairs:
            return _unmeasured(
                test, f"{len(pairs)} of {len(planned)} pairs have values of both cells"
            )
        interval = self._interval(test, metric, pairs)
        verdict, reason = decide(test.kind, interval, test.margin)
        lost = (
            f"{len(planned) - len(pairs)} of {len(planned)} pairs are missing"
            if len(pairs) < len(planned)
            else ""
        )
        return Result(
            test.title,
            metric.id,
            metric.unit,
            test.kind,
            test.margin,
            *interval,
            verdict,
            "; ".join(filter(None, (reason, lost))),
            test.paper,
            test.prose,
        )

    def _planned(self, test: Test) -> list[Pair]:
        first = self.plan.pairs(self.cells[test.first])
        other = self.plan.pairs(self.cells[test.second]) if test.second else first
        shared = {(sample.id, seed) for sample, seed in other}
        return [
            (sample, seed)
            for sample, seed in first
            if (sample.id, seed) in shared and (not test.groups or sample.group in test.groups)
        ]

    def _has(self, cell: str, metric: Metric, pair: Pair) -> bool:
        if not cell:
            return True
        sample, seed = pair
        if metric.scope == "clip":
            return (metric.id, sample.id, seed) in self.records[cell]
        keys = [self.cells[cell].clip_key(sample, seed), true_key(sample)]
        return all(self.store.files.feature(metric.encoder, key).is_file() for key in keys)

    def _interval(self, test: Test, metric: Metric, pairs: Sequence[Pair]) -> Interval:
        owners = [sample.id for sample, _ in pairs]
        if metric.scope == "set":
            return self._set_interval(test, metric, pairs)
        first, second = (
            np.asarray([self.records[cell][metric.id, sample.id, seed] for sample, seed in pairs])
            if cell
            else np.zeros(len(pairs))
            for cell in (test.first, test.second)
        )
        return mean_interval(first - second, owners)

    def _set_interval(self, test: Test, metric: Metric, pairs: Sequence[Pair]) -> Interval:
        """Difference of two cells' distances from the same true clips; an image left out leaves all
        three sets.
        """
        found = registered(metric)
        samples = list({sample.id: sample for sample, _ in pairs}.values())
        numbers = {sample.id: number for number, sample in enumerate(samples)}
        owner = np.asarray([numbers[sample.id] for sample, _ in pairs])
        real = self.store.features(metric.encoder, [true_key(sample) for sample in samples])
        sets = []
        for cell in filter(None, (test.first, test.second)):
            keys = [self.cells[cell].clip_key(sample, seed) for sample, seed in pairs]
            fake = self.store.features(metric.encoder, keys)
            prepare = found.steps.prepare
            sets.append(prepare(real, fake) if prepare else (real, fake))

        def distance(kept: np.ndarray, real: np.ndarray, fake: np.ndarray) -> float:
            return float(found.formula(real[np.unique(owner[kept])], fake[kept]))

        def statistic(kept: np.ndarray) -> float:
            values = [distance(kept, *both) for both in sets]
            return values[0] - (values[1] if len(values) > 1 else 0.0)

        return jackknife_interval(statistic, owner.tolist())


def _unmeasured(test: Test, reason: str) -> Result:
    nan = float("nan")
    verdict: Outcome = "reported" if test.kind == "report" else "not measured"
    return Result(
        test.title,
        test.metric,
        "",
        test.kind,
        test.margin,
        nan,
        nan,
        nan,
        0,
        0,
        verdict,
        f"not measured: {reason}",
        test.paper,
        test.prose,
    )
