"""Tables as texts, and the three forms they are written in: Markdown, LaTeX (booktabs), CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from reports.tables import CellTable, ComparisonTable, Difference, Entry, markdown_text, to_markdown

FEW = "n too small"
"""What stands in the table itself where an interval rests on too few clips or images."""

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}",
    "−": "$-$", "–": "--", "×": r"$\times$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "ρ": r"$\rho$", "²": "$^2$",
    "“": "``", "”": "''", "…": r"\ldots{}", "·": r"$\cdot$", "±": r"$\pm$", "\N{NO-BREAK SPACE}": "~",
}  # fmt: skip


@dataclass(frozen=True)
class PlainTable:
    """A table of texts; `strong` names the (row, column) that stand in bold, `notes` what is written below it.

    `numbers` says that all columns but the first hold numbers.
    """

    name: str
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    strong: frozenset[tuple[int, int]] = frozenset()
    notes: Sequence[str] = field(default=())
    numbers: bool = False

    def markdown(self) -> str:
        """The table in Markdown, its notes below; whatever a text holds stays text."""
        if not (self.numbers or self.strong):
            text = to_markdown(self.header, self.rows)
        else:
            lines = [[markdown_text(head) for head in self.header], ["---", *["---:"] * (len(self.header) - 1)]]
            for i, row in enumerate(self.rows):
                escaped = map(markdown_text, row)
                lines.append([f"**{text}**" if (i, j) in self.strong else text for j, text in enumerate(escaped)])
            text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return "\n\n".join([text, *(f"Note: {markdown_text(note)}" for note in self.notes)])

    def latex(self) -> str:
        r"""A ``table`` environment for ``\usepackage{booktabs}``."""
        columns = "l" + ("r" if self.numbers else "l") * (len(self.header) - 1)
        head = " & ".join(map(latex_text, self.header))
        lines = [r"\begin{table}", r"\centering", rf"\caption{{{latex_text(self.title)}}}"]
        lines += [rf"\label{{tab:{re.sub(r'[^A-Za-z0-9-]+', '-', self.name)}}}"]
        lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", rf"{head} \\", r"\midrule"]
        for i, row in enumerate(self.rows):
            texts = (
                rf"\textbf{{{latex_text(t)}}}" if (i, j) in self.strong else latex_text(t) for j, t in enumerate(row)
            )
            lines.append(rf"{' & '.join(texts)} \\")
        lines += [r"\bottomrule", r"\end{tabular}"]
        lines += [rf"\par\footnotesize {latex_text(note)}" for note in self.notes]
        return "\n".join([*lines, r"\end{table}"]) + "\n"

    def csv(self) -> str:
        """The texts as they are, a header line first."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.header, *self.rows])
        return text.getvalue()


def latex_text(text: str) -> str:
    """Escapes what LaTeX would interpret; line breaks and control characters become spaces."""
    spaced = re.sub(r"(?:[^\S\xa0]|[\x00-\x1f\x7f])+", " ", text)
    return "".join(_LATEX.get(char, char) for char in spaced)


def plain_cells(table: CellTable) -> PlainTable:
    """Mean (interval), the best strong."""
    title = f"Cells and measures, group {table.group}{_n(table.n, 'clips a cell')}; mean (95 % interval)"
    rows, strong = [], set()
    for i, row in enumerate(table.rows):
        rows.append([row.cell + (" (anchor)" if row.anchor else ""), *(with_interval(e, table.n) for e in row.entries)])
        strong |= {(i, j) for j, entry in enumerate(row.entries, 1) if entry is not None and entry.best}
    header = ["Cell", *(m.heading for m in table.measures)]
    return PlainTable(f"cells-{table.group}", title, header, rows, frozenset(strong), table.cautions, numbers=True)


def plain_comparisons(table: ComparisonTable) -> PlainTable:
    """Difference (interval), with the verdict where the interval excludes 0."""

    def text(d: Difference | None) -> str:
        if d is None or d.verdict == "unclear":
            return with_interval(d.entry if d else None, table.n)
        return f"{with_interval(d.entry, table.n)}, {d.verdict}{' (not if corrected)' if d.chance else ''}"

    title = f"{table.reference} minus each cell, group {table.group}{_n(table.n, 'pairs')}; difference (95 % interval)"
    rows = [[cell, *map(text, ds)] for cell, _, ds in table.rows]
    notes = [*table.cautions, *([many(table)] if many(table) else [])]
    header = ["Reference minus", *(m.heading for m in table.measures)]
    return PlainTable(f"comparisons-{table.group}", title, header, rows, frozenset(), notes, numbers=True)


def many(table: ComparisonTable) -> str:
    """What to think of the table's many intervals, or "" where it holds but one comparison."""
    count = len(table.rows)
    if count < 2:
        return ""
    separated, chance = len(table.separated), sum(d.chance for d in table.separated)
    return (
        f"Many comparisons: of {count} intervals in a column, {0.05 * count:.2g} would exclude 0 by chance alone. "
        f"Corrected for that (Bonferroni), {separated - chance} of the {separated} that exclude 0 still do"
        + (f"; the other {chance} are marked." if chance else ".")
    )


def _n(n: int | None, what: str) -> str:
    return f", n = {n} {what}" if n else ""


def with_interval(entry: Entry | None, common_n: int | None = 0) -> str:
    """Value (interval, ...), with n unless the table states one for all (`common_n`), and where n is too small."""
    if entry is None:
        return "–"
    inside = [entry.interval, *([f"n = {entry.n}"] if common_n is None else []), *filter(None, [entry.detail])]
    return f"{entry.text} ({', '.join([*inside, *([FEW] if entry.few else [])])})"
