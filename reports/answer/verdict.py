"""The page's verdict: at most two sentences, made from the run's numbers by six rules.

0. **Foreign encoders** (the glyph world's measured other pictures): no verdict.
1. **Claims** (the suite tests the paper's claims): how many claims have which verdict, and which
   ones do not hold.
2. **Nothing competes** (anchors only): the run says so.
3. **One cell competes**: its identity and motion beside those of the true clips; no winner.
4. **Two cells compete**: on which measures that have a better direction one is better, worse or
   not separated, and the differences on the leading ones. "Better" is said of a cell that is
   better somewhere and worse nowhere; without a measure of whether the image is kept the verdict is
   "undecided" all the same.
5. **More cells compete**: the cell of highest identity among those that move at least half as much
   as the true clips (without true clips: as the reference; without motion or reference: among
   all), and the trade-off it sits on: the cell of highest identity and the one that moves most.
   Where several move within 5 % of the most, it is the one of highest identity.
   Without a measure of identity another that tells whether the image is kept takes its place.
   Where there is none, or n is too small, the verdict is "undecided" and recommends no cell.

What *separated* and *too small* mean is said in :mod:`reports.run.separation`. No sentence names a
winner that is not separated from its rivals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from reports.answer.evidence import Evidence
from reports.answer.questions import answers, deciding
from reports.answer.sentences import (
    Name,
    Sentence,
    Strong,
    best_end,
    claim_sentences,
    inline_label,
    listed_labels,
    quantity,
)
from reports.run.pairs import Pairs
from reports.run.separation import rivals
from reports.tables.cells import CellTable

if TYPE_CHECKING:
    from reports.run.folder import RunFolder
    from reports.run.measures import Measure

Rule = Literal["foreign", "claims", "nothing", "one", "two", "many"]
MOVES = 0.5
"""Share of the true clips' motion below which a cell hardly moves."""
MOST = 0.95
"""Share of the highest motion from which cells count as moving as much as any."""
_SHEET = 3
"""Cells on the contact sheet; one more where a label would have none."""


@dataclass(frozen=True)
class Verdict:
    """What a run answers within one sample group.

    Attributes:
        rule: which of the module's rules spoke.
        sentences: one or two.
        cells: the cells that the sentences are about, for the contact sheet.
        winner: the cell that is separated from every rival, or None.
        first: the cell that is recommended, separated or not, or None.
    """

    rule: Rule
    sentences: Sequence[Sentence]
    cells: Sequence[str]
    winner: str | None = None
    first: str | None = None


def verdict(
    run: RunFolder,
    table: CellTable,
    pairs: Mapping[str, Pairs],
    claims: Mapping[str, Any] | None = None,
) -> Verdict:
    """The verdict of one sample group.

    Args:
        run: the run folder.
        table: cells x measures of the group.
        pairs: metric id -> paired differences of every two cells in the group.
        claims: content of ``claims.json``, where the suite tests the paper's claims.
    """
    competing, look = rivals(table), _Words(run, table, pairs)
    if foreign := run.run.get("foreign_encoders"):
        what = (
            f"{', '.join(map(str, foreign))} of the glyph world measured other pictures, on which "
        )
        text = f"{what}their accuracy was never measured."
        return Verdict("foreign", [(Strong("No verdict: "), text)], _sheet(run, competing))
    if claims is not None:
        return Verdict("claims", claim_sentences(claims), _sheet(run, competing))
    if not competing:
        anchors = [row.cell for row in table.rows if not row.failed]
        text = "Nothing competes here: every cell with clips is an anchor, the end of a scale."
        return Verdict("nothing", [(Strong(text),)], anchors[:_SHEET])
    if len(competing) == 1:
        return Verdict("one", [look.alone(competing[0])], competing)
    return look.two(*competing) if len(competing) == 2 else look.many(competing)


