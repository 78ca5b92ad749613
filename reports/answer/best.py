"""The overview: which cell is best on what, by how much, and whether the run can tell it from the
next.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.run.measures import Measure
from reports.run.pairs import Pairs
from reports.tables.cells import FEW, CellTable, Difference, Entry, Row, difference

LEADING = ("identity", "text", "motion", "fvd")
"""Families of the overview; the table below it has every measure."""


@dataclass(frozen=True)
class Best:
    """The best competing cell on one measure, the next best, and their paired difference (None: not
    paired).
    """

    measure: Measure
    cell: str
    entry: Entry
    next: str | None
    next_entry: Entry | None
    gap: Difference | None
    tied: Sequence[str]

    @property
    def why(self) -> str:
        """Whether the lead can be told from chance, in words."""
        if self.next is None:
            return "the only cell that competes"
        if self.gap is None:
            return "not paired: compare the intervals"
        if self.gap.entry.few:
            return FEW
        if self.gap.verdict == "unclear":
            return "the run does not separate the two" + self._others
        return "the interval excludes 0" + self._others

    @property
    def _others(self) -> str:
        others = len(self.tied) - (self.next in self.tied)
        return f"; nor from {others} more" if others and self.next in self.tied else ""


def best_cells(
    table: CellTable, pairs: Mapping[str, Pairs], measures: Sequence[Measure]
) -> list[Best]:
    """The best cell on each of `measures`: largest, where neither direction is better (the most
    motion).

    Args:
        table: cells x measures of one group; anchors do not compete.
        pairs: metric id -> differences of every two cells in the same group.
        measures: of the table.
    """
    found = []
    for measure in measures:
        at = table.measures.index(measure)
        rivals = [
            (row, entry)
            for row in table.rows
            if not row.anchor
            and (entry := row.entries[at]) is not None
            and math.isfinite(entry.value)
        ]
        rivals.sort(key=lambda rival: rival[1].value, reverse=not measure.lower_is_better)
        if rivals:
            found.append(_best(measure, rivals, pairs.get(measure.id, {})))
    return found


def leading(measures: Sequence[Measure]) -> list[Measure]:
    """The first measure of each leading family."""
    firsts = [next((m for m in measures if m.family == family), None) for family in LEADING]
    return [m for m in firsts if m is not None]


def _best(measure: Measure, rivals: Sequence[tuple[Row, Entry]], pairs: Pairs) -> Best:
    (row, entry), *others = rivals
    gaps = {other.cell: gap(measure, pairs, row.cell, other.cell) for other, _ in others}
    tied = [
        cell for cell, found in gaps.items() if found is not None and found.verdict == "unclear"
    ]
    runner, runner_entry = others[0] if others else (None, None)
    name = None if runner is None else runner.cell
    return Best(
        measure, row.cell, entry, name, runner_entry, gaps.get(name) if name else None, tied
    )


def gap(measure: Measure, pairs: Pairs, first: str, second: str) -> Difference | None:
    """First minus second, typeset; None where the two are not paired."""
    if (pair := pairs.get((first, second))) is not None:
        return difference(measure, pair.mean, pair.low, pair.high, pair.n, pair.cautions)
    if (pair := pairs.get((second, first))) is not None:
        return difference(measure, -pair.mean, -pair.high, -pair.low, pair.n, pair.cautions)
    return None
