"""One table for a paper: a booktabs ``tabular`` of chosen measures, the best bold only where it is
separated from every rival, the next underlined where it is separated from the rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

from eval.errors import EvalError, nearest
from reports.tables.latex import latex_text

if TYPE_CHECKING:
    from reports.run.measures import Measure
    from reports.tables.cells import CellTable, Entry

Style = Literal["ci", "pm"]
"""``ci``: the ends of the interval in brackets; ``pm``: ± half its width."""
STYLES: tuple[str, ...] = get_args(Style)


def chosen_measures(text: str, measures: Sequence[Measure]) -> list[Measure]:
    """The measures of a comma-separated list, each an id or the first part of ids.

    Raises:
        EvalError: a name that no measure of the run has.
    """
    found: list[Measure] = []
    for name in filter(None, map(str.strip, text.split(","))):
        of = [m for m in measures if m.id == name or m.id.startswith(f"{name}.")]
        if not of:
            ids = [m.id for m in measures]
            raise EvalError(
                f"--metrics {name}: the run has no such measure. Allowed: "
                f"{', '.join(ids)}.{nearest(name, ids)}"
            )
        found += [m for m in of if m not in found]
    return found


def paper_table(table: CellTable, measures: Sequence[Measure], style: str) -> str:
    """The table for a document with booktabs.

    Args:
        table: cells x measures of one group, with what leads marked.
        measures: its columns, in this order.
        style: see `Style`.

    Raises:
        EvalError: another style.
    """
    if style not in STYLES:
        raise EvalError(f"--style {style}: unknown. Allowed: {', '.join(STYLES)}.")
    heads = [latex_text(m.heading) for m in measures]
    units = [latex_text(m.unit) for m in measures]
    competing = [row for row in table.rows if not row.anchor and not row.failed]
    anchors = [row for row in table.rows if row.anchor]
    lines = [
        r"% \usepackage{booktabs}",
        f"% mean and 95 % interval, group {_comment(table.group)}"
        + (f", n = {table.n} clips a row" if table.n else ""),
        rf"\begin{{tabular}}{{l{'r' * len(measures)}}}",
        r"\toprule",
        " & ".join(["", *heads]) + r" \\",
        *([" & ".join(["", *units]) + r" \\"] if any(units) else []),
        r"\midrule",
    ]
    for rows in (competing, anchors):
        if rows is anchors and rows and competing:
            lines.append(r"\midrule")
        for row in rows:
            entries = [row.entries[table.measures.index(m)] for m in measures]
            texts = [_number(e, m, style) for e, m in zip(entries, measures, strict=True)]
            lines.append(" & ".join([latex_text(row.cell), *texts]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _number(entry: Entry | None, measure: Measure, style: str) -> str:
    if entry is None or not math.isfinite(entry.value):
        return "--"
    value = latex_text(entry.text)
    if entry.leads:
        value = rf"\textbf{{{value}}}"
    elif entry.second:
        value = rf"\underline{{{value}}}"
    half = (entry.high - entry.low) / 2
    if not math.isfinite(half):
        return value
    if style == "pm":
        return rf"{value} {{\footnotesize$\pm${latex_text(measure.number(half))}}}"
    ends = ", ".join(latex_text(measure.number(end)) for end in (entry.low, entry.high))
    return rf"{value} {{\footnotesize[{ends}]}}"


def _comment(text: str) -> str:
    """A name on one line."""
    return " ".join(text.split())
