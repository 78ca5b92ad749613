"""Finds the t0 x p sweeps among a run's cells."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from reports.load import RunFolder

_SETTINGS = re.compile(r"(?P<label>[^\[]*)\[(?P<settings>.*)\]")


def sweep_name(cell: str) -> str:
    """The cell's id without its t0 and p: cells of one sweep share it.

    >>> sweep_name("i2v-adapter[t0=0.6,steps=8,p=0.5]")
    'i2v-adapter[steps=8]'
    """
    match = _SETTINGS.fullmatch(cell)
    if match is None:
        return cell
    others = [
        part
        for part in match["settings"].split(",")
        if part.split("=")[0].strip() not in ("t0", "p")
    ]
    return f"{match['label']}[{','.join(others)}]" if others else match["label"]


def sweeps(run: RunFolder) -> dict[str, pd.DataFrame]:
    """Cells (columns cell, t0, p; one row each) of every sweep with two or more points, by name."""
    rows = run.summary.drop_duplicates("cell")
    rows = rows[rows["t0"].notna() & rows["p"].notna()][["cell", "t0", "p"]]
    named = (
        rows.groupby([sweep_name(cell) for cell in rows["cell"]], sort=False) if len(rows) else []
    )
    return {
        str(name): points.reset_index(drop=True)
        for name, points in named
        if len(points) > 1 and not points.duplicated(["t0", "p"]).any()
    }


def grid(run: RunFolder, points: pd.DataFrame, metric: str, group: str) -> pd.DataFrame:
    """Means of one metric in one group: rows t0 (descending), columns p (ascending), nan where
    there is none.
    """
    rows = run.summary[(run.summary["metric"] == metric) & (run.summary["group"] == group)]
    merged = points.merge(rows[["cell", "mean"]], on="cell", how="left")
    return (
        merged.pivot(index="t0", columns="p", values="mean")
        .sort_index(ascending=False)
        .sort_index(axis=1)
    )