class _Words(Evidence):
    """The rules' sentences."""

    def alone(self, cell: str) -> Sentence:
        parts: list[str] = [Strong("One cell competes, so there is no winner: "), Name(cell)]
        for i, measure in enumerate(filter(None, map(self.first, ("identity", "motion")))):
            entry = self.entry(cell, measure)
            if entry is None:
                continue
            parts.append((" and " if i else " has ") + quantity(measure, entry))
            truths = [c for c in self.run.cells if self.run.methods[c] == "true-clip"]
            true = self.entry(truths[0], measure) if truths else None
            parts.append(f" (true clips {true.text})" if true else "")
        return (*parts, ".") if len(parts) > 2 else (*parts, " has no rival.")

    def two(self, a: str, b: str) -> Verdict:
        directed = [
            m
            for m in self.table.measures
            if m.higher_is_better is not None and self.entry(a, m) and self.entry(b, m)
        ]
        told = {m.id: self.better(m, a, b, corrected=False) for m in directed}
        wins, losses, open_ = (
            [m for m in directed if told[m.id] is side] for side in (True, False, None)
        )
        if len(losses) > len(wins):
            a, b, wins, losses = b, a, losses, wins
        kept = any(answers(m, "identity") for m in directed)
        of = f"{len(directed)} measure{'s' if len(directed) != 1 else ''} with a better direction"
        if not directed:
            first: Sentence = (
                *("The run has no measure with a better direction for ", Name(a), " and "),
                *(Name(b), ", so it names no winner."),
            )
        elif not wins and (small := self.small(directed, a, [b])):
            first = (
                *(Strong(f"Undecided: {_FEW}"), f" ({small}) to separate ", Name(a), " from "),
                *(Name(b), f" on any of {of}."),
            )
        elif not wins:
            first = (
                *(Strong("The run does not separate "), Name(a), Strong(" from "), Name(b)),
                f" on any of {of}.",
            )
        elif losses:
            first = (
                *(Strong("Neither wins: "), Name(a)),
                *(f" is better on {listed_labels(wins)}, ", Name(b)),
                f" on {listed_labels(losses)} of {of}; {len(open_)} not separated.",
            )
        else:
            left = f"; the run does not separate them on {listed_labels(open_)}" if open_ else ""
            better = (
                (Name(a), Strong(" is better than "), Name(b))
                if kept
                else (*(Strong(_NOT_KEPT), ". ", Name(a), " is better than ", Name(b)),)
            )
            first = (*better, f" on {listed_labels(wins)} of {of}{left}.")
        sentences = [first]
        if numbers := self.gaps(a, b):
            sentences.append((Name(a), " minus ", Name(b), f": {'; '.join(numbers)}."))
        winner = a if kept and wins and not losses else None
        return Verdict("two", sentences, [a, b], winner)

    def many(self, competing: Sequence[str]) -> Verdict:
        measure = deciding(self.table.measures)
        known = [cell for cell in competing if self.entry(cell, measure)]
        if measure is None or not known:
            text = f"The run has no measure with a better direction for its {len(competing)} cells."
            return Verdict("many", [(text,)], _sheet(self.run, competing))
        shares = {cell: self.share(cell) for cell in known}
        moving = [c for c in known if (share := shares[c]) is not None and share >= MOVES]
        asked = all(share is not None for share in shares.values()) and bool(moving)
        field = moving if asked else known
        sign = -1 if measure.lower_is_better else 1

        def value(cell: str) -> float:
            entry = self.entry(cell, measure)
            return sign * entry.value if entry else float("-inf")

        top = max(field, key=value)
        rest = [cell for cell in field if cell != top]
        tied = [c for c in rest if not self.better(measure, top, c, corrected=True)]
        doubts = [*([] if answers(measure, "identity") else [_NOT_KEPT_WORDS])]
        if small := self.small([measure], top, rest):
            doubts.append(f"{_FEW} ({small})")
        sentences = [self._recommended(measure, top, field, tied, asked)]
        if doubts:
            sentences = self._undecided(measure, top, field, asked, doubts)
        ends = [top]
        if asked:
            highest = max(known, key=value)
            furthest = max(shares[cell] or 0.0 for cell in known)
            most = max((c for c in known if (shares[c] or 0.0) >= MOST * furthest), key=value)
            sentences += [] if doubts else self._ends(measure, top, highest, most, shares)
            ends += [highest, most]
        cells = _with_labels(self.run, [*ends, *([] if doubts else tied[:1])], competing)
        if doubts:
            return Verdict("many", sentences, cells)
        return Verdict("many", sentences, cells, None if tied else top, first=top)

    def _undecided(
        self,
        measure: Measure,
        top: str,
        field: Sequence[str],
        asked: bool,
        doubts: Sequence[str],
    ) -> list[Sentence]:
        which, value = self.which(field, asked), self.value(measure, top, asked)
        return [
            (Strong(f"Undecided: {', and '.join(doubts)}."),),
            (f"Of {which} ", Name(top), f" has the {value}, which recommends no cell."),
        ]

    def _recommended(
        self,
        measure: Measure,
        top: str,
        field: Sequence[str],
        tied: Sequence[str],
        asked: bool,
    ) -> Sentence:
        whom = self.yardstick[1] if self.yardstick else ""
        which, value = self.which(field, asked), self.value(measure, top, asked)
        if len(field) == 1:
            only = f"the only cell that moves at least half as much as {whom}: {value}."
            return (Strong("Take "), Name(top), f", {only}")
        if not tied:
            return (Strong("Take "), Name(top), f": of {which} it has the {value}.")
        others = len(field) - 1
        count = "any of the others" if len(tied) == others else f"{len(tied)} of the other {others}"
        return (
            *(
                Strong("No cell wins; try "),
                Name(top),
                Strong(" first"),
                f": of {which} it has the ",
            ),
            f"{value}; the run does not separate it from {count}.",
        )

    def _ends(
        self,
        measure: Measure,
        top: str,
        highest: str,
        most: str,
        shares: Mapping[str, float | None],
    ) -> list[Sentence]:
        parts: list[str] = []
        if highest != top and (entry := self.entry(highest, measure)):
            parts += [
                Name(highest),
                f" has the {best_end(measure)} {inline_label(measure)} of all that compete "
                f"({entry.text}) ",
            ]
            whom = self.yardstick[1] if self.yardstick else ""
            parts += [f"but moves {shares[highest] or 0:.0%} as much as {whom}"]
        if most not in (top, highest) and (entry := self.entry(most, measure)):
            share = shares[most] or 0.0
            lead = "moves most" if share == max(s or 0.0 for s in shares.values()) else _AS_ANY
            parts += ["; " if parts else "", Name(most), f" {lead} ({share:.0%}) "]
            parts += [f"at {inline_label(measure)} {entry.text}"]
        return [("The trade-off: ", *parts, ".")] if parts else []


_AS_ANY = "moves as much as any"
_FEW = "n is too small"
_NOT_KEPT_WORDS = "whether the clips keep the image was not measured"
_NOT_KEPT = f"Undecided: {_NOT_KEPT_WORDS}"


def _with_labels(run: RunFolder, chosen: Sequence[str], competing: Sequence[str]) -> list[str]:
    """The chosen cells, filled up to the sheet; a label that none of them has takes one more."""
    firsts = _sheet(run, competing)
    found = list(dict.fromkeys([*chosen, *firsts]))[:_SHEET]
    shown = {run.labels[cell] for cell in found}
    return [*found, *[cell for cell in firsts if run.labels[cell] not in shown][:1]]


def _sheet(run: RunFolder, competing: Sequence[str]) -> list[str]:
    """The reference and the first cell of each other label."""
    firsts: dict[str, str] = {}
    for cell in sorted(competing, key=lambda cell: cell != run.reference):
        firsts.setdefault(run.labels[cell], cell)
    return [*firsts.values()][:_SHEET]
