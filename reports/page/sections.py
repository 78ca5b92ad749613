"""The page's sections: each takes the report and returns a `Section`, or None where the run has
nothing for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from reports.answer.best import best_cells
from reports.claims.content import claims_html
from reports.page.clips import under_clips
from reports.page.typeset import Section, section
from reports.run.accuracy import EncoderAccuracy
from reports.run.origin import provenance as origin
from reports.run.pairs import page_data, paired_cells
from reports.run.sweeps import sweeps, written
from reports.tables.plain import many

if TYPE_CHECKING:
    from reports.page.report import Report


def claims(report: Report) -> Section | None:
    """The paper's claims with their verdicts, and its tables beside what was measured."""
    html = claims_html(report.run)
    return Section("claims", "The paper's claims", html) if html else None


def measures(report: Report) -> Section:
    """Cells and measures, sortable and filterable; the leading measures at first."""
    return section(
        "measures",
        "Every cell and measure",
        "measures.html.j2",
        report=report,
        main=[m.id for m in report.main],
    )


def pairs(report: Report) -> Section | None:
    """Any two cells against each other; folded, the reference against all."""
    cells = paired_cells(report.run)
    if len(cells) < 2 or not report.pairs:
        return None
    data = json.dumps(
        page_data(report.run, report.measures, report.pairs), separators=(",", ":"), allow_nan=False
    )
    chosen = [c for c in report.verdicts[report.run.groups[0]].cells if c in cells]
    rest = [c for c in cells if not report.run.is_anchor(c)] + cells
    first, second = list(dict.fromkeys([*chosen, *rest]))[:2]
    return section(
        "pairs",
        "Compare two",
        "pairs.html.j2",
        report=report,
        run=report.run,
        comparisons=report.comparisons,
        cells=cells,
        first=first,
        second=second,
        data=data.replace("<", "\\u003c"),
        count=len(cells) * (len(cells) - 1) // 2,
        samples=len(report.shown),
        many={group: many(table) for group, table in report.comparisons.items()},
    )


def sweep(report: Report) -> Section | None:
    """Curves and heatmaps over each sweep's settings; each place leads to its cell's clips."""
    found = {group: list(_heat_tables(report, group)) for group in report.run.groups}
    if not any(found.values()):
        return None
    axes = list(dict.fromkeys(sweep.axes for sweep in sweeps(report.run)))
    over = " and ".join(axes[0]) if len(axes) == 1 else "the swept settings"
    return section(
        "sweep",
        f"Over {over}",
        "sweep.html.j2",
        report=report,
        heatmaps=found,
        main=[m.id for m in report.main],
    )


def tradeoffs(report: Report) -> Section | None:
    """Quality against speed and further plots; folded, the best cell of each measure."""
    best = {}
    for group, table in report.cells.items():
        found = {m.id: report.pairs.get((group, m.id), {}) for m in report.main}
        best[group] = best_cells(table, found, report.main)
    plots = {
        group: [*report.paretos[group][1:], *report.speeds[group]] for group in report.run.groups
    }
    if not any(best.values()) and not any(plots.values()):
        return None
    fronts = {group: [(p.title, p.front) for p in report.paretos[group]] for group in report.cells}
    return section(
        "tradeoffs",
        "Trade-offs",
        "tradeoffs.html.j2",
        report=report,
        plots=plots,
        best=best,
        fronts=fronts,
    )


def warnings(report: Report) -> Section | None:
    """What a reader must know, each once."""
    if not report.warnings:
        return None
    return section(
        "warnings",
        "Warnings",
        "warnings.html.j2",
        folded=True,
        count=len(report.warnings),
        warnings=report.warnings,
    )


def _heat_tables(report: Report, group: str) -> Iterator[dict[str, object]]:
    from reports.figures.heat import best_place, shade

    found = sweeps(report.run)
    for sweep in found:
        for measure in report.measures:
            values = sweep.grid(report.run, measure.id, group)
            if not values.notna().to_numpy().any():
                continue
            best, shades = best_place(values, measure), shade(values, measure)
            rows = []
            for i, first in enumerate(values.index):
                entries: list[dict[str, object] | None] = []
                for j, second in enumerate(values.columns):
                    cell, shaded = sweep.cells.get(sweep.place(first, second)), shades[i][j]
                    if cell is None or shaded is None:
                        entries.append(None)
                        continue
                    mean, low, high = report.run.means[cell, group, measure.id]
                    entries.append(
                        {
                            "cell": cell,
                            "number": report.run.cells.index(cell),
                            "text": measure.number(mean),
                            "interval": measure.interval(low, high),
                            "best": (i, j) == best,
                            "background": shaded[0],
                            "ink": shaded[1],
                        }
                    )
                rows.append((written(first), entries))
            title = measure.heading if len(found) == 1 else f"{measure.heading}, {sweep.name}"
            yield {
                "measure": measure,
                "title": title,
                "axes": sweep.axes,
                "columns": [written(value) for value in values.columns],
                "rows": rows,
            }


def clips(report: Report) -> Section | None:
    """Samples x cells, all clips on one clock; folded, the worst and best clips."""
    if not report.shown:
        return None
    return section(
        "clips",
        "Clips",
        "clips.html.j2",
        report=report,
        shown=report.shown,
        size=sum(len(f.data) for f in report.films.values()) / 1e6,
        under=under_clips(report.measures),
    )


def calibration(report: Report) -> Section | None:
    """What the run's measures answered to corruptions of known strength."""
    from reports.calibration import content as source

    if report.calibration is None:
        return None
    mine = set(report.run.metrics)
    groups = []
    for group in report.calibration.groups:
        rows = [
            (metric, answers)
            for metric, answers in source.matrix(report.calibration, group)
            if metric in mine
        ]
        if rows:
            groups.append((source.title(group), report.calibration.corruptions(group), rows))
    unknown = [m.id for m in report.measures if m.id not in report.calibration.metrics]
    encoders = report.calibration.content.get("encoders") or {}
    other = [
        name
        for name, digest in (report.run.run.get("encoders") or {}).items()
        if name in encoders and encoders[name] != digest
    ]
    return section(
        "calibration",
        "Calibration of the measures",
        "trust.html.j2",
        folded=True,
        groups=groups,
        unknown=unknown,
        other=other,
        verdicts=report.calibration.content["verdicts"],
        failures=[
            line for line in source.failures(report.calibration) if line.split(",")[0] in mine
        ],
        motions=[row for row in source.motions(report.calibration) if row[0] in mine],
        motion_header=source.MOTION,
        provenance=source.provenance(report.calibration),
    )


def accuracy(report: Report) -> Section | None:
    """The trained parts' own accuracy, where the run carries figures of it."""
    found: list[EncoderAccuracy] = list(report.accuracies)
    if not found:
        return None
    return section(
        "accuracy", "Accuracy of the encoders", "accuracy.html.j2", folded=True, accuracies=found
    )


def definitions(report: Report) -> Section:
    """What exactly was computed."""
    return section(
        "definitions", "Metric definitions", "definitions.html.j2", folded=True, report=report
    )


def provenance(report: Report) -> Section:
    """Versions, weights, commit, machine, seeds and suite."""
    suite = json.dumps(report.run.suite, indent=2, ensure_ascii=False)
    return section(
        "provenance",
        "Provenance",
        "provenance.html.j2",
        folded=True,
        provenance=origin(report.run),
        suite=suite,
    )
