"""The table of results at the end of ``run`` and ``clips``: cells x main metrics.

The best of a metric is marked where its interval lies apart from all others', which asks for more
than the report does: it compares cells by differences on the same images and seeds.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from eval.io.console import say, show
from eval.methods.anchors import ANCHORS
from eval.summary.cautions import from_json

MAIN = ("identity", "text", "motion", "exact.glyph", "warping", "flicker", "lpips", "fvd", "kvd")
"""Families that are shown first."""
COLUMNS = 6
"""Most metrics in the table; the others are in summary.csv."""
BEST = "*"

Row = Mapping[str, str]


def show_results(folder: Path, *, as_json: bool) -> None:
    """Prints the summary of group ``all``: as a table, or every metric as JSON."""
    rows = _rows(folder)
    if as_json:
        say(json.dumps([_typed(row) for row in rows], indent=1))
        return
    if not rows:
        return
    from rich.table import Table
    from rich.text import Text

    metrics = main_metrics(rows)
    best = {metric: best_cell(rows, metric, folder) for metric in metrics}
    table = Table("cell", *metrics, box=None, pad_edge=False)
    for cell, method in {row["cell"]: row["method"] for row in rows}.items():
        values = []
        for metric in metrics:
            found = next((r for r in rows if (r["cell"], r["metric"]) == (cell, metric)), None)
            values.append(_value(found) + (BEST if best[metric] == cell else ""))
        name = f"{cell} (anchor)" if method in ANCHORS else cell
        table.add_row(Text(name), *map(Text, values))
    show(table)
    others = len({row["metric"] for row in rows}) - len(metrics)
    more = f"; {others} more metrics in summary.csv" if others else ""
    starred = f"{BEST} best, its interval apart from all others; " if any(best.values()) else ""
    say(f"{starred}mean [95 % interval] over all samples{more}")
    shown = [row for row in rows if row["metric"] in metrics]
    if small := _too_small(shown, folder):
        say(f"n too small to call a cell better than another: {small}")
    elif len({row["cell"] for row in rows if row["method"] not in ANCHORS}) > 1:
        say(f"which cells differ: `i2v-eval report {folder}`")


def _too_small(rows: Sequence[Row], folder: Path) -> str:
    """Why n is too small, where the cautions of every value say that it is; else ""."""
    few = [_few(row, folder) for row in rows]
    return few[0] if few and all(few) else ""


def _few(row: Row, folder: Path) -> str:
    """Why the n of a value is too small; "" if it is not."""
    cautions = from_json(row.get("cautions") or "", f"{folder / 'summary.csv'}")
    return next((caution.text for caution in cautions if caution.few), "")


def best_cell(rows: Sequence[Row], metric: str, folder: Path) -> str | None:
    """The cell that is better than every other by more than their intervals; None if none is, the
    metric has no better direction, or n is too small. Anchors do not count.

    Args:
        rows: of summary.csv, in `folder`.
        metric: its id.
        folder: for messages.
    """
    known = [
        row
        for row in rows
        if row["metric"] == metric
        and row["method"] not in ANCHORS
        and row["low"]
        and row["high"]
        and row["higher_is_better"] in ("true", "false")
    ]
    if len(known) < 2 or any(_few(row, folder) for row in known):
        return None
    higher = known[0]["higher_is_better"] == "true"
    sign = 1.0 if higher else -1.0
    best = max(known, key=lambda row: sign * float(row["mean"]))
    near, far = ("low", "high") if higher else ("high", "low")
    apart = all(
        sign * float(best[near]) > sign * float(row[far]) for row in known if row is not best
    )
    return best["cell"] if apart else None


def main_metrics(rows: Sequence[Row]) -> list[str]:
    """At most `COLUMNS` metric ids: those of the main families first, then in the run's order."""
    ids = list(dict.fromkeys(row["metric"] for row in rows))
    order = {family: index for index, family in enumerate(MAIN)}

    def rank(id: str) -> int:
        families = [family for family in order if id.startswith(f"{family}.")]
        return order[max(families, key=len)] if families else len(order)

    chosen = sorted(ids, key=rank)[:COLUMNS]
    return sorted(chosen, key=ids.index)


def _rows(folder: Path) -> list[Row]:
    path = folder / "summary.csv"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["group"] == "all" and row["mean"]]


def _value(row: Row | None) -> str:
    if row is None:
        return "-"
    mean, low, high = (_number(row[key]) for key in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]" if low and high else mean


def _number(text: str) -> str:
    return f"{float(text):.3g}" if text else ""


def _typed(row: Row) -> dict[str, object]:
    numbers = ("mean", "low", "high", "n")
    return {
        key: (float(value) if value else None) if key in numbers else value
        for key, value in row.items()
        if key in ("cell", "method", "metric", "unit", "higher_is_better", "note", *numbers)
    }
