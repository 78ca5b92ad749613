"""The report: one self-contained HTML page, put together from sections."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING

from reports.answer.best import leading
from reports.answer.paragraph import answer
from reports.answer.questions import deciding, unmeasured
from reports.answer.sentences import Name, Sentence, Strong, inline_label
from reports.answer.verdict import Verdict, verdict
from reports.claims.content import load_claims
from reports.figures import drawings
from reports.figures.drawings import Plot
from reports.figures.style import Drawing
from reports.page import sections
from reports.page.clips import MEDIA_BUDGET, Extremes, Gallery, ShownSample, extremes, shown_samples
from reports.page.media import Film
from reports.page.typeset import TEMPLATES, Section, environment, pictures_css
from reports.run.accuracy import EncoderAccuracy, accuracies_of
from reports.run.measures import Measure, measures_of
from reports.run.notices import notices
from reports.run.pairs import Pairs, pairs_of
from reports.run.separation import entry_of, with_leads
from reports.tables.cells import (
    CellTable,
    ComparisonTable,
    Row,
    cell_table,
    comparison_table,
    short_rows,
)

if TYPE_CHECKING:
    from reports.calibration.content import Calibration
    from reports.run.folder import RunFolder


@dataclass(frozen=True)
class Report:
    """Everything the page says, ready to typeset.

    Attributes:
        run: the run folder.
        measures: its measures, in the suite's order.
        sentences: what the run shows in words, by sample group.
        warnings: what a reader must know.
        verdicts: the answer, by sample group.
        cells: cells x measures, by sample group.
        comparisons: the reference against every other cell, by sample group; without the groups
            that compare nothing.
        pairs: (group, metric id) -> differences of every two cells, for measures of single clips.
        accuracies: how good the trained parts are.
        calibration: how far the measures can be trusted, where a calibration is at hand.
        samples: how many samples' clips the page shows at most.
        gallery: the run's clips as pictures.
    """

    run: RunFolder
    measures: Sequence[Measure]
    sentences: Mapping[str, Sequence[Sentence]]
    warnings: Sequence[str]
    verdicts: Mapping[str, Verdict]
    cells: Mapping[str, CellTable]
    comparisons: Mapping[str, ComparisonTable]
    pairs: Mapping[tuple[str, str], Pairs]
    accuracies: Sequence[EncoderAccuracy]
    calibration: Calibration | None
    samples: int
    gallery: Gallery

    @property
    def where(self) -> str:
        """What every caption adds: where its numbers were measured."""
        if self.run.glyph_world:
            return (
                "Measured in the glyph world, a small world of 64 x 64 px clips with small "
                "models trained on it."
            )
        return f"Measured on the samples of suite {self.run.name}."

    @property
    def main(self) -> list[Measure]:
        """The measures that a reader looks at first."""
        decides = deciding(self.measures)
        chosen = {m.id for m in (*leading(self.measures), *([decides] if decides else []))}
        return [m for m in self.measures if m.id in chosen] or list(self.measures[:4])

    @cached_property
    def unmeasured(self) -> Sentence | None:
        """Which of a reader's questions the run does not measure, and what to do about it."""
        return unmeasured(self.run, self.measures)

    @cached_property
    def shown(self) -> list[ShownSample]:
        """The columns of the clip grid."""
        return shown_samples(self.gallery, self.measures, self.samples)

    @cached_property
    def extremes(self) -> list[Extremes]:
        """The worst and best clips; none where the page is to show no clips."""
        return extremes(self.gallery, self.measures) if self.samples else []

    @cached_property
    def films(self) -> dict[str, Film]:
        """Every picture of the page, once, by its key."""
        ends = [c.sample for e in self.extremes for c in (*e.worst, *e.best)]
        every = [f for column in (*self.shown, *ends) for f in column.pictures]
        return {f.key: f for f in every if not f.missing}

    @property
    def beside(self) -> bool:
        """Whether the pictures lie in a folder beside the page, which would be too heavy."""
        return sum(len(f.data) for f in self.films.values()) > MEDIA_BUDGET

    @cached_property
    def paretos(self) -> dict[str, list[Plot]]:
        """Identity against motion, by sample group."""
        return {group: drawings.paretos(self.run, table) for group, table in self.cells.items()}

    @cached_property
    def speeds(self) -> dict[str, list[Plot]]:
        """Quality against seconds a clip, by sample group."""
        return {group: drawings.speeds(self.run, table) for group, table in self.cells.items()}

    @cached_property
    def curves(self) -> dict[str, list[tuple[str, str, Drawing]]]:
        """Name, words and drawing of each sweep's curves, by sample group."""
        return {
            group: list(drawings.curves(self.run, self.main, group)) for group in self.run.groups
        }

    def sheet(self, group: str) -> list[ShownSample]:
        """A group's shown samples, those whose yardstick moves most first: motion is what a still
        picture hides."""
        motion = next((m.id for m in self.measures if m.family == "motion"), "")
        truths = [cell for cell in self.run.cells if self.run.methods[cell] == "true-clip"]
        cell = truths[0] if truths else self.run.reference
        rows = self.run.records
        rows = rows[(rows["cell"] == cell) & (rows["metric"] == motion)]
        moves = dict(zip(rows["sample"], rows["value"], strict=True))
        found = [s for s in self.shown if group in ("all", s.group)]
        return sorted(found, key=lambda s: -moves.get(s.id, 0.0))

    def short(self, group: str) -> list[Row]:
        """The rows of the first screen."""
        return short_rows(self.run, self.cells[group], self.verdicts[group].cells)

    def bold(self, group: str) -> bool:
        """Whether a value of the first screen is separated from every rival's."""
        at = [self.cells[group].measures.index(measure) for measure in self.main]
        entries = [row.entries[i] for row in self.short(group) for i in at]
        return any(entry.leads for entry in entries if entry is not None)

    def elsewhere(self, group: str) -> list[tuple[str, Sentence]]:
        """The other groups' verdicts in a few words each: their emphasised start, or that it is the
        same, with the value that decides."""
        found: list[tuple[str, Sentence]] = []
        own = _start(self.verdicts[group])
        for other, said in self.verdicts.items():
            if other == group or said.rule != "many":
                continue
            start = _start(said)
            table = self.cells[other]
            entry = entry_of(table, said.cells[0], measure := deciding(self.measures))
            if start and entry and measure:
                words = f" ({inline_label(measure)} {entry.text}, {entry.interval})."
                found.append((other, (*([Strong("the same")] if start == own else start), words)))
        return found

    @cached_property
    def anchors(self) -> dict[str, str]:
        """Id of each cell's row of clips, for links."""
        return {cell: f"clips-{i}" for i, cell in enumerate(self.run.cells)}


