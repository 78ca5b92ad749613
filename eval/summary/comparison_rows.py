"""Paired differences between the reference and every other cell."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from eval.plan.cells import Plan
from eval.summary.cautions import Caution, few_images, to_json
from eval.summary.clip_values import Pairs, RunValues
from eval.summary.statistics import Interval, excludes_zero, family_wise_level, intervals_at

COMPARISONS = (
    "reference",
    "cell",
    "group",
    "metric",
    "difference",
    "low",
    "high",
    "n",
    "clusters",
    "comparisons",
    "survives_correction",
    "cautions",
)
"""``comparisons``: intervals of one metric and group that are read together;
``survives_correction``: whether an interval that excludes 0 still does when corrected for them
(Bonferroni), empty where it holds 0."""


def places_in(pairs: Pairs, group: str) -> list[int]:
    """Places of the pairs whose samples are in ``group``."""
    return [place for place, (each, _) in enumerate(pairs) if group in ("all", each.group)]


def comparison_rows(plan: Plan, run: RunValues) -> Iterator[tuple[object, ...]]:
    """The rows of comparisons.csv, as :data:`COMPARISONS` names their columns: cell by cell, group
    by group."""
    reference = plan.suite.reference
    home = run.cells.get(reference) if reference is not None else None
    if home is None:
        return
    others = sum(bool(each.pairs) for id, each in run.cells.items() if id != reference)
    # of one metric and group, as a reader scans them
    levels = (0.95, family_wise_level(others)) if others else ()
    for cell in plan.cells:
        if cell.id == reference:
            continue
        theirs = run.cells[cell.id]
        known = {(sample.id, seed): place for place, (sample, seed) in enumerate(theirs.pairs)}
        for group in plan.groups:
            common = [
                (place, known[sample.id, seed])
                for place in places_in(home.pairs, group)
                for sample, seed in (home.pairs[place],)
                if (sample.id, seed) in known
            ]
            every = [home.pairs[place] for place, _ in common]
            found: dict[str, tuple[Interval, ...]] = {}
            for rows, metrics in run.about.alike(plan.clip_metrics, every):
                ours, other = np.array([common[row] for row in rows]).T
                table = np.stack(
                    [home.values[m.id][ours] - theirs.values[m.id][other] for m in metrics], axis=1
                )
                owners = [run.images[every[row][0].id] for row in rows]
                ids = [metric.id for metric in metrics]
                found |= dict(zip(ids, intervals_at(table, owners, levels), strict=True))
            for metric in plan.clip_metrics:
                if metric.id in found:
                    difference, corrected = found[metric.id]
                    row = _comparison(difference, corrected, others)
                    yield (reference, cell.id, group, metric.id, *row)


def _comparison(difference: Interval, corrected: Interval, others: int) -> tuple[object, ...]:
    """The columns of :data:`COMPARISONS` from ``difference`` on."""
    cautions, survives = few_images(difference.clusters), None
    if others > 1 and excludes_zero(difference):
        survives = excludes_zero(corrected)
        if not survives:
            fields = {"comparisons": others, "expected": round(0.05 * others, 2)}
            cautions = [*cautions, Caution("may_be_chance", fields)]
    return (*difference, others, survives, to_json(cautions))
