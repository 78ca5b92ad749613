"""The report: one self-contained HTML page and its Markdown and CSV companions."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reports import figures, tables
from reports.answer import Name, Sentence, answer, focus_group
from reports.claims import claims_html
from reports.clips import shown_samples
from reports.measures import Measure, measures_of
from reports.sweeps import grid, sweeps

if TYPE_CHECKING:
    import jinja2

    from reports.load import RunFolder

TEMPLATES = Path(__file__).parent / "templates"
_PROMPT_LENGTH = 300


@dataclass(frozen=True)
class Figure:
    """An SVG with the words that stand for it."""

    svg: str
    title: str
    text: str


@dataclass(frozen=True)
class JudgeFigure:
    """One figure of a trained part's card, typeset; "–" where the card does not say."""

    name: str
    value: str
    bar: str
    n: str


@dataclass(frozen=True)
class Judge:
    """A trained part and the figures of its card."""

    name: str
    figures: Sequence[JudgeFigure]

    @property
    def has_bar(self) -> bool:
        """Whether any figure says what was asked for."""
        return any(figure.bar != "–" for figure in self.figures)

    @property
    def has_n(self) -> bool:
        """Whether any figure says over how many cases it was measured."""
        return any(figure.n != "–" for figure in self.figures)


@dataclass(frozen=True)
class Report:
    """Everything the page says, ready to typeset."""

    run: RunFolder
    measures: Sequence[Measure]
    sentences: Sequence[Sentence]
    warnings: Sequence[str]
    cells: Mapping[str, tables.CellTable]
    comparisons: Mapping[str, tables.ComparisonTable]
    judges: Sequence[Judge]

    @property
    def where(self) -> str:
        """What every caption adds: where its numbers were measured."""
        if self.run.glyph_world:
            return "Measured in the glyph world, a small world of 64 x 64 px clips with small models trained on it."
        return f"Measured on the samples of suite {self.run.name}."


def build(run: RunFolder) -> Report:
    """Gathers what the report says about a run, without clips and figures."""
    measures = measures_of(run)
    cells = {group: tables.cell_table(run, measures, group) for group in run.groups}
    comparisons = {g: t for g in run.groups if (t := tables.comparison_table(run, measures, g)) is not None}
    focus = focus_group(run)
    sentences = answer(run, cells[focus], comparisons.get(focus))
    return Report(run, measures, sentences, _warnings(run, measures), cells, comparisons, _judges(run))


def render_html(report: Report, *, samples: int = 8) -> str:
    """The page, showing the clips of up to `samples` samples (fewer where they would make the page too heavy)."""
    from markupsafe import Markup

    run = report.run
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    shown = shown_samples(run, report.measures, samples)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return environment().get_template("report.html.j2").render(
        report=report,
        run=run,
        claims=claims_html(run),
        anchors={cell: f"clips-{i}" for i, cell in enumerate(run.cells)},
        heatmaps={group: list(_heatmaps(report, group)) for group in run.groups},
        paretos={group: list(_paretos(report, group)) for group in run.groups},
        shown=shown,
        frames=max((f.frames for column in shown for f, _ in column.films.values()), default=1),
        provenance=_provenance(run),
        suite=json.dumps(run.suite, indent=2, ensure_ascii=False),
        style=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=digest,
    )  # fmt: skip


def environment() -> jinja2.Environment:
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["svg"] = Markup
    environment.filters["unbroken"] = _unbroken
    environment.filters["is_name"] = lambda part: isinstance(part, Name)
    environment.filters["sort_value"] = lambda value: repr(value) if math.isfinite(value) else ""
    environment.filters["clipped"] = lambda text: text if len(text) <= _PROMPT_LENGTH else text[:_PROMPT_LENGTH] + "…"
    return environment


def _unbroken(cell: str) -> str:
    """A cell id that breaks lines after its label and between settings only."""
    from markupsafe import Markup

    parts = re.split(r"(?<=[\[,])", cell)
    return Markup("<wbr>").join(Markup('<span class="whole">{}</span>').format(part) for part in parts)


