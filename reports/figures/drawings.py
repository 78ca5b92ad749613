"""The figures of a report: for the page, and for the run folder's ``figures``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.figures import heat, scatter
from reports.figures.curves import curve_axis, sweep_curves
from reports.figures.style import PAGE, Axis, Drawing, Look, axis_of
from reports.run.sweeps import sweeps

if TYPE_CHECKING:
    from reports.run.folder import RunFolder
    from reports.run.measures import Measure
    from reports.tables.cells import CellTable

_SECONDS = Axis("Seconds to make a clip", less_is_better=True)


@dataclass(frozen=True)
class Plot:
    """One measure against another: the drawing, the words that stand for it, and the cells on its
    Pareto front.
    """

    name: str
    title: str
    text: str
    drawing: Drawing
    front: Sequence[str]


def paretos(run: RunFolder, table: CellTable, look: Look = PAGE) -> list[Plot]:
    """Identity against motion, one plot for each measure of identity."""
    motion = _first(table, "motion")
    if motion is None:
        return []
    across = axis_of(motion)
    return [
        _plot(
            run,
            f"pareto-{m.family}-{table.group}",
            table.group,
            points,
            (motion.label.lower(), across),
            m,
            look,
        )
        for m in table.measures
        if m.family == "identity" and (points := scatter.points_of(table, motion, m))
    ]


def speeds(run: RunFolder, table: CellTable, look: Look = PAGE) -> list[Plot]:
    """Identity, and motion, against the seconds a clip takes; none for a run that was not timed."""
    plots = []
    for measure in filter(None, (_first(table, family) for family in ("identity", "motion"))):
        at = table.measures.index(measure)
        points = [
            scatter.Point(
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
                _plot(
                    run,
                    name,
                    table.group,
                    points,
                    ("seconds to make a clip", _SECONDS),
                    measure,
                    look,
                )
            )
    return plots


def _plot(
    run: RunFolder,
    name: str,
    group: str,
    points: list[scatter.Point],
    across: tuple[str, Axis],
    up: Measure,
    look: Look,
) -> Plot:
    words, axis = across
    front = [p.cell for p in scatter.pareto_front(points, less_is_better=axis.less_is_better)]
    title = f"{up.label} against {words}"
    text = f"{title}, group {group}. On the Pareto front: {', '.join(front)}."
    drawing = scatter.pareto(name, run, points, axis, axis_of(up), look)
    return Plot(name, title, text, drawing, front)


def curves(
    run: RunFolder, measures: Sequence[Measure], group: str, look: Look = PAGE
) -> Iterator[tuple[str, str, Drawing]]:
    """Name, words and drawing of the measures over each sweep that has numbers to run along."""
    for sweep in sweeps(run):
        along = curve_axis(sweep)
        shown = [m for m in measures if sweep.grid(run, m.id, group).notna().to_numpy().any()]
        if along is None or not shown:
            continue
        stem = f"curves-{sweep.name}-{group}"
        text = f"{', '.join(m.label for m in shown)} over {sweep.axes[along]} of {sweep.name}"
        yield stem, text, sweep_curves(stem, run, sweep, shown, group, look)


def heatmaps(
    run: RunFolder, measures: Sequence[Measure], group: str, look: Look = PAGE
) -> Iterator[tuple[str, Drawing]]:
    """Name and drawing of each measure's means over each sweep's settings."""
    for sweep in sweeps(run):
        for measure in measures:
            values = sweep.grid(run, measure.id, group)
            if values.notna().to_numpy().any():
                stem = f"heatmap-{sweep.name}-{measure.id}-{group}"
                yield stem, heat.heatmap(stem, values, measure, sweep.axes, look)


def _first(table: CellTable, family: str) -> Measure | None:
    return next((m for m in table.measures if m.family == family), None)
