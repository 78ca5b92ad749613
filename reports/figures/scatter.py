"""Plots of one measure against another, with intervals and the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reports.figures.style import PAGE, Axis, Drawing, Look, draw
from reports.run.measures import Measure
from reports.run.sweeps import sweeps, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from reports.run.folder import RunFolder
    from reports.tables.cells import CellTable

_MARKERS = "osD^vP*X"
_MOST_NAMED = 14
"""Names in a plot; with more cells on the front the others are named by pointing at them."""
_MOST_KEYS = 9
"""Values of a setting that a legend names."""
_RISES = tuple(sign * rise for rise in (11, 20, 31, 42, 53, 64, 75, 86, 97) for sign in (1, -1))
"""How far above or below its point a name may stand, in points, the nearest first."""


@dataclass(frozen=True)
class Point:
    """One cell in the identity-against-motion plot; x is motion, y identity, each with its interval
    (may be nan).
    """

    cell: str
    x: tuple[float, float, float]
    y: tuple[float, float, float]
    anchor: bool


def pareto_front(points: Sequence[Point], *, less_is_better: bool = False) -> list[Point]:
    """The points that no other beats in both x and y (equal counts as not beaten), by rising x.

    Anchors neither join the front nor push anything off it.

    Args:
        points: more of y is better.
        less_is_better: whether less of x is.
    """
    sign = -1 if less_is_better else 1
    rivals = [(sign * p.x[0], p.y[0], p) for p in points if not p.anchor]
    front = [
        p
        for x, y, p in rivals
        if not any(x2 >= x and y2 >= y and (x2 > x or y2 > y) for x2, y2, _ in rivals)
    ]
    return sorted(front, key=lambda p: p.x[0])


def points_of(table: CellTable, motion: Measure, identity: Measure) -> list[Point]:
    """The table's cells that have both measures."""
    across, up = table.measures.index(motion), table.measures.index(identity)
    points = []
    for row in table.rows:
        x, y = row.entries[across], row.entries[up]
        if x is not None and y is not None and math.isfinite(x.value) and math.isfinite(y.value):
            points.append(
                Point(row.cell, (x.value, x.low, x.high), (y.value, y.low, y.high), row.anchor)
            )
    return points


def pareto(
    name: str,
    run: RunFolder,
    points: Sequence[Point],
    across: Axis,
    up: Axis,
    look: Look = PAGE,
) -> Drawing:
    """One measure against another with intervals; the front is joined and its cells are named.

    Sweep cells are coloured by the first setting and shaped by the second; all others are named at
    their marker. `name` as in `reports.figures.heat.heatmap`. In the SVG the group around the
    marker of the run's cell number i has an id that ends in ``-point-i``.
    """
    from matplotlib import colormaps, rc_context

    settings = _settings(run)
    firsts, seconds = (list(dict.fromkeys(found[k] for found in settings.values())) for k in (0, 1))
    shades = colormaps["viridis"]
    colour_of = {v: shades(0.3 + 0.48 * i / max(1, len(firsts) - 1)) for i, v in enumerate(firsts)}
    shaped = [second for second in seconds if second]
    marker_of = {second: _MARKERS[i % len(_MARKERS)] for i, second in enumerate(shaped)}
    front = pareto_front(points, less_is_better=across.less_is_better)
    number_of = {cell: i for i, cell in enumerate(run.cells)}
    with rc_context({**look.style, "svg.hashsalt": name}):
        keys = _keys(colour_of, marker_of, look, joined=len(front) > 1)
        figure, axes = _placed(keys, look)
        axes.set_facecolor("none")
        corners = [p.x[0] for p in front], [p.y[0] for p in front]
        steps = "steps-post" if across.less_is_better else "steps-pre"
        axes.plot(*corners, drawstyle=steps, color=look.ink, linewidth=1.2, alpha=0.45, zorder=1)
        tones = [
            colour_of.get(settings.get(p.cell, ("", ""))[0], "#808080" if p.anchor else "#c2570c")
            for p in points
        ]
        for direction in (axes.hlines, axes.vlines):  # one drawing for all intervals
            pairs = [(p.x, p.y) if direction == axes.hlines else (p.y, p.x) for p in points]
            ends = [(at[0], *along[1:], c) for (along, at), c in zip(pairs, tones, strict=True)]
            known = [end for end in ends if math.isfinite(end[1]) and math.isfinite(end[2])]
            if known:
                at, low, high, colours = zip(*known, strict=True)
                direction(at, low, high, colors=colours, linewidth=0.8, zorder=1.5)
        for point, colour in zip(points, tones, strict=True):
            second = settings.get(point.cell, ("", ""))[1]
            leads = point in front
            (mark,) = axes.plot(
                point.x[0],
                point.y[0],
                color=colour,
                marker=marker_of.get(second, "X" if point.anchor else "h"),
                zorder=2,
                markersize=(9 if leads else 6) * look.font / 9,
                markeredgewidth=1.4 if leads else 0.6,
                markeredgecolor=look.ink,
            )
            if point.cell in number_of:
                mark.set_gid(f"point-{number_of[point.cell]}")
        axes.set_xlabel(across.label)
        axes.set_ylabel(up.label)
        axes.grid(color="#808080", alpha=0.2, linewidth=0.5)
        axes.margins(x=0.1, y=0.1)
        named = [p for p in points if p.cell not in settings]
        named = [*front, *(p for p in named if p not in front)][:_MOST_NAMED]
        names = {p.cell: _short(p.cell, settings) for p in named}
        _name(figure, axes, points, names, look)
        return draw(name, figure, look)


