"""The page's sections: each takes the report and returns a `Section`, or None where the run has
nothing for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from reports.best import best_cells, leading
from reports.claims import claims_html
from reports.clips import under_clips
from reports.drawings import Plot
from reports.judges import Judge
from reports.origin import provenance as origin
from reports.pairs import page_data, paired_cells
from reports.plain import many
from reports.sweeps import grid, sweeps
from reports.typeset import Section, section

if TYPE_CHECKING:
    from reports.page import Report


def overview(report: Report) -> Section | None:
    """The best cell on each leading measure, and whether it can be told from the next."""
    shown = leading(report.measures)
    best = {}
    for group, table in report.cells.items():
        pairs = {m.id: report.pairs.get((group, m.id), {}) for m in shown}
        best[group] = best_cells(table, pairs, shown)
    if not any(best.values()):
        return None
    fronts = {group: [(p.title, p.front) for p in report.paretos[group]] for group in report.cells}
    return section(
        "overview",
        "Best cells and why",
        "overview.html.j2",
        report=report,
        best=best,
        fronts=fronts,
    )


def claims(report: Report) -> Section | None:
    """The paper's claims with their verdicts, and its tables beside what was measured."""
    html = claims_html(report.run)
    return Section("claims", "The paper's claims", html) if html else None


def measures(report: Report) -> Section:
    """Cells x measures, sortable and filterable."""
    return section("measures", "Cells and measures", "measures.html.j2", report=report)


def comparisons(report: Report) -> Section | None:
    """The reference against every other cell."""
    if not report.comparisons:
        return None
    notes = {group: many(table) for group, table in report.comparisons.items()}
    return section(
        "comparisons",
        "The reference against the others",
        "comparisons.html.j2",
        report=report,
        many=notes,
    )


def pairs(report: Report) -> Section | None:
    """Any two cells against each other."""
    cells = paired_cells(report.run)
    if len(cells) < 2 or not report.pairs:
        return None
    data = json.dumps(
        page_data(report.run, report.measures, report.pairs), separators=(",", ":"), allow_nan=False
    )
    first = report.run.reference if report.run.reference in cells else cells[0]
    others = [cell for cell in cells if cell != first]
    return section(
        "pairs",
        "Any two cells",
        "pairs.html.j2",
        report=report,
        cells=cells,
        first=first,
        second=([cell for cell in others if not report.run.is_anchor(cell)] or others)[-1],
        data=data.replace("<", "\\u003c"),
        count=len(cells) * (len(cells) - 1) // 2,
    )


def heatmaps(report: Report) -> Section | None:
    """Means over t0 x p; each place leads to its cell's clips."""
    found = {group: list(_heat_tables(report, group)) for group in report.run.groups}
    if not any(found.values()):
        return None
    return section("heatmaps", "Over t0 and p", "heatmaps.html.j2", report=report, heatmaps=found)


def _heat_tables(report: Report, group: str) -> Iterator[dict[str, object]]:
    from reports.figures import best_place, shade

    found = sweeps(report.run)
    for name, points in found.items():
        cell_at = {(row.t0, row.p): row.cell for row in points.itertuples()}
        for measure in report.measures:
            values = grid(report.run, points, measure.id, group)
            if not values.notna().to_numpy().any():
                continue
            best, shades = best_place(values, measure), shade(values, measure)
            rows = []
            for i, t0 in enumerate(values.index):
                entries: list[dict[str, object] | None] = []
                for j, p in enumerate(values.columns):
                    cell, shaded = cell_at.get((t0, p)), shades[i][j]
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
                rows.append((f"{t0:g}", entries))
            title = measure.heading if len(found) == 1 else f"{measure.heading}, {name}"
            yield {
                "measure": measure,
                "title": title,
                "columns": [f"{p:g}" for p in values.columns],
                "rows": rows,
            }


def pareto(report: Report) -> Section | None:
    """Identity against motion."""
    return _plots(report, "pareto", "Identity against motion", report.paretos)


def speed(report: Report) -> Section | None:
    """Quality against the time a clip takes, where the run was timed."""
    return _plots(report, "speed", "Quality and speed", report.speeds)


def _plots(report: Report, id: str, title: str, plots: dict[str, list[Plot]]) -> Section | None:
    if not any(plots.values()):
        return None
    return section(id, title, f"{id}.html.j2", report=report, plots=plots)


def extremes(report: Report) -> Section | None:
    """The worst and the best clips of a measure."""
    if not report.extremes:
        return None
    return section("extremes", "Worst and best clips", "extremes.html.j2", report=report)


def clips(report: Report) -> Section | None:
    """Samples x cells, all clips on one clock."""
    if not report.shown:
        return None
    size = sum(column.size for column in report.shown) / 1e6
    return section(
        "clips",
        "Clips",
        "clips.html.j2",
        report=report,
        shown=report.shown,
        size=size,
        under=under_clips(report.measures),
    )


def calibration(report: Report) -> Section | None:
    """What the run's measures answered to corruptions of known strength."""
    from reports import calibration as source

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
        "How far each measure can be trusted",
        "trust.html.j2",
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


def judges(report: Report) -> Section:
    """The trained parts' own accuracy."""
    found: list[Judge] = list(report.judges)
    return section("judges", "Judges' own accuracy", "judges.html.j2", judges=found)


def definitions(report: Report) -> Section:
    """What exactly was computed."""
    return section("definitions", "Metric definitions", "definitions.html.j2", report=report)


def provenance(report: Report) -> Section:
    """Versions, weights, commit, machine, seeds and suite."""
    suite = json.dumps(report.run.suite, indent=2, ensure_ascii=False)
    return section(
        "provenance", "Provenance", "provenance.html.j2", provenance=origin(report.run), suite=suite
    )
