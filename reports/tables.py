"""Cells x measures and paired comparisons as rows to typeset, Markdown and CSV."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from reports.measures import Measure

if TYPE_CHECKING:
    import pandas as pd

    from reports.load import RunFolder

Verdict = Literal["better", "worse", "higher", "lower", "unclear"]


_CORRECTED = "bias-corrected "
_DETAIL = re.compile(rf"; (?={_CORRECTED})")
_FEW = re.compile(r"(?:^|; )(?:\d+ input images?: |n = \d+ )")
_MANY = re.compile(r"(?:^|; )\d+ comparisons, .*")
_FAILED_TO_SURVIVE = "(Bonferroni) the interval includes 0"


@dataclass(frozen=True)
class Entry:
    """One number of a table with its interval; `text` and `interval` are typeset, `best` marks the
    column's best.

    `detail` is what the summary notes about this number alone (a Fréchet distance's bias-corrected
    value), or "". `cautions` are what it warns of; `few` says that n or the number of input images
    is too small.
    """

    value: float
    low: float
    high: float
    n: int
    detail: str
    text: str
    interval: str
    best: bool = False
    cautions: tuple[str, ...] = ()

    @property
    def few(self) -> bool:
        """Whether a caution is about too small an n."""
        return any(_FEW.search(caution) for caution in self.cautions)


@dataclass(frozen=True)
class Row:
    """One cell: its entries in the order of the measures, None where the run has no such number."""

    cell: str
    anchor: bool
    reference: bool
    entries: tuple[Entry | None, ...]


@dataclass(frozen=True)
class CellTable:
    """Cells x measures within one sample group; `n` is the clips per cell where all entries share
    it, else None.
    """

    group: str
    measures: tuple[Measure, ...]
    rows: tuple[Row, ...]
    n: int | None

    @property
    def cautions(self) -> list[str]:
        """Every caution of an entry, once, in order of appearance: the table's footnotes."""
        return _footnotes(entry for row in self.rows for entry in row.entries)


@dataclass(frozen=True)
class Difference:
    """Reference minus one cell on one measure; `verdict` speaks of the reference and is "unclear"
    if 0 is inside.

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

    @property
    def cautions(self) -> list[str]:
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
            _entry(m, row.mean, row.low, row.high, row.n, row.note, best=cell in best[m.id])
            if (row := found.get((cell, m.id))) is not None
            else None
            for m in measures
        )
        if any(entries):
            lines.append(Row(cell, run.is_anchor(cell), cell == run.reference, entries))
    return CellTable(
        group, tuple(measures), tuple(lines), _common_n(e for line in lines for e in line.entries)
    )


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
            difference(m, row.difference, row.low, row.high, row.n, row.note)
            if (row := found.get((cell, m.id)))
            else None
            for m in compared
        )
        lines.append((cell, run.is_anchor(cell), differences))
    n = _common_n(d.entry for _, _, ds in lines for d in ds if d)
    return ComparisonTable(group, run.reference, compared, tuple(lines), n)


def difference(
    measure: Measure, value: float, low: float, high: float, n: float, note: str = ""
) -> Difference:
    """Typesets a paired difference and says what its interval allows to say about the reference."""
    entry = _entry(measure, value, low, high, n, _MANY.sub("", note), sign=True)
    chance = note.endswith(_FAILED_TO_SURVIVE)
    if not (low > 0 or high < 0):  # a nan bound decides nothing
        return Difference(entry, "unclear")
    if measure.higher_is_better is None:
        return Difference(entry, "higher" if low > 0 else "lower", chance)
    return Difference(entry, "better" if (low > 0) == measure.higher_is_better else "worse", chance)


def cautions(note: str) -> list[str]:
    """What a summary's note warns of, without the details of one number."""
    return [part for part in _DETAIL.split(note) if part and not part.startswith(_CORRECTED)]


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
    """One group's numbers in full precision: columns cell, method, t0, p and `<metric>.mean`,
    `.low`, `.high`, `.n`.
    """
    import pandas as pd

    rows = run.summary[run.summary["group"] == group]
    columns: dict[str, list[object]] = {}
    keys = rows.drop_duplicates("cell").set_index("cell")
    cells = [cell for cell in run.cells if cell in keys.index]
    columns["cell"] = list(cells)
    for name in ("method", "t0", "p"):
        columns[name] = [keys.at[cell, name] for cell in cells]
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
    value: float,
    low: float,
    high: float,
    n: float,
    note: str,
    *,
    sign: bool = False,
    best: bool = False,
) -> Entry:
    return Entry(
        value=value,
        low=low,
        high=high,
        n=int(n) if math.isfinite(n) else 0,
        detail="; ".join(
            _detail(measure, part) for part in _DETAIL.split(note) if part.startswith(_CORRECTED)
        ),
        text=measure.number(value, sign=sign),
        interval=measure.interval(low, high, sign=sign),
        best=best,
        cautions=tuple(cautions(note)),
    )


def _detail(measure: Measure, note: str) -> str:
    """With the measure's digits: the true clips' own distance is 0, not what rounding leaves of
    it."""
    try:
        return _CORRECTED + measure.number(float(note.removeprefix(_CORRECTED)))
    except ValueError:
        return note


def _footnotes(entries: Iterable[Entry | None]) -> list[str]:
    return list(
        dict.fromkeys(
            caution for entry in entries if entry is not None for caution in entry.cautions
        )
    )


def _common_n(entries: Iterable[Entry | None]) -> int | None:
    counts = {entry.n for entry in entries if entry is not None}
    return counts.pop() if len(counts) == 1 else None
