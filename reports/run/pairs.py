"""Paired differences of any two cells, worked out beforehand so that the page can show any pair
without arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from eval.summary.cautions import Caution, few_images
from reports.run.measures import Measure

if TYPE_CHECKING:
    import pandas as pd

    from reports.run.folder import RunFolder

MOST_CELLS = 64
"""Cells whose pairs the page holds; with more it would grow by megabytes."""


class Pair(NamedTuple):
    """First cell minus second: mean, 95 % interval, interval corrected for the number of pairs,
    clips and images.
    """

    mean: float
    low: float
    high: float
    corrected_low: float
    corrected_high: float
    n: int
    images: int

    @property
    def cautions(self) -> list[Caution]:
        """Says that the clips come from too few input images, where they do."""
        return few_images(self.images)

    @property
    def few(self) -> bool:
        """Whether n is too small for the interval to separate the two."""
        return bool(self.cautions)

    @property
    def separated(self) -> int:
        """0: the interval holds 0, or rests on too few images; 1: it does not; 2: nor does the one
        corrected for all pairs (Bonferroni).
        """
        if self.few:
            return 0
        return sum(low > 0 or high < 0 for low, high in ((self.low, self.high), self[3:5]))


Pairs = Mapping[tuple[str, str], Pair]
"""(first cell, second cell), in the run's order, -> their difference."""


def paired_cells(run: RunFolder) -> list[str]:
    """The cells that are paired: the first `MOST_CELLS` that have records."""
    return [cell for cell in run.cells if cell in run.recorded_cells][:MOST_CELLS]


def pairs_of(run: RunFolder, measure: Measure, group: str) -> Pairs:
    """Every two cells of a group on one measure, paired on (sample, seed); empty for measures of a
    set.

    Cells that made different clips, because some failed, are paired on those that both made.
    """
    from eval.summary.statistics import family_wise_level

    rows = run.records[run.records["metric"] == measure.id]
    if group != "all":
        rows = rows[rows["group"] == group]
    table = rows.pivot(index=["sample", "seed"], columns="cell", values="value")
    cells = [cell for cell in paired_cells(run) if cell in table.columns]
    count = len(cells) * (len(cells) - 1) // 2
    levels = (0.95, family_wise_level(max(1, count)))
    complete = table.notna().all()
    whole = [cell for cell in cells if complete[cell]]
    images = run.image_clusters
    found = dict(_differences(table[whole], images, levels))
    for first, second in combinations(cells, 2):
        if (first, second) not in found:
            found.update(_differences(table[[first, second]].dropna(), images, levels))
    return found


def _differences(
    table: pd.DataFrame, clusters: Mapping[str, str], levels: Sequence[float]
) -> Iterator[tuple[tuple[str, str], Pair]]:
    from eval.summary.statistics import pairwise_differences

    if table.empty or len(table.columns) < 2:
        return
    images = [clusters[sample] for sample in table.index.get_level_values("sample")]
    rows = pairwise_differences(table.to_numpy(dtype=float), images, levels=levels)
    for pair, row in zip(combinations(table.columns, 2), rows, strict=True):
        mean, low, high, corrected_low, corrected_high = map(float, row)
        yield (
            pair,
            Pair(mean, low, high, corrected_low, corrected_high, len(table), len(set(images))),
        )


def page_data(
    run: RunFolder, measures: Sequence[Measure], pairs: Mapping[tuple[str, str], Pairs]
) -> dict[str, object]:
    """What the page's script needs, as plain JSON values.

    ``groups[group][measure]`` is a list over pairs of cells (i < j, as `combinations`) of
    [difference, low, high, separated, n, images, few], null where the two share no clip; numbers
    keep two digits more than they are shown with.
    """
    cells = paired_cells(run)
    shown = [m for m in measures if any((group, m.id) in pairs for group in run.groups)]

    def entry(measure: Measure, pair: Pair | None) -> list[float | int | bool | None] | None:
        if pair is None:
            return None
        digits = 2 + measure.telling(pair.low, pair.high).decimals
        numbers = [round(x, digits) if math.isfinite(x) else None for x in pair[:3]]
        return [*numbers, pair.separated, pair.n, pair.images, pair.few]

    return {
        "cells": cells,
        "measures": [
            {"label": m.label, "unit": m.unit, "decimals": m.decimals, "better": m.higher_is_better}
            for m in shown
        ],
        "groups": {
            group: [
                [
                    entry(m, pairs.get((group, m.id), {}).get(pair))
                    for pair in combinations(cells, 2)
                ]
                for m in shown
            ]
            for group in run.groups
        },
        "means": {
            group: [[_mean(run, m, group, cell) for cell in cells] for m in shown]
            for group in run.groups
        },
    }


def _mean(run: RunFolder, measure: Measure, group: str, cell: str) -> list[str] | None:
    row = run.means.get((cell, group, measure.id))
    return None if row is None else [measure.number(row[0]), measure.interval(row[1], row[2])]
