"""Cells x measures and paired comparisons as rows to typeset, Markdown and CSV."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from eval.summary.cautions import Caution
from reports.run.measures import Measure
from reports.run.sweeps import swept_settings

if TYPE_CHECKING:
    import pandas as pd

    from reports.run.folder import RunFolder

FEW = "n too small"
"""What stands beside a number that rests on too few clips or images."""

_SHORT = 10
"""Rows that are shown at a first look before some are chosen."""

Verdict = Literal["better", "worse", "higher", "lower", "unclear"]


@dataclass(frozen=True)
class Entry:
    """One number of a table with its interval; `text` and `interval` are typeset, `best` marks the
    column's best.

    `leads` says that the run separates it from every rival and it is better than all; `second` that
    it is so among the rest (see `reports.run.separation`).

    `detail` is what belongs to this number alone (a Fréchet distance's bias-corrected value), or
    "". `cautions` are what a reader must know of it.
    """

    value: float
    low: float
    high: float
    n: int
    detail: str
    text: str
    interval: str
    best: bool = False
    cautions: tuple[Caution, ...] = ()
    leads: bool = False
    second: bool = False

    @property
    def few(self) -> bool:
        """Whether a caution is about too small an n."""
        return any(caution.few for caution in self.cautions)


@dataclass(frozen=True)
class Row:
    """One cell: its entries in the order of the measures, None where the run has no such number.

    `failed` says why there is no number at all, "" otherwise.
    """

    cell: str
    anchor: bool
    reference: bool
    entries: tuple[Entry | None, ...]
    failed: str = ""


@dataclass(frozen=True)
class CellTable:
    """Cells x measures within one sample group; `n` is the clips per cell where all entries share
    it, else None.
    """

    group: str
    measures: tuple[Measure, ...]
    rows: tuple[Row, ...]
    n: int | None

    @cached_property
    def cautions(self) -> list[Caution]:
        """Every caution of an entry, once, in order of appearance: the table's footnotes."""
        return _footnotes(entry for row in self.rows for entry in row.entries)

    def shared(self, measure: Measure) -> tuple[Caution, ...]:
        """What all cells' values of a measure have in common, shown once in its heading."""
        at = self.measures.index(measure)
        found = [e.cautions for row in self.rows if (e := row.entries[at]) is not None]
        return found[0] if found and all(each == found[0] for each in found) else ()


@dataclass(frozen=True)
class Difference:
    """Reference minus one cell on one measure; `verdict` speaks of the reference and is "unclear"
    if 0 is inside, or n is too small.

    `chance` says that the interval would hold 0 if it were corrected for the number of comparisons.
    """

    entry: Entry
    verdict: Verdict
    chance: bool = False


@dataclass(frozen=True)
class ComparisonTable:
    """Reference minus every other cell within one sample group; rows are (cell, anchor?,
    differences).
    """

    group: str
    reference: str
    measures: tuple[Measure, ...]
    rows: tuple[tuple[str, bool, tuple[Difference | None, ...]], ...]
    n: int | None

    @cached_property
    def cautions(self) -> list[Caution]:
        """As in `CellTable`."""
        return _footnotes(d.entry for _, _, ds in self.rows for d in ds if d is not None)

    @property
    def separated(self) -> list[Difference]:
        """The differences whose interval excludes 0."""
        return [d for _, _, ds in self.rows for d in ds if d is not None and d.verdict != "unclear"]


def cell_table(run: RunFolder, measures: Sequence[Measure], group: str) -> CellTable:
    """Cells x measures of one group. Anchors never count as best."""
    rows = run.summary[run.summary["group"] == group]
    found = {(row.cell, row.metric): row for row in rows.itertuples()}
    best = {m.id: _best(run, rows[rows["metric"] == m.id], m) for m in measures}
    lines = []
    for cell in run.cells:
        entries = tuple(
            _entry(
                m,
                (row.mean, row.low, row.high, row.n),
                row.cautions,
                corrected=row.bias_corrected,
                best=cell in best[m.id],
            )
            if (row := found.get((cell, m.id))) is not None
            else None
            for m in measures
        )
        if any(entries):
            lines.append(Row(cell, run.is_anchor(cell), cell == run.reference, entries))
    nothing = (None,) * len(measures)
    lines += [Row(cell, False, False, nothing, why) for cell, why in run.failed_cells.items()]
    return CellTable(
        group, tuple(measures), tuple(lines), _common_n(e for line in lines for e in line.entries)
    )


def short_rows(run: RunFolder, table: CellTable, named: Sequence[str]) -> list[Row]:
    """The rows for a first look: all of a short table, else the `named` cells, the reference, the
    first cell of each label and the anchors; none that failed.
    """
    rows = [row for row in table.rows if not row.failed]
    if len(rows) <= _SHORT:
        return rows
    firsts = {run.labels[row.cell]: row.cell for row in reversed(rows)}
    chosen = {*named, run.reference, *firsts.values()}
    return [row for row in rows if row.cell in chosen or row.anchor]


def comparison_table(
    run: RunFolder, measures: Sequence[Measure], group: str
) -> ComparisonTable | None:
    """Reference minus each cell in one group, or None where the run compares nothing there."""
    rows = run.comparisons[run.comparisons["group"] == group]
    if rows.empty or run.reference is None:
        return None
    compared = tuple(m for m in measures if (rows["metric"] == m.id).any())
    found = {(row.cell, row.metric): row for row in rows.itertuples()}
    lines = []
    for cell in run.cells:
        if cell == run.reference or not any((cell, m.id) in found for m in compared):
            continue
        differences = tuple(
            difference(
                m,
                *(row.difference, row.low, row.high, row.n),
                row.cautions,
                chance=row.survives_correction is not None and not row.survives_correction,
            )
            if (row := found.get((cell, m.id)))
            else None
            for m in compared
        )
        lines.append((cell, run.is_anchor(cell), differences))
    n = _common_n(d.entry for _, _, ds in lines for d in ds if d)
    return ComparisonTable(group, run.reference, compared, tuple(lines), n)


def difference(
    measure: Measure,
    value: float,
    low: float,
    high: float,
    n: float,
    cautions: Sequence[Caution] = (),
    *,
    chance: bool = False,
) -> Difference:
    """Typesets a paired difference and says what its interval allows to say about the reference."""
    shown = [caution for caution in cautions if caution.code != "may_be_chance"]  # said by a mark
    measure = measure.telling(low, high)
    entry = _entry(measure, (value, low, high, n), shown, sign=True)
    if entry.few or not (low > 0 or high < 0):  # a nan bound decides nothing
        return Difference(entry, "unclear")
    if measure.higher_is_better is None:
        return Difference(entry, "higher" if low > 0 else "lower", chance)
    return Difference(entry, "better" if (low > 0) == measure.higher_is_better else "worse", chance)


def to_markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose texts cannot leave their place: pipes, HTML and line breaks are made
    plain.
    """
    lines = [[markdown_text(text) for text in header], ["---"] * len(header)]
    lines += [[markdown_text(text) for text in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def markdown_text(text: str) -> str:
    """Escapes what Markdown or HTML would interpret."""
    text = re.sub(r"\s+", " ", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", text)


def cell_frame(run: RunFolder, group: str) -> pd.DataFrame:
    """One group's numbers in full precision: columns cell, method, t0, p, every other swept setting
    and `<metric>.mean`, `.low`, `.high`, `.n`.
    """
    import pandas as pd

    rows = run.summary[run.summary["group"] == group]
    columns: dict[str, list[object]] = {}
    keys = rows.drop_duplicates("cell").set_index("cell")
    cells = [cell for cell in run.cells if cell in keys.index]
    columns["cell"] = list(cells)
    for name in ("method", "t0", "p"):
        columns[name] = [keys.at[cell, name] for cell in cells]
    for name in swept_settings(run):
        if name not in columns:
            columns[name] = [run.settings[cell].get(name) for cell in cells]
    for metric in run.metrics:
        values = rows[rows["metric"] == metric].set_index("cell")
        for name in ("mean", "low", "high", "n"):
            columns[f"{metric}.{name}"] = list(values[name].reindex(cells))
    return pd.DataFrame(columns)


def _best(run: RunFolder, rows: pd.DataFrame, measure: Measure) -> frozenset[str]:
    means = {
        c: m
        for c, m in zip(rows["cell"], rows["mean"], strict=True)
        if not run.is_anchor(c) and math.isfinite(m)
    }
    if measure.higher_is_better is None or not means:
        return frozenset()
    extreme = max(means.values()) if measure.higher_is_better else min(means.values())
    return frozenset(cell for cell, mean in means.items() if mean == extreme)


def _entry(
    measure: Measure,
    numbers: tuple[float, float, float, float],
    cautions: Sequence[Caution],
    *,
    corrected: float = math.nan,
    sign: bool = False,
    best: bool = False,
) -> Entry:
    value, low, high, n = numbers
    detail = f"bias-corrected {measure.number(corrected)}" if math.isfinite(corrected) else ""
    return Entry(
        value=value,
        low=low,
        high=high,
        n=int(n) if math.isfinite(n) else 0,
        detail=detail,
        text=measure.number(value, sign=sign),
        interval=measure.interval(low, high, sign=sign),
        best=best,
        cautions=tuple(cautions),
    )


def _footnotes(entries: Iterable[Entry | None]) -> list[Caution]:
    return list(
        dict.fromkeys(
            caution for entry in entries if entry is not None for caution in entry.cautions
        )
    )


def _common_n(entries: Iterable[Entry | None]) -> int | None:
    counts = {entry.n for entry in entries if entry is not None}
    return counts.pop() if len(counts) == 1 else None
