"""How every figure of a report is drawn: SVG for the page, PDF at a column's width for a paper.

The page's drawings have no background and write in `currentColor`, so they follow the page from
light to dark. Colours are those of Okabe and Ito and of viridis and cividis, which colour-blind
readers tell apart; lines and points differ in shape as well.
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
class Look:
    """Where a figure will stand.

    Attributes:
        width: in inches; None for what the figure's content asks for.
        font: size of its texts in points.
        suffix: of its file, "svg" or "pdf".
    """

    width: float | None
    font: float
    suffix: str

    @property
    def style(self) -> dict[str, Any]:
        """Matplotlib's settings."""
        ink = {} if self.suffix == "svg" else {key: "black" for key, v in STYLE.items() if v == INK}
        return {**STYLE, **ink, "font.size": self.font, "pdf.fonttype": 42}

    @property
    def ink(self) -> str:
        """Colour of texts and lines."""
        return INK if self.suffix == "svg" else "black"


PAGE = Look(None, 9, "svg")
COLUMN = Look(3.35, 7, "pdf")
"""One column of a paper in two columns."""


@dataclass(frozen=True)
class Drawing:
    """A figure as the bytes of its file.

    Attributes:
        data: one `<svg>` element, or a PDF document of one page.
        suffix: "svg" or "pdf".
    """

    data: bytes
    suffix: str = "svg"

    @property
    def svg(self) -> str:
        """The `<svg>` element of a drawing for the page."""
        return self.data.decode()

    @property
    def points(self) -> float:
        """Width of a drawing for the page, in points."""
        found = re.search(r'viewBox="0 0 ([\d.]+) ', self.svg)
        assert found is not None
        return float(found[1])


@dataclass(frozen=True)
class Axis:
    """What a plot's axis is called, with its unit, and whether less of it is better."""

    label: str
    less_is_better: bool = False


def axis_of(measure: Measure) -> Axis:
    """A measure's axis; more counts as better where neither direction is."""
    label = f"{measure.label} ({measure.unit})" if measure.unit else measure.label
    return Axis(label, measure.lower_is_better)


def draw(name: str, figure: Figure, look: Look = PAGE) -> Drawing:
    """A figure as a file's bytes; call it where the style that the figure was made with still
    holds.
    """
    if look.suffix == "svg":
        return Drawing(write_svg(name, figure).encode())
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    buffer = io.BytesIO()
    dates = {"CreationDate": None, "Producer": None, "Creator": None}
    FigureCanvasPdf(figure).print_pdf(buffer, metadata=dates)
    return Drawing(buffer.getvalue(), "pdf")


def write_svg(name: str, figure: Figure) -> str:
    """The figure as one `<svg>` element: no metadata, ids of its own, the page's text colour.

    The canvas is asked directly: `Figure.savefig` draws everything twice.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    figure.patch.set_visible(False)
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = svg.replace(INK, "currentColor")
    prefix = "s" + hashlib.sha256(name.encode()).hexdigest()[:8]
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(url\(|xlink:href=")#', rf"\g<1>#{prefix}-", svg)
    return svg.strip()
