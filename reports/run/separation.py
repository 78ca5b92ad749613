"""Whether a run separates two cells: the one rule behind every bold number and every verdict.

Two cells are separated where the 95 % interval of their paired difference excludes 0; among many
cells, where the interval that is corrected for all pairs of cells (Bonferroni) does. Measures of a
set are not paired; there two cells are separated where their intervals do not overlap. A value or a
difference without an interval separates nothing, nor does one whose n is too small: whose cautions
say so (:class:`eval.summary.cautions.Caution`), as for fewer than ten input images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.run.measures import Measure
    from reports.run.pairs import Pairs
    from reports.tables.cells import CellTable, Entry


def entry_of(table: CellTable, cell: str, measure: Measure | None) -> Entry | None:
    """A cell's finite value, or None."""
    if measure is None or measure not in table.measures:
        return None
    row = next((row for row in table.rows if row.cell == cell), None)
    found = row.entries[table.measures.index(measure)] if row else None
    return found if found is not None and math.isfinite(found.value) else None


def rivals(table: CellTable) -> list[str]:
    """The cells that compete: no anchors, none that failed."""
    return [row.cell for row in table.rows if not row.anchor and not row.failed]


def better(
    table: CellTable,
    pairs: Mapping[str, Pairs],
    measure: Measure,
    a: str,
    b: str,
    *,
    corrected: bool,
) -> bool | None:
    """Whether `a` is better than `b` on a measure with a better direction.

    Args:
        table: cells x measures of one group.
        pairs: metric id -> paired differences in the same group.
        measure: of the table.
        a, b: cells.
        corrected: whether to take the interval that is corrected for all pairs of cells.

    Returns:
        None where the run does not separate the two.
    """
    known = pairs.get(measure.id, {})
    pair = known.get((a, b)) or known.get((b, a))
    if pair is not None:
        if pair.separated < (2 if corrected else 1):
            return None
        difference = pair.mean if (a, b) in known else -pair.mean
        return (difference > 0) == measure.higher_is_better
    one, other = entry_of(table, a, measure), entry_of(table, b, measure)
    if one is None or other is None or one.few or other.few:
        return None
    if one.low > other.high:
        return bool(measure.higher_is_better)
    return not measure.higher_is_better if one.high < other.low else None


def leader(
    table: CellTable,
    pairs: Mapping[str, Pairs],
    measure: Measure,
    among: Sequence[str] | None = None,
) -> str | None:
    """The cell that is separated from every other that competes and better than all; None where
    there is no such cell, no better direction or no rival.
    """
    cells = [c for c in among or rivals(table) if entry_of(table, c, measure)]
    if measure.higher_is_better is None or len(cells) < 2:
        return None
    sign = -1 if measure.lower_is_better else 1
    values = {c: sign * e.value for c in cells if (e := entry_of(table, c, measure))}
    top = max(cells, key=values.__getitem__)
    many = len(cells) > 2
    won = all(better(table, pairs, measure, top, c, corrected=many) for c in cells if c != top)
    return top if won else None


def with_leads(table: CellTable, pairs: Mapping[str, Pairs]) -> CellTable:
    """The table with every measure's leader marked, and the next where it leads the rest."""
    first = {m.id: leader(table, pairs, m) for m in table.measures}
    second = {}
    for m in table.measures:
        rest = [cell for cell in rivals(table) if cell != first[m.id]]
        second[m.id] = leader(table, pairs, m, rest) if first[m.id] else None
    rows = []
    for row in table.rows:
        entries = tuple(
            None
            if e is None
            else replace(e, leads=row.cell == first[m.id], second=row.cell == second[m.id])
            for m, e in zip(table.measures, row.entries, strict=True)
        )
        rows.append(replace(row, entries=entries))
    return replace(table, rows=tuple(rows))