def _heatmaps(report: Report, group: str) -> Iterator[Figure]:
    for name, points in sweeps(report.run).items():
        for measure in report.measures:
            values = grid(report.run, points, measure.id, group)
            if not values.notna().to_numpy().any():
                continue
            low, high = values.stack().idxmin(), values.stack().idxmax()
            text = (
                f"{measure.label} of {name} over t0 and p, group {group}: "
                f"lowest {measure.number(values.loc[low])} at t0 {low[0]:g}, p {low[1]:g}; "
                f"highest {measure.number(values.loc[high])} at t0 {high[0]:g}, p {high[1]:g}."
            )
            svg = figures.heatmap(f"heatmap {name} {measure.id} {group}", values, measure)
            yield Figure(svg, measure.heading if len(sweeps(report.run)) == 1 else f"{measure.heading}, {name}", text)


def _paretos(report: Report, group: str) -> Iterator[Figure]:
    motion = next((m for m in report.measures if m.family == "motion"), None)
    for identity in (m for m in report.measures if m.family == "identity" and motion):
        assert motion is not None
        points = figures.points_of(report.cells[group], motion, identity)
        if points:
            front = ", ".join(p.cell for p in figures.pareto_front(points))
            svg = figures.pareto(f"pareto {identity.id} {group}", report.run, points, motion, identity)
            text = f"{identity.label} against {motion.label.lower()}, group {group}. On the Pareto front: {front}."
            yield Figure(svg, f"{identity.label} against {motion.label.lower()}", text)


def _warnings(run: RunFolder, measures: Sequence[Measure]) -> list[str]:
    """Notes of the summary, flags of the records and what the run itself warns of, each said once."""
    warnings = []
    noted = run.summary[run.summary["note"] != ""]
    for measure in measures:
        groups: dict[str, dict[str, None]] = {}
        for row in noted[noted["metric"] == measure.id].itertuples():
            for note in tables.cautions(row.note):
                groups.setdefault(note, {})[row.group] = None
        warnings += [f"{measure.label} ({', '.join(where)}): {note}" for note, where in groups.items()]
    flags = list(dict.fromkeys(flag for text in run.records["flags"] for flag in text.split(";") if flag))
    for flag in flags:
        marked = run.records[[flag in text.split(";") for text in run.records["flags"]]]
        warnings.append(f"{marked['sample'].nunique()} of {len(run.samples)} samples carry the flag {flag}.")
    restated = tuple(f"{name}: " for name in (*run.metrics, *flags))
    warnings += [str(text) for text in run.run.get("warnings", []) if not str(text).startswith(restated)]
    if run.run.get("dirty"):
        warnings.append("The run was made from a working tree with uncommitted changes.")
    return warnings


def _judges(run: RunFolder) -> list[Judge]:
    judges = []
    for name, card in (run.run.get("judge_cards") or {}).items():
        found = []
        for figure, given in ((card or {}).get("figures") or {}).items():
            parts = given if isinstance(given, Mapping) else {"value": given}
            value, bar, n = (_plain(parts.get(key)) for key in ("value", "bar", "n"))
            unit = str(parts.get("unit") or "")
            found.append(JudgeFigure(str(figure).replace("_", " "), f"{value} {unit}".strip(), bar, n))
        if found:
            judges.append(Judge(name, found))
    return judges


def _plain(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _provenance(run: RunFolder) -> list[tuple[str, list[tuple[str, str]]]]:
    sections: list[tuple[str, list[tuple[str, str]]]] = [("Run", [])]
    for key, value in run.run.items():
        if key in ("suite", "cells", "judge_cards", "warnings"):
            continue
        if isinstance(value, Mapping):
            pairs = [(str(k), v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)) for k, v in value.items()]
            sections.append((key.capitalize(), pairs))
        else:
            sections[0][1].append((key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))
    return sections
