"""What a report writes beside its page: every table as CSV, Markdown and LaTeX, every figure as
SVG, for a paper as PDF.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING

from reports.answer.best import best_cells
from reports.calibration import content as trust
from reports.figures import drawings
from reports.figures.style import COLUMN, Drawing
from reports.run.pairs import paired_cells
from reports.tables.cells import cell_frame, difference
from reports.tables.latex import PACKAGES
from reports.tables.paper import chosen_measures, paper_table
from reports.tables.plain import PlainTable, plain_cells, plain_comparisons, with_interval

if TYPE_CHECKING:
    from reports.page.report import Report


def table_files(report: Report) -> dict[str, str]:
    """Path -> text: ``tables/<name>.csv``, ``.md`` and ``.tex``, and ``tables/all.tex`` with every
    table.

    The CSV files of cells and comparisons hold plain numbers in full precision, the others what the
    page shows.
    """
    files: dict[str, str] = {}
    every = [f"% {PACKAGES}\n"]
    for table in plain_tables(report):
        latex = table.latex()
        every.append(latex)
        stem = _fresh(f"tables/{slug(table.name)}", ".csv", files)
        files |= {
            f"{stem}.csv": table.csv(),
            f"{stem}.md": table.markdown() + "\n",
            f"{stem}.tex": latex,
        }
    for group in report.run.groups:
        name = f"tables/{slug(f'cells-{group}')}"
        files[f"{name}.csv"] = cell_frame(report.run, group).to_csv(
            index=False, lineterminator="\n"
        )
    if len(report.run.comparisons):
        files["tables/comparisons.csv"] = report.run.comparisons.to_csv(
            index=False, lineterminator="\n"
        )
    files["tables/all.tex"] = every[0] + "\n".join(every[1:])
    return files


def paper_files(report: Report, metrics: str, style: str) -> dict[str, str]:
    """``tables/paper-<group>.tex`` of chosen measures (none: the leading ones), see
    `reports.tables.paper`.

    Raises:
        EvalError: a measure that the run has not, or an unknown style.
    """
    chosen = chosen_measures(metrics, report.measures) if metrics else report.main
    return {
        f"tables/{slug(f'paper-{group}')}.tex": paper_table(table, chosen, style)
        for group, table in report.cells.items()
    }


def figure_files(report: Report, *, paper: bool = False) -> dict[str, bytes]:
    """Path -> bytes: ``figures/<name>.svg``, the page's drawings, which write in the text colour of
    where they are put; for a paper also ``.pdf``, at the width of a column, with the heatmaps.
    """
    files: dict[str, bytes] = {}
    for name, drawing in [*_drawings(report), *(_paper_drawings(report) if paper else ())]:
        suffix = f".{drawing.suffix}"
        files[_fresh(f"figures/{slug(name)}", suffix, files) + suffix] = drawing.data
    return files


def plain_tables(report: Report) -> Iterator[PlainTable]:
    """Every table of the page, in its order."""
    for group in report.run.groups:
        yield _best(report, group)
    yield from map(plain_cells, report.cells.values())
    yield from map(plain_comparisons, report.comparisons.values())
    for group in report.run.groups:
        if (group, report.measures[0].id) in report.pairs or any(
            key[0] == group for key in report.pairs
        ):
            yield _pairs(report, group)
    if report.run.seconds_per_clip:
        rows = [[cell, f"{seconds:.2f}"] for cell, seconds in report.run.seconds_per_clip.items()]
        yield PlainTable(
            "speed", "Median seconds to make a clip", ["Cell", "Seconds a clip"], rows, numbers=True
        )
    if report.calibration is not None:
        for group in report.calibration.groups:
            header = ["Measure", *report.calibration.corruptions(group)]
            rows = [
                [metric, *(f"{a.verdict} {a.size}".strip() for a in answers)]
                for metric, answers in trust.matrix(report.calibration, group)
                if metric in report.run.metrics
            ]
            if rows:
                yield PlainTable(
                    f"calibration-{group}", f"Calibration: {trust.title(group)}", header, rows
                )
    if report.accuracies:
        rows = [
            [encoder.name, f.name, f.value, f.bar, f.n]
            for encoder in report.accuracies
            for f in encoder.figures
        ]
        yield PlainTable(
            "accuracy", "Accuracy of the encoders", ["Part", "Figure", "Value", "Bar", "n"], rows
        )
    rows = [[m.id, m.unit, m.direction, m.description, m.source] for m in report.measures]
    yield PlainTable(
        "definitions",
        "Metric definitions",
        ["Id", "Unit", "Direction", "Definition", "Source"],
        rows,
    )


def _best(report: Report, group: str) -> PlainTable:
    shown = report.main
    pairs = {m.id: report.pairs.get((group, m.id), {}) for m in shown}
    rows = [
        [
            b.measure.heading,
            b.cell,
            with_interval(b.entry),
            b.next or "–",
            with_interval(b.gap.entry if b.gap else None),
            b.why,
        ]
        for b in best_cells(report.cells[group], pairs, shown)
    ]
    header = ["Measure", "Best cell", "Value", "Next best", "Lead over it", "Can the run tell?"]
    return PlainTable(
        f"best-{group}", f"Best cells, group {group}; mean (95 % interval)", header, rows
    )


def _pairs(report: Report, group: str) -> PlainTable:
    measures = [m for m in report.measures if (group, m.id) in report.pairs]
    rows = []
    for pair in combinations(paired_cells(report.run), 2):
        row = []
        for m in measures:
            found = report.pairs[group, m.id].get(pair)
            typeset = (
                None if found is None else difference(m, *found[:3], found.n, found.cautions).entry
            )
            row.append(with_interval(typeset) + ("" if found is None else "*" * found.separated))
        rows.append([*pair, *row])
    note = (
        "* the interval excludes 0, ** so does the one corrected for the number of pairs "
        "(Bonferroni)."
    )
    title = f"First cell minus second, group {group}; paired difference (95 % interval)"
    header = ["First", "Second", *(m.heading for m in measures)]
    return PlainTable(f"pairs-{group}", title, header, rows, notes=[note], numbers=True, keys=2)


def _drawings(report: Report) -> Iterator[tuple[str, Drawing]]:
    for group in report.run.groups:
        yield from ((stem, drawing) for stem, _, drawing in report.curves[group])
        yield from (
            (plot.name, plot.drawing) for plot in (*report.paretos[group], *report.speeds[group])
        )


def _paper_drawings(report: Report) -> Iterator[tuple[str, Drawing]]:
    run = report.run
    for group, table in report.cells.items():
        yield from drawings.heatmaps(run, report.measures, group, COLUMN)
        for stem, _, drawing in drawings.curves(run, report.main, group, COLUMN):
            yield stem, drawing
        plots = (*drawings.paretos(run, table, COLUMN), *drawings.speeds(run, table, COLUMN))
        yield from ((plot.name, plot.drawing) for plot in plots)


def slug(name: str) -> str:
    """A name that any file system takes."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.")[:120] or "unnamed"


def _fresh(stem: str, suffix: str, taken: dict[str, str] | dict[str, bytes]) -> str:
    """`stem`, numbered if another name has been cut down to the same."""
    number, found = 1, stem
    while f"{found}{suffix}" in taken:
        number += 1
        found = f"{stem}-{number}"
    return found
