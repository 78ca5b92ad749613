"""How every figure of a report is drawn: its style, and SVG for the page and SVG and PNG for files.

The drawings have no background and write in `currentColor`, so they follow the page from light to
dark.
"""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reports.run.measures import Measure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#010203"  # stands for the page's text colour until the SVG is written
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.parse_math": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Drawing:
    """A figure as one `<svg>` element, and as PNG on white."""

    svg: str
    png: bytes


@dataclass(frozen=True)
class Axis:
    """What a plot's axis is called, with its unit, and whether less of it is better."""

    label: str
    less_is_better: bool = False


def axis_of(measure: Measure) -> Axis:
    """A measure's axis; more counts as better where neither direction is."""
    label = f"{measure.label} ({measure.unit})" if measure.unit else measure.label
    return Axis(label, measure.lower_is_better)


def draw(name: str, figure: Figure) -> Drawing:
    """A figure in both forms; call it where the style that the figure was made with still holds."""
    if figure.get_layout_engine() is not None:  # once, not at each of the savings
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, facecolor="white", metadata={"Software": None})
    return Drawing(write_svg(name, figure), buffer.getvalue())


def write_svg(name: str, figure: Figure) -> str:
    """The figure as one `<svg>` element: no metadata, ids of its own, the page's text colour."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = svg.replace(INK, "currentColor")
    prefix = "s" + hashlib.sha256(name.encode()).hexdigest()[:8]
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(url\(|xlink:href=")#', rf"\g<1>#{prefix}-", svg)
    return svg.strip()
