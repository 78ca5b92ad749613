"""The figures of a report: for the page, and for the run folder's ``figures``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports import figures
from reports.sweeps import grid, sweeps

if TYPE_CHECKING:
    from reports.load import RunFolder
    from reports.measures import Measure
    from reports.tables import CellTable

_SECONDS = figures.Axis("Seconds to make a clip", less_is_better=True)


@dataclass(frozen=True)
class Plot:
    """One measure against another: the drawing, the words that stand for it, and the cells on its
    Pareto front.
    """

    name: str
    title: str
    text: str
    drawing: figures.Drawing
    front: Sequence[str]


def paretos(run: RunFolder, table: CellTable) -> list[Plot]:
    """Identity against motion, one plot for each measure of identity."""
    motion = _first(table, "motion")
    if motion is None:
        return []
    across = figures.axis_of(motion)
    return [
        _plot(
            run,
            f"pareto-{m.family}-{table.group}",
            table.group,
            points,
            (motion.label.lower(), across),
            m,
        )
        for m in table.measures
        if m.family == "identity" and (points := figures.points_of(table, motion, m))
    ]


def speeds(run: RunFolder, table: CellTable) -> list[Plot]:
    """Identity, and motion, against the seconds a clip takes; none for a run that was not timed."""
    plots = []
    for measure in filter(None, (_first(table, family) for family in ("identity", "motion"))):
        at = table.measures.index(measure)
        points = [
            figures.Point(
                row.cell,
                (run.seconds_per_clip[row.cell], math.nan, math.nan),
                (e.value, e.low, e.high),
                False,
            )
            for row in table.rows
            if not row.anchor
            and row.cell in run.seconds_per_clip
            and (e := row.entries[at])
            and math.isfinite(e.value)
        ]
        if points:
            name = f"speed-{measure.family}-{table.group}"
            plots.append(
                _plot(run, name, table.group, points, ("seconds to make a clip", _SECONDS), measure)
            )
    return plots


def _plot(
    run: RunFolder,
    name: str,
    group: str,
    points: list[figures.Point],
    across: tuple[str, figures.Axis],
    up: Measure,
) -> Plot:
    words, axis = across
    front = [p.cell for p in figures.pareto_front(points, less_is_better=axis.less_is_better)]
    title = f"{up.label} against {words}"
    text = f"{title}, group {group}. On the Pareto front: {', '.join(front)}."
    return Plot(
        name, title, text, figures.pareto(name, run, points, axis, figures.axis_of(up)), front
    )


def heatmaps(
    run: RunFolder, measures: Sequence[Measure], group: str
) -> Iterator[tuple[str, figures.Drawing]]:
    """Name and drawing of each measure's means over t0 x p."""
    for name, points in sweeps(run).items():
        for measure in measures:
            values = grid(run, points, measure.id, group)
            if values.notna().to_numpy().any():
                stem = f"heatmap-{name}-{measure.id}-{group}"
                yield stem, figures.heatmap(stem, values, measure)


def _first(table: CellTable, family: str) -> Measure | None:
    return next((m for m in table.measures if m.family == family), None)
