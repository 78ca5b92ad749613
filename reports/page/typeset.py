"""Templates, their filters, and the unit that the page is put together from: a section."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from reports.answer.sentences import Name, Strong

if TYPE_CHECKING:
    import jinja2

    from reports.page.media import Film
    from reports.run.measures import Measure
    from reports.tables.cells import Entry

TEMPLATES = Path(__file__).parents[1] / "templates"
_PROMPT_LENGTH = 300
_WHOLE = 24
"""Letters of a cell id that stays on one line."""


@dataclass(frozen=True)
class Section:
    """A part of the page: `id` for links, `title` for its heading and the menu, `html` for what
    stands below.

    `html` is trusted: whatever comes from a run must have been escaped, as `section` does. A
    `folded` section shows its heading alone until it is opened; `count` stands beside the heading.
    """

    id: str
    title: str
    html: str
    folded: bool = False
    count: int | None = None


def section(
    id: str,
    title: str,
    template: str,
    *,
    folded: bool = False,
    count: int | None = None,
    **values: object,
) -> Section:
    """A section typeset from a template of this folder; all texts in `values` are escaped."""
    html = environment().get_template(template).render(**values)
    return Section(id, title, html, folded, count)


@functools.cache
def environment() -> jinja2.Environment:
    """The templates, with escaping on and a missing name an error."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["trusted"] = Markup
    environment.filters["unbroken"] = _unbroken
    environment.filters["dotted"] = _dotted
    environment.filters["moment"] = moment
    environment.filters["is_strong"] = lambda part: isinstance(part, Strong)
    environment.filters["is_name"] = lambda part: isinstance(part, Name)
    environment.filters["sort_value"] = lambda value: (
        repr(float(value)) if math.isfinite(value) else ""
    )
    environment.filters["clipped"] = lambda text: (
        text if len(text) <= _PROMPT_LENGTH else text[:_PROMPT_LENGTH] + "…"
    )
    environment.filters["group_words"] = group_words
    environment.filters["half"] = half
    return environment


def pictures_css(films: Mapping[str, Film], folder: str = "") -> str:
    """One rule a picture, by its key: inside the page, or in a folder beside it."""
    from markupsafe import Markup

    rule = Markup(".f-{}{{background-image:url({})}}")
    return Markup("\n").join(
        rule.format(key, f"{folder}/{key}.webp" if folder else f.uri) for key, f in films.items()
    )


def group_words(group: str) -> str:
    """A sample group's name in words."""
    return "All samples" if group == "all" else f"Samples of group “{group}”"


def half(entry: Entry, measure: Measure) -> str:
    """Half the width of an interval, as "±0.07"; "" without one."""
    width = (entry.high - entry.low) / 2
    return f"±{measure.number(width)}" if math.isfinite(width) else ""


def moment(text: str) -> str:
    """A run's time stamp for a reader, in UTC; text that is no time stamp stays as it is."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{found.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if found.tzinfo else text


def _dotted(metric: str) -> str:
    """A metric id that breaks lines after its dots."""
    from markupsafe import Markup

    return Markup("<wbr>").join(re.split(r"(?<=\.)", metric))


def _unbroken(cell: str) -> str:
    """A cell id that breaks lines, if it is a long one, after its label and between settings
    only."""
    from markupsafe import Markup

    parts = re.split(r"(?<=[\[,])", cell) if len(cell) > _WHOLE else [cell]
    return Markup("<wbr>").join(
        Markup('<span class="whole">{}</span>').format(part) for part in parts
    )