def _settings(run: RunFolder) -> dict[str, tuple[str, str]]:
    """Of each cell of a sweep: its place on the axes, as "t0 0.6" and "p 0.5" ("" without a
    second), in the order of the axes' values."""
    found: dict[str, tuple[str, str]] = {}
    for sweep in sweeps(run):
        values = [sweep.values(i) for i in range(len(sweep.axes))]
        for place in sorted(
            sweep.cells, key=lambda at: [v.index(x) for v, x in zip(values, at, strict=True)]
        ):
            texts = [f"{n} {written(v)}" for n, v in zip(sweep.axes, place, strict=True)]
            found[sweep.cells[place]] = (texts[0], texts[1] if len(texts) > 1 else "")
    return found


def _short(cell: str, settings: dict[str, tuple[str, str]]) -> str:
    return ", ".join(filter(None, settings[cell])) if cell in settings else cell


def _name(
    figure: Figure, axes: Axes, points: Sequence[Point], names: dict[str, str], look: Look
) -> None:
    """Writes names beside their points, each on the side where it covers the fewest points and
    other names.
    """
    from matplotlib.transforms import Bbox

    axes.autoscale_view()
    scale = figure.dpi / 72
    letter = 0.64 * look.font
    data = {p.cell: (p.x[0], p.y[0]) for p in points}
    places = {cell: axes.transData.transform(xy) for cell, xy in data.items()}
    taken = [
        Bbox.from_bounds(x - 5 * scale, y - 5 * scale, 10 * scale, 10 * scale)
        for x, y in places.values()
    ]
    frame = axes.get_window_extent()
    for cell, text in sorted(names.items(), key=lambda item: -places[item[0]][1]):
        x, y = places[cell]
        width, height = letter * len(text) * scale, 1.22 * look.font * scale
        choices: list[tuple[float, int, int, tuple[int, int], str, Bbox]] = []
        for dx, ha in ((9, "left"), (-9, "right"), (0, "center")):
            for dy in (0, *_RISES) if dx else (14, -14, 24, -24):
                left = x + dx * scale - {"left": 0, "right": width, "center": width / 2}[ha]
                box = Bbox.from_bounds(left, y + dy * scale - height / 2, width, height)
                outside = (
                    box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1
                )
                choices.append(
                    (
                        box.count_overlaps(taken) + 5 * outside,
                        abs(dy),
                        len(choices),
                        (dx, dy),
                        ha,
                        box,
                    )
                )
        *_, offset, ha, box = min(choices, key=lambda choice: choice[:3])
        taken.append(box)
        far = {
            "arrowstyle": "-",
            "color": look.ink,
            "linewidth": 0.5,
            "alpha": 0.6,
            "shrinkA": 0,
            "shrinkB": 3,
        }
        axes.annotate(
            text,
            data[cell],
            xytext=offset,
            textcoords="offset points",
            ha=ha,
            va="center",
            arrowprops=far if abs(offset[1]) >= 20 else None,
        )


def _keys(
    colour_of: dict[str, Any], marker_of: dict[str, str], look: Look, *, joined: bool
) -> list[Line2D]:
    """Colours, shapes, the intervals and, where there are points to join, the front's line."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], linestyle="", marker="s", color=c, label=first)
        for first, c in _some(colour_of)
    ]
    handles += [
        Line2D([], [], linestyle="", marker=m, color="#808080", label=second)
        for second, m in _some(marker_of)
    ]
    handles.append(Line2D([], [], color="#808080", linewidth=0.8, label="95 % interval"))
    line = Line2D([], [], color=look.ink, alpha=0.55, label="Pareto front")
    return [*handles, line] if joined else handles


def _placed(keys: Sequence[Line2D], look: Look) -> tuple[Figure, Axes]:
    """Figure and axes at fixed margins, which cost no second drawing: the legend on the page at the
    right, in a column above.
    """
    from matplotlib.figure import Figure

    longest = max(len(str(key.get_label())) for key in keys)
    letter = 0.6 * look.font / 72
    left, bottom = 6.5 * letter + 0.3, 3.6 * look.font / 72
    if look.width is None:
        width, height, top = 7.2, 4.4, 0.1
        right = min(2.6, 0.5 + letter * longest)
        legend: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1, 1)}
    else:
        width, right = look.width, 0.08
        columns = max(1, min(len(keys), int((width - left) / (0.35 + letter * longest))))
        top = 0.1 + 1.5 * look.font / 72 * -(-len(keys) // columns)
        height = 2.3 + top
        legend = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": columns}
        legend |= {"borderpad": 0.2, "columnspacing": 1, "handlelength": 1.2, "markerscale": 0.7}
    figure = Figure(figsize=(width, height))
    box = (left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height)
    axes = figure.add_axes(box)
    axes.legend(handles=keys, **legend)
    return figure, axes


def _some(keys: dict[str, Any]) -> list[tuple[str, Any]]:
    """All of a few, else some spread over them."""
    found = list(keys.items())
    return found[:: -(-len(found) // _MOST_KEYS)] if found else []
