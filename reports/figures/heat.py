"""Heatmaps of one measure over the settings of a sweep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from reports.figures.style import PAGE, Drawing, Look, draw
from reports.run.measures import Measure
from reports.run.sweeps import written

if TYPE_CHECKING:
    import pandas as pd


def shade(values: pd.DataFrame, measure: Measure) -> list[list[tuple[str, str] | None]]:
    """Background and ink of each value, as hex colours: brighter is better, or larger where there
    is no better.
    """
    import numpy as np
    from matplotlib import colormaps
    from matplotlib.colors import Normalize, to_hex

    array = values.to_numpy(dtype=float)
    finite = array[np.isfinite(array)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    scale = (
        Normalize(low, high) if high > low else Normalize(low - 1, low + 1)
    )  # all alike: neither bright nor dark
    colours = colormaps["cividis_r" if measure.lower_is_better else "cividis"]
    return [
        [
            _with_ink(to_hex(colour)) if math.isfinite(value) else None
            for value, colour in zip(row, row_colours, strict=True)
        ]
        for row, row_colours in zip(array, colours(scale(array)), strict=True)
    ]


def _with_ink(background: str) -> tuple[str, str]:
    """The colour, and black or white, whichever stands out more on it (WCAG 2.2, relative
    luminance).
    """
    channels = (int(background[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return background, "#000000" if (luminance + 0.05) / 0.05 > 1.05 / (
        luminance + 0.05
    ) else "#ffffff"


def best_place(values: pd.DataFrame, measure: Measure) -> tuple[int, int] | None:
    """Row and column of the best value, or None where none is better than another."""
    import numpy as np

    array = values.to_numpy(dtype=float)
    finite = array[np.isfinite(array)]
    if measure.higher_is_better is None or not finite.size or finite.min() == finite.max():
        return None
    row, column = divmod(
        int(np.nanargmax(array) if measure.higher_is_better else np.nanargmin(array)),
        array.shape[1],
    )
    return row, column


def heatmap(
    name: str,
    values: pd.DataFrame,
    measure: Measure,
    axes_names: Sequence[str] = ("t0", "p"),
    look: Look = PAGE,
) -> Drawing:
    """One measure's means over two settings: brighter is better, or larger where there is no
    better.

    The best cell is framed. `name` must differ between the figures of one page: ids inside the SVG
    are made from it. `axes_names` are those of rows and columns, or of columns alone. Places that
    are narrower than their numbers go without them.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    rows, columns = values.shape
    with rc_context({**look.style, "svg.hashsalt": name}):
        title = f"{measure.heading}\n{measure.unit}".rstrip()
        longest = max(map(len, title.splitlines()))
        scale, letter = look.font / 9, 0.0095 * look.font
        wide, high = 0.72 * scale, 0.46 * scale
        width, height = (0.55 + 0.08) * scale + wide * columns, 0.85 * scale + high * rows
        if look.width is not None and width > look.width:
            wide = (look.width - 0.63 * scale) / columns
            width = look.width
        width = max(width, letter * longest + 0.55 * scale)
        figure = Figure(figsize=(width, height))
        corner = (0.5 * scale / width, 0.45 * scale / height)
        axes = figure.add_axes((*corner, wide * columns / width, high * rows / height))
        axes.set_facecolor("none")
        axes.set_title(title, fontsize=look.font, loc="left")
        for i, row in enumerate(shade(values, measure)):
            for j, shaded in enumerate(row):
                if shaded is None:
                    axes.text(j, i, "–", ha="center", va="center")
                    continue
                axes.add_patch(
                    Rectangle(
                        (j - 0.48, i - 0.48), 0.96, 0.96, facecolor=shaded[0], edgecolor="none"
                    )
                )
                text = measure.number(values.iat[i, j])
                if letter * len(text) * 0.8 < wide:
                    axes.text(j, i, text, ha="center", va="center", color=shaded[1])
        if (place := best_place(values, measure)) is not None:
            start = (place[1] - 0.43, place[0] - 0.41)
            axes.add_patch(
                Rectangle(start, 0.86, 0.82, fill=False, edgecolor="#000000", linewidth=1.5)
            )
        axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), xlabel=axes_names[-1])
        axes.set_ylabel(axes_names[0] if len(axes_names) > 1 else "")
        axes.set_xticks(range(columns), [written(value) for value in values.columns])
        axes.set_yticks(range(rows), [written(value) for value in values.index])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        return draw(name, figure, look)
