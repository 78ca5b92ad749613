"""The report: one self-contained HTML page, put together from sections."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from reports import drawings, sections, tables
from reports.answer import Sentence, answer, focus_group
from reports.clips import Extremes, ShownSample, extremes, shown_samples
from reports.drawings import Plot
from reports.judges import Judge, judges_of
from reports.measures import Measure, measures_of
from reports.pairs import Pairs, pairs_of
from reports.typeset import TEMPLATES, Section, environment

if TYPE_CHECKING:
    from reports.calibration import Calibration
    from reports.load import RunFolder


@dataclass(frozen=True)
class Report:
    """Everything the page says, ready to typeset.

    Attributes:
        run: the run folder.
        measures: its measures, in the suite's order.
        sentences: the answer in words.
        warnings: what a reader must know first.
        cells: cells x measures, by sample group.
        comparisons: the reference against every other cell, by sample group; without the groups
            that compare nothing.
        judges: how good the trained parts are.
        calibration: how far the measures can be trusted, where a calibration is at hand.
        samples: how many samples' clips the page shows at most.
    """

    run: RunFolder
    measures: Sequence[Measure]
    sentences: Sequence[Sentence]
    warnings: Sequence[str]
    cells: Mapping[str, tables.CellTable]
    comparisons: Mapping[str, tables.ComparisonTable]
    judges: Sequence[Judge]
    calibration: Calibration | None
    samples: int

    @property
    def where(self) -> str:
        """What every caption adds: where its numbers were measured."""
        if self.run.glyph_world:
            return (
                "Measured in the glyph world, a small world of 64 x 64 px clips with small "
                "models trained on it."
            )
        return f"Measured on the samples of suite {self.run.name}."

    @cached_property
    def pairs(self) -> Mapping[tuple[str, str], Pairs]:
        """(group, metric id) -> differences of every two cells, for the measures of single
        clips."""
        found = {
            (group, m.id): pairs_of(self.run, m, group)
            for group in self.run.groups
            for m in self.measures
        }
        return {key: pairs for key, pairs in found.items() if pairs}

    @cached_property
    def shown(self) -> list[ShownSample]:
        """The columns of the clip grid."""
        return shown_samples(self.run, self.measures, self.samples)

    @cached_property
    def extremes(self) -> list[Extremes]:
        """The worst and best clips; none where the page is to show no clips."""
        return extremes(self.run, self.measures) if self.samples else []

    @cached_property
    def paretos(self) -> dict[str, list[Plot]]:
        """Identity against motion, by sample group."""
        return {group: drawings.paretos(self.run, table) for group, table in self.cells.items()}

    @cached_property
    def speeds(self) -> dict[str, list[Plot]]:
        """Quality against seconds a clip, by sample group."""
        return {group: drawings.speeds(self.run, table) for group, table in self.cells.items()}

    @cached_property
    def anchors(self) -> dict[str, str]:
        """Id of each cell's row of clips, for links."""
        return {cell: f"clips-{i}" for i, cell in enumerate(self.run.cells)}


SectionMaker = Callable[[Report], Section | None]
SECTIONS: list[SectionMaker] = [
    sections.overview,
    sections.claims,
    sections.measures,
    sections.comparisons,
    sections.pairs,
    sections.heatmaps,
    sections.pareto,
    sections.speed,
    sections.extremes,
    sections.clips,
    sections.calibration,
    sections.judges,
    sections.definitions,
    sections.provenance,
]
"""The page's sections, top to bottom; one that returns None has nothing to say about the run and is
left out.
"""


_MOST_NAMED = 3
"""Measures that a warning names; more are counted."""


def build(run: RunFolder, *, samples: int = 8, calibration: Calibration | None = None) -> Report:
    """Gathers what the report says about a run.

    Args:
        run: the run folder.
        samples: show the clips of up to so many samples (fewer where they would make the page
            too heavy).
        calibration: of the run's measures.
    """
    measures = measures_of(run)
    cells = {group: tables.cell_table(run, measures, group) for group in run.groups}
    comparisons = {
        g: t for g in run.groups if (t := tables.comparison_table(run, measures, g)) is not None
    }
    focus = focus_group(run)
    sentences = answer(run, cells[focus], comparisons.get(focus))
    return Report(
        run=run,
        measures=measures,
        sentences=sentences,
        warnings=_warnings(run, measures),
        cells=cells,
        comparisons=comparisons,
        judges=judges_of(run),
        calibration=calibration,
        samples=samples,
    )


def render_html(report: Report) -> str:
    """The page.

    Raises:
        EvalError: a clip or an image is missing or unreadable.
    """
    made = [found for make in SECTIONS if (found := make(report)) is not None]
    frames = max((f.frames for column in report.shown for f, _ in column.films.values()), default=1)
    return render_page(
        title=f"Image-to-video evaluation: {report.run.name}",
        heading="heading.html.j2",
        footer="One file, no network. The same numbers: report.md, tables/*.csv, .md and .tex, "
        "figures/*.svg and .png, "
        "summary.csv and records.csv of the run folder.",
        sections=made,
        groups=report.run.groups,
        frames=frames,
        report=report,
    )


def render_page(
    *,
    title: str,
    heading: str,
    footer: str,
    sections: Sequence[Section],
    groups: Sequence[str],
    frames: int,
    **values: object,
) -> str:
    """Sections as one file that needs no network: style and script inside, nothing else allowed to
    run.

    Args:
        title: of the page.
        heading: template of what stands above the menu, given `values`.
        footer: the last line.
        sections: top to bottom.
        groups: sample groups that the reader may switch between, where there are two or more.
        frames: of the longest clip; below 2 there is no player.
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
            frames=frames,
            style=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
            script=Markup(script),
            script_hash=digest,
            **values,
        )
    )


def _warnings(run: RunFolder, measures: Sequence[Measure]) -> list[str]:
    """Notes of the summary, flags of the records and what the run itself warns of, each said
    once."""
    warnings = []
    noted = run.summary[run.summary["note"] != ""]
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for measure in measures:
        groups: dict[str, dict[str, None]] = {}
        for row in noted[noted["metric"] == measure.id].itertuples():
            for note in tables.cautions(row.note):
                groups.setdefault(note, {})[row.group] = None
        for note, found in groups.items():
            alike.setdefault((note, tuple(found)), []).append(measure.label)
    for (note, where), labels in alike.items():
        what = (
            ", ".join(labels)
            if len(labels) <= _MOST_NAMED
            else f"{len(labels)} of {len(measures)} measures"
        )
        warnings.append(f"{what} ({', '.join(where)}): {note}")
    flags = list(
        dict.fromkeys(flag for text in run.records["flags"] for flag in text.split(";") if flag)
    )
    for flag in flags:
        marked = run.records[[flag in text.split(";") for text in run.records["flags"]]]
        warnings.append(
            f"{marked['sample'].nunique()} of {len(run.samples)} samples carry the flag {flag}."
        )
    restated = tuple(f"{name}: " for name in (*run.metrics, *flags))
    warnings += [
        str(text) for text in run.run.get("warnings", []) if not str(text).startswith(restated)
    ]
    if run.run.get("dirty"):
        warnings.append("The run was made from a working tree with uncommitted changes.")
    return warnings