SectionMaker = Callable[[Report], Section | None]
SECTIONS: list[SectionMaker] = [
    sections.claims,
    sections.clips,
    sections.pairs,
    sections.sweep,
    sections.tradeoffs,
    sections.measures,
    sections.calibration,
    sections.accuracy,
    sections.definitions,
    sections.provenance,
    sections.warnings,
]
"""The page's sections, top to bottom; one that returns None has nothing to say about the run and is
left out.
"""


def build(
    run: RunFolder,
    *,
    samples: int | None = None,
    calibration: Calibration | None = None,
    lossless: bool = False,
) -> Report:
    """Gathers what the report says about a run.

    Args:
        run: the run folder.
        samples: show the clips of up to so many samples; None: `Gallery.usual_samples`.
        calibration: of the run's measures.
        lossless: keep every bit of the clips' frames.
    """
    measures, gallery = measures_of(run), Gallery(run, lossless=lossless)
    differences = {
        (group, m.id): found
        for group in run.groups
        for m in measures
        if (found := pairs_of(run, m, group))
    }
    of = {g: {m.id: differences.get((g, m.id), {}) for m in measures} for g in run.groups}
    plain = {group: cell_table(run, measures, group) for group in run.groups}
    cells = {group: with_leads(table, of[group]) for group, table in plain.items()}
    comparisons = {
        g: t for g in run.groups if (t := comparison_table(run, measures, g)) is not None
    }
    claims = load_claims(run)
    return Report(
        run=run,
        measures=measures,
        sentences={g: answer(run, cells[g], comparisons.get(g)) for g in run.groups},
        warnings=notices(run, measures),
        verdicts={g: verdict(run, cells[g], of[g], claims) for g in run.groups},
        cells=cells,
        comparisons=comparisons,
        pairs=differences,
        accuracies=accuracies_of(run),
        calibration=calibration,
        samples=gallery.usual_samples if samples is None else samples,
        gallery=gallery,
    )


BESIDE = "report"
"""Folder beside the page for pictures that it cannot hold."""


def _start(verdict: Verdict) -> list[str]:
    return list(takewhile(lambda part: isinstance(part, Strong | Name), verdict.sentences[0]))


def render_html(report: Report) -> str:
    """The page; where `report.beside`, its pictures are in the folder `BESIDE`."""
    made = [found for make in SECTIONS if (found := make(report)) is not None]
    return render_page(
        title=report.run.name,
        heading="heading.html.j2",
        footer="The same numbers: report.md, tables/*.csv, .md and .tex, figures/*.svg, "
        "summary.csv and records.csv of the run folder.",
        sections=made,
        groups=report.run.groups,
        films=report.films,
        beside=BESIDE if report.beside else "",
        report=report,
    )


def render_page(
    *,
    title: str,
    heading: str,
    footer: str,
    sections: Sequence[Section],
    groups: Sequence[str],
    films: Mapping[str, Film],
    beside: str = "",
    **values: object,
) -> str:
    """Sections as one file that needs no network: style and script inside, nothing else allowed to
    run.

    Args:
        title: of the page.
        heading: template of the part above the menu; gets `values`.
        footer: the last line.
        sections: top to bottom.
        groups: sample groups that the reader may switch between, where there are two or more.
        films: every picture, by its key.
        beside: folder of the pictures, "" for inside the page.
        values: for `heading`.
    """
    from markupsafe import Markup

    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            title=title,
            heading=heading,
            footer=footer,
            sections=sections,
            groups=groups,
            frames=max((f.frames for f in films.values()), default=1),
            pictures=pictures_css(films, beside),
            beside=bool(beside),
            style=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
            script=Markup(script),
            script_hash=digest,
            **values,
        )
    )
