"""What the verdict knows of one sample group: values, motion beside a yardstick, separation, and
how they are put in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.answer.best import gap, leading
from reports.answer.sentences import MOST_NAMED, best_end, inline_label, quantity
from reports.run.pairs import Pairs
from reports.run.separation import better, entry_of
from reports.tables.cells import FEW, CellTable, Entry

if TYPE_CHECKING:
    from reports.run.folder import RunFolder
    from reports.run.measures import Measure


@dataclass(frozen=True)
class Evidence:
    """The numbers of one sample group, as the verdict asks for them."""

    run: RunFolder
    table: CellTable
    pairs: Mapping[str, Pairs]

    def entry(self, cell: str, measure: Measure | None) -> Entry | None:
        return entry_of(self.table, cell, measure)

    def first(self, family: str) -> Measure | None:
        return next((m for m in self.table.measures if m.family == family), None)

    @property
    def yardstick(self) -> tuple[str, str] | None:
        """The cell whose motion others are compared with, and its name in a sentence."""
        truths = [c for c in self.run.cells if self.run.methods[c] == "true-clip"]
        if truths and self.entry(truths[0], self.first("motion")):
            return truths[0], "the true clips"
        reference = self.run.reference
        if reference and self.entry(reference, self.first("motion")):
            return reference, "the reference"
        return None

    def share(self, cell: str) -> float | None:
        """A cell's motion as a share of the yardstick's."""
        moved = self.entry(cell, self.first("motion"))
        most = self.yardstick and self.entry(self.yardstick[0], self.first("motion"))
        return moved.value / most.value if moved and most and most.value > 0 else None

    def better(self, measure: Measure, a: str, b: str, *, corrected: bool) -> bool | None:
        return better(self.table, self.pairs, measure, a, b, corrected=corrected)

    def gaps(self, a: str, b: str) -> list[str]:
        found, few = [], False
        for measure in leading(self.table.measures)[:MOST_NAMED]:
            difference = gap(measure, self.pairs.get(measure.id, {}), a, b)
            if difference is None:
                continue
            entry = difference.entry
            found.append(f"{inline_label(measure)} {entry.text} ({entry.interval})")
            pair = self.pairs[measure.id].get((a, b)) or self.pairs[measure.id][b, a]
            few = few or pair.few
        if found and few:
            found.append(f"{FEW}, so these intervals are too narrow")
        return found

    def small(self, measures: Sequence[Measure], cell: str, others: Sequence[str]) -> str:
        """Why n is too small to separate a cell from any other on any of these measures, "" where
        it is not.
        """
        found = []
        for measure in measures:
            entry, known = self.entry(cell, measure), self.pairs.get(measure.id, {})
            pairs = [p for c in others if (p := known.get((cell, c)) or known.get((c, cell)))]
            cautions = [c for c in entry.cautions if c.few] if entry else []
            if not cautions and pairs and all(pair.few for pair in pairs):
                cautions = pairs[0].cautions
            if not cautions:
                return ""
            found += cautions
        return found[0].text if found else ""

    def which(self, field: Sequence[str], asked: bool) -> str:
        """The cells that a sentence compares, in words."""
        if not asked or self.yardstick is None:
            return f"{len(field)} cells"
        plural = len(field) != 1
        return (
            f"the {len(field)} cell{'s' if plural else ''} that move{'' if plural else 's'} "
            f"at least half as much as {self.yardstick[1]}"
        )

    def value(self, measure: Measure, cell: str, asked: bool) -> str:
        """A cell's value as the best of those compared, and its motion, in words."""
        entry, share = self.entry(cell, measure), self.share(cell)
        assert entry is not None
        whom = self.yardstick[1] if self.yardstick else ""
        moved = f", motion {share:.0%} of {whom}" if share is not None and asked else ""
        return f"{best_end(measure)} {quantity(measure, entry)}{moved}"
