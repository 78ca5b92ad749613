"""Tables as texts, and the three forms they are written in: Markdown, LaTeX (booktabs), CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from eval.io.documents import csv_text
from reports.tables.cells import (
    FEW,
    CellTable,
    ComparisonTable,
    Difference,
    Entry,
    markdown_text,
    to_markdown,
)
from reports.tables.latex import latex_table


@dataclass(frozen=True)
class PlainTable:
    """A table of texts; `strong` names the (row, column) that stand in bold, `notes` what is
    written below it.

    The first `keys` columns say what a row is about; `numbers` says that all others hold numbers.
    """

    name: str
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    strong: frozenset[tuple[int, int]] = frozenset()
    notes: Sequence[str] = field(default=())
    numbers: bool = False
    keys: int = 1

    def markdown(self) -> str:
        """The table in Markdown, its notes below; whatever a text holds stays text."""
        if not (self.numbers or self.strong):
            text = to_markdown(self.header, self.rows)
        else:
            lines = [
                [markdown_text(head) for head in self.header],
                ["---"] * self.keys + ["---:"] * (len(self.header) - self.keys),
            ]
            for i, row in enumerate(self.rows):
                escaped = map(markdown_text, row)
                lines.append(
                    [
                        f"**{text}**" if (i, j) in self.strong else text
                        for j, text in enumerate(escaped)
                    ]
                )
            text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return "\n\n".join([text, *(f"Note: {markdown_text(note)}" for note in self.notes)])

    def latex(self) -> str:
        """The table for a document with the packages of `reports.tables.latex.PACKAGES`."""
        return latex_table(self)

    def csv(self) -> str:
        """The texts as they are, a header line first."""
        return csv_text(self.header, self.rows)


def plain_cells(table: CellTable) -> PlainTable:
    """Mean (interval); strong is what the run separates from every rival."""
    title = (
        f"Cells and measures, group {table.group}{_n(table.n, 'clips a cell')}; mean (95 % "
        "interval)"
    )
    rows, strong = [], set()
    for i, row in enumerate(table.rows):
        rows.append(
            [
                row.cell + (" (anchor)" if row.anchor else " (failed)" if row.failed else ""),
                *("failed" if row.failed else with_interval(e, table.n) for e in row.entries),
            ]
        )
        strong |= {
            (i, j) for j, entry in enumerate(row.entries, 1) if entry is not None and entry.leads
        }
    header = ["Cell", *(m.heading for m in table.measures)]
    notes = [
        *(caution.text for caution in table.cautions),
        *(f"{row.cell}: {row.failed}" for row in table.rows if row.failed),
    ]
    return PlainTable(
        f"cells-{table.group}", title, header, rows, frozenset(strong), notes, numbers=True
    )


def plain_comparisons(table: ComparisonTable) -> PlainTable:
    """Difference (interval), with the verdict where the interval excludes 0."""

    def text(d: Difference | None) -> str:
        if d is None or d.verdict == "unclear":
            return with_interval(d.entry if d else None, table.n)
        return (
            f"{with_interval(d.entry, table.n)}, "
            f"{d.verdict}{' (not if corrected)' if d.chance else ''}"
        )

    title = (
        f"{table.reference} minus each cell, group {table.group}{_n(table.n, 'pairs')}; "
        "difference (95 % interval)"
    )
    rows = [[cell, *map(text, ds)] for cell, _, ds in table.rows]
    notes = [*(caution.text for caution in table.cautions), *([many(table)] if many(table) else [])]
    header = ["Reference minus", *(m.heading for m in table.measures)]
    return PlainTable(
        f"comparisons-{table.group}", title, header, rows, frozenset(), notes, numbers=True
    )


def many(table: ComparisonTable) -> str:
    """What to think of the table's many intervals, or "" where it holds but one comparison."""
    count = len(table.rows)
    if count < 2:
        return ""
    separated, chance = len(table.separated), sum(d.chance for d in table.separated)
    expected = (
        f"Many comparisons: of {count} intervals in a column, {0.05 * count:.2g} would exclude 0 "
        "by chance alone."
    )
    if not separated:
        few = all(d.entry.few for _, _, ds in table.rows for d in ds if d is not None)
        return f"{expected} {f'{FEW} for any verdict.' if few else 'None here does.'}"
    return (
        f"{expected} Corrected for that (Bonferroni), {separated - chance} of the {separated} that "
        f"exclude 0 still do{f'; the other {chance} are marked.' if chance else '.'}"
    )


def _n(n: int | None, what: str) -> str:
    return f", n = {n} {what}" if n else ""


def with_interval(entry: Entry | None, common_n: int | None = 0) -> str:
    """Value (interval, ...), with n unless the table states one for all (`common_n`), and where n
    is too small.
    """
    if entry is None:
        return "–"
    inside = [
        entry.interval,
        *([f"n = {entry.n}"] if common_n is None else []),
        *filter(None, [entry.detail]),
    ]
    return f"{entry.text} ({', '.join([*inside, *([FEW] if entry.few else [])])})"
