"""The page about two or more runs: measures side by side, any two cells, clips, differences."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from reports.compare.comparison import Comparison, Line, origin_rows
from reports.compare.joined import joined_run
from reports.page.clips import MEDIA_BUDGET
from reports.page.typeset import Section, section
from reports.run.pairs import page_data, paired_cells, pairs_of
from reports.tables.cells import Difference

if TYPE_CHECKING:
    from reports.page.media import Film

BESIDE = "comparison"
"""Folder beside the page for pictures that it cannot hold."""


def render_html(content: Comparison) -> str:
    """The page.

    Raises:
        EvalError: a clip or an image is missing or unreadable.
    """
    from reports.page.report import render_page

    made = [
        measures_section(content),
        pairs_section(content),
        clips_section(content),
        differences_section(content),
    ]
    return render_page(
        title=f"Runs compared: {' and '.join(dict.fromkeys(run.name for run in content.runs))}",
        heading="compared.html.j2",
        footer="One file, no network. The same numbers: tables/*.csv, .md and .tex.",
        sections=[part for part in made if part is not None],
        groups=content.groups,
        films=films_of(content),
        beside=BESIDE if weight(content) > MEDIA_BUDGET else "",
        content=content,
        shared=[len(shared) for shared in content.shared],
    )


def films_of(content: Comparison) -> dict[str, Film]:
    """Every picture of the page, by its key."""
    every = [f for columns in content.shown for column in columns for f in column.pictures]
    return {f.key: f for f in every if not f.missing}


def weight(content: Comparison) -> int:
    """Bytes of the page's pictures."""
    return sum(len(f.data) for f in films_of(content).values())


def pairs_section(content: Comparison) -> Section | None:
    """Any cell of any run against any other, on the samples that all runs share."""
    runs = dict(zip(content.letters, content.runs, strict=True))
    joined = joined_run(runs, set.intersection(*content.shared), content.other_judges)
    groups = [group for group in content.groups if group in joined.groups]
    found = {
        (group, m.id): pairs
        for group in groups
        for m in content.measures
        if (pairs := pairs_of(joined, m, group))
    }
    cells = paired_cells(joined)
    if len(cells) < 2 or not found:
        return None
    data = json.dumps(
        page_data(joined, content.measures, found), separators=(",", ":"), allow_nan=False
    )
    chosen = [(f"B: {theirs}", f"A: {ours}") for ours, theirs in content.pairs[:1]]
    same = [(f"B: {cell}", f"A: {cell}") for cell in content.cells]
    known = [pair for pair in (*chosen, *same) if set(pair) <= set(cells)]
    first, second = known[0] if known else (cells[1], cells[0])
    return section(
        "pairs",
        "Compare two",
        "pairs.html.j2",
        run=joined,
        cells=cells,
        first=first,
        second=second,
        data=data.replace("<", "\\u003c"),
        comparisons={},
        samples=len(content.shown),
    )


def measures_section(content: Comparison) -> Section:
    """Measures side by side, one table a group."""
    tables = {group: _by_cell(content.lines(group)) for group in content.groups}
    shown = {
        group: [
            entry for lines in cells.values() for line in lines for entry in line.entries if entry
        ]
        for group, cells in tables.items()
    }
    gaps = {
        group: [e for e in entries if isinstance(e, Difference)] for group, entries in shown.items()
    }
    counts = {
        group: {(e.entry if isinstance(e, Difference) else e).n for e in entries}
        for group, entries in shown.items()
    }
    return section(
        "measures",
        "Measures side by side",
        "compared-measures.html.j2",
        content=content,
        tables=tables,
        gaps=gaps,
        n={group: found.pop() if len(found) == 1 else None for group, found in counts.items()},
    )


def clips_section(content: Comparison) -> Section | None:
    """Clips of the samples that all runs share."""
    if not content.shown:
        return None
    size = sum(len(f.data) for f in films_of(content).values()) / 1e6
    return section(
        "clips", "Clips side by side", "compared-clips.html.j2", content=content, size=size
    )


def differences_section(content: Comparison) -> Section:
    """What differs in suite, code, versions, weights and machine."""
    rows = origin_rows(content)
    return section(
        "differences",
        "What differs between the runs",
        "compared-origin.html.j2",
        content=content,
        rows=rows,
    )


def _by_cell(lines: Iterator[Line]) -> Mapping[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.cell, []).append(line)
    return found
