"""Response curves as small multiples: one metric, a row for each group of clips, a column for each
corruption.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reports.figures.style import INK, STYLE, write_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from reports.calibration.content import Calibration

_COLOURS = {"responds": "#15803d", "uneven": "#b7791f", "FAILS": "#d0342c", "also sees": "#5b7fb5"}
_QUIET = "#808080"
_WIDTH, _HEIGHT = 1.2, 1.05  # inches, one panel
_LEFT, _TOP, _BOTTOM = 0.65, 0.4, 0.5  # inches, margins of a figure


def response_curves(metric: str, calibration: Calibration) -> str:
    """SVG of a metric's mean against the strength of every corruption, with 95 % intervals.

    The grey band is the true clips' value plus and minus the noise floor (of a set: from that value
    to the floor); colour and words give the verdict. A row shares its vertical axis, a column its
    horizontal one.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    entries = [entry for entry in calibration.content["metrics"] if entry["metric"] == metric]
    names = list(calibration.content["corruptions"])
    with rc_context({**STYLE, "svg.hashsalt": metric, "font.size": 7.5}):
        width, height = _LEFT + _WIDTH * len(names), _TOP + _HEIGHT * len(entries) + _BOTTOM
        figure = Figure(figsize=(width, height))
        panels = figure.subplots(
            len(entries), len(names), sharey="row", sharex="col", squeeze=False
        )
        figure.subplots_adjust(
            left=_LEFT / width,
            right=1 - 0.05 / width,
            top=1 - _TOP / height,
            bottom=_BOTTOM / height,
            wspace=0.12,
            hspace=0.3,
        )
        for row, entry in enumerate(entries):
            for column, name in enumerate(names):
                axes = panels[row][column]
                axes.set_facecolor("none")
                if row == 0:
                    axes.set_title(name, fontsize=8.5, pad=14)
                if row == len(entries) - 1:
                    axes.set_xlabel(_short_unit(calibration.content["corruptions"][name]["unit"]))
                if name not in entry["responses"]:
                    axes.text(
                        0.5,
                        0.5,
                        "not asked",
                        ha="center",
                        va="center",
                        transform=axes.transAxes,
                        color=_QUIET,
                    )
                else:
                    _panel(axes, entry, entry["responses"][name])
                axes.tick_params(length=2, pad=2)
            panels[row][0].set_ylabel(f"{entry['group']} clips")
        return write_svg(f"curves {metric}", figure)


def _panel(axes: Axes, entry: Mapping[str, Any], response: Mapping[str, Any]) -> None:
    colour = _COLOURS.get(response["verdict"], _QUIET)
    x, y = response["strengths"], [_value(mean) for mean in response["means"]]
    lows, highs = ([_value(end) for end in response[key]] for key in ("lows", "highs"))
    base, floor = _value(entry["undisturbed"]), _value(entry["noise_floor"])
    if math.isfinite(base) and math.isfinite(floor):
        low, high = (base, floor) if entry["scope"] == "set" else (base - floor, base + floor)
        axes.axhspan(low, high, color="#808080", alpha=0.25, linewidth=0)
    axes.fill_between(x, lows, highs, color=colour, alpha=0.2, linewidth=0)
    axes.plot(x, y, color=colour, marker="o", markersize=2.5, linewidth=1.3)
    axes.text(
        0.5,
        1.03,
        response["verdict"],
        transform=axes.transAxes,
        ha="center",
        color=colour,
        fontweight="bold" if response["verdict"] == "FAILS" else "normal",
    )
    axes.set_xticks([x[0], x[-1]])
    axes.set_xticklabels([f"{x[0]:g}", f"{x[-1]:g}"])
    axes.spines[:].set_color(INK)
    axes.margins(x=0.08)


def _short_unit(unit: str) -> str:
    return unit.replace(", standard deviation", " (s.d.)").replace("share of ", "share of\n")


def _value(number: float | None) -> float:
    return math.nan if number is None else number
