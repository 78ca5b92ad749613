"""Curves of a run's measures over a swept setting, with 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from reports.figures.style import PAGE, Drawing, Look, draw
from reports.run.sweeps import Sweep, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from reports.run.folder import RunFolder
    from reports.run.measures import Measure

_LINES = ("#0b6fb8", "#c2570c", "#2f8f5b", "#8458b3", "#a8326e", "#6b7280")  # Okabe-Ito-like
_MARKERS = "osD^vP"
_WIDTH, _HEIGHT = 2.9, 2.3  # inches, one panel


def curve_axis(sweep: Sweep) -> int | None:
    """The axis that curves run along: the first of numbers; None for a sweep over names."""
    return next((i for i in range(len(sweep.axes)) if sweep.numeric(i)), None)


def sweep_curves(
    name: str,
    run: RunFolder,
    sweep: Sweep,
    measures: Sequence[Measure],
    group: str,
    look: Look = PAGE,
) -> Drawing:
    """One panel a measure, on the page side by side; one line for each value of the other setting.

    Args:
        name: as in `reports.figures.heat.heatmap`.
        run: the run folder.
        sweep: one with a `curve_axis`.
        measures: one panel each.
        group: of samples.
        look: with a width, two panels a row.
    """
    from matplotlib import rc_context

    along = curve_axis(sweep)
    assert along is not None
    others: list[Hashable] = sweep.values(1 - along) if len(sweep.axes) > 1 else [None]
    with rc_context({**look.style, "svg.hashsalt": name}):
        figure, panels = _panels(len(measures), look)
        for axes, measure in zip(panels, measures, strict=True):
            axes.set_facecolor("none")
            for i, other in enumerate(others):
                label = "" if len(sweep.axes) < 2 else f"{sweep.axes[1 - along]} {written(other)}"
                _line(axes, run, sweep, measure, group, (along, other, i, label), look)
            axes.set_title(measure.heading, fontsize=look.font, loc="left")
            axes.set_xlabel(sweep.axes[along])
            axes.set_ylabel(measure.unit)
            axes.set_xticks(sweep.values(along)[:12])
            axes.grid(color="#808080", alpha=0.2, linewidth=0.5)
        if len(sweep.axes) > 1:
            panels[0].legend(loc="best", fontsize=0.9 * look.font)
        return draw(name, figure, look)


def _panels(count: int, look: Look) -> tuple[Figure, list[Axes]]:
    """Figure and panels at fixed margins, which cost no second drawing."""
    from matplotlib.figure import Figure

    columns = count if look.width is None else min(2, count)
    rows = -(-count // columns)
    wide = _WIDTH if look.width is None else look.width / columns
    high = _HEIGHT if look.width is None else 1.7
    left, right, top, bottom = (x * look.font / 9 for x in (0.72, 0.12, 0.28, 0.46))
    figure = Figure(figsize=(wide * columns, high * rows))
    found = []
    for at in range(count):
        row, column = divmod(at, columns)
        x, y = column * wide + left, (rows - 1 - row) * high + bottom
        across, up = wide * columns, high * rows
        size = ((wide - left - right) / across, (high - top - bottom) / up)
        found.append(figure.add_axes((x / across, y / up, *size)))
    return figure, found


def _line(
    axes: Axes,
    run: RunFolder,
    sweep: Sweep,
    measure: Measure,
    group: str,
    line: tuple[int, Hashable, int, str],
    look: Look,
) -> None:
    along, other, number, label = line
    points = []
    for value in sweep.values(along):
        place = (
            (value,) if len(sweep.axes) < 2 else (value, other) if along == 0 else (other, value)
        )
        numbers = run.means.get((sweep.cells.get(place, ""), group, measure.id))
        if numbers and math.isfinite(numbers[0]):
            points.append((value, *numbers))
    if not points:
        return
    x, y, low, high = zip(*points, strict=True)
    colour = _LINES[number % len(_LINES)]
    axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(
        x,
        y,
        color=colour,
        marker=_MARKERS[number % len(_MARKERS)],
        markersize=4,
        linewidth=1.4,
        markeredgecolor=look.ink,
        markeredgewidth=0.4,
        label=label,
    )
