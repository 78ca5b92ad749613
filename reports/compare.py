"""Two or more runs on one page: measures side by side, paired where the samples are the same, and
what differs.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from eval.errors import EvalError
from reports.clips import MEDIA_BUDGET, ShownSample, choose_samples, shown_sample
from reports.measures import Measure, measures_of
from reports.origin import differences
from reports.plain import PlainTable, with_interval
from reports.tables import CellTable, Difference, Entry, cell_table, difference
from reports.typeset import Section, group_words, section

if TYPE_CHECKING:
    from reports.load import RunFolder


@dataclass(frozen=True)
class Line:
    """One row: a cell in one run (`against` is None), or that run minus the first on what both
    share.
    """

    cell: str
    run: int
    entries: tuple[Entry | Difference | None, ...]
    against: int | None = None


@dataclass(frozen=True)
class Comparison:
    """Runs read together; the first is what the others are held against."""

    runs: Sequence[RunFolder]
    samples: int

    @cached_property
    def letters(self) -> list[str]:
        """A, B, ...: what the runs are called."""
        return list(string.ascii_uppercase[: len(self.runs)])

    @cached_property
    def measures(self) -> list[Measure]:
        """Every measure of any run, in the first one's order; digits are those of the finest."""
        found: dict[str, Measure] = {}
        for run in self.runs:
            for measure in measures_of(run):
                known = found.setdefault(measure.id, measure)
                found[measure.id] = replace(known, decimals=max(known.decimals, measure.decimals))
        return list(found.values())

    @cached_property
    def groups(self) -> list[str]:
        """Sample groups of any run, "all" first."""
        return list(dict.fromkeys(group for run in self.runs for group in run.groups))

    @cached_property
    def cells(self) -> list[str]:
        """Cells of any run."""
        return list(dict.fromkeys(cell for run in self.runs for cell in run.cells))

    @cached_property
    def shared(self) -> list[set[str]]:
        """For each run the samples it shares with the first: same id, prompt and input image, byte
        for byte.
        """
        first = _contents(self.runs[0])
        return [
            {name for name, content in _contents(run).items() if first.get(name) == content}
            for run in self.runs
        ]

    @cached_property
    def other_judges(self) -> list[tuple[str, str]]:
        """(letter, metric id) of what was judged with other weights than in the first run, and is
        not subtracted.
        """
        first = self.runs[0].run.get("encoders") or {}
        return [
            (letter, m.id)
            for letter, run in zip(self.letters, self.runs, strict=True)
            for m in self.measures
            if m.id in run.metrics
            and m.id in self.runs[0].metrics
            and (run.run.get("encoders") or {}).get(m.encoder) != first.get(m.encoder)
        ]

    def lines(self, group: str) -> Iterator[Line]:
        """The rows of one group, cell by cell."""
        tables = [cell_table(run, measures_of(run), group) for run in self.runs]
        for cell in self.cells:
            values = [Line(cell, i, self._entries(table, cell)) for i, table in enumerate(tables)]
            values = [line for line in values if any(line.entries)]
            yield from values
            for i in range(1, len(self.runs)):
                gaps = tuple(self._gap(i, cell, group, measure) for measure in self.measures)
                if any(gaps):
                    yield Line(cell, i, gaps, against=0)

    def _entries(self, table: CellTable, cell: str) -> tuple[Entry | None, ...]:
        row = next((row for row in table.rows if row.cell == cell), None)
        if row is None:
            return (None,) * len(self.measures)
        at = {m.id: entry for m, entry in zip(table.measures, row.entries, strict=True)}
        return tuple(_retypeset(m, at.get(m.id)) for m in self.measures)

    def _gap(self, run: int, cell: str, group: str, measure: Measure) -> Difference | None:
        from eval.summary.statistics import few_clusters_note, paired_difference

        if (self.letters[run], measure.id) in self.other_judges:
            return None
        ours, theirs = (self._values(i, cell, group, measure) for i in (run, 0))
        common = [key for key in ours if key in theirs and key[0] in self.shared[run]]
        if not common:
            return None
        mean, low, high, n, clusters = paired_difference(
            [ours[key] for key in common],
            [theirs[key] for key in common],
            [sample for sample, _ in common],
        )
        return difference(measure, mean, low, high, n, few_clusters_note(clusters))

    def _values(
        self, run: int, cell: str, group: str, measure: Measure
    ) -> dict[tuple[str, int], float]:
        rows = self.runs[run].records
        rows = rows[(rows["cell"] == cell) & (rows["metric"] == measure.id)]
        if group != "all":
            rows = rows[rows["group"] == group]
        return {(row.sample, int(row.seed)): row.value for row in rows.itertuples()}

    @cached_property
    def shown(self) -> list[tuple[ShownSample, ...]]:
        """Samples that all runs share, each as every run has it; as many as `samples` and the
        page's budget allow.
        """
        common = set.intersection(*self.shared)
        shown: list[tuple[ShownSample, ...]] = []
        for sample in [name for name in choose_samples(self.runs[0]) if name in common][
            : self.samples
        ]:
            columns = tuple(shown_sample(run, measures_of(run), sample) for run in self.runs)
            if (
                shown
                and sum(column.size for each in [*shown, columns] for column in each) > MEDIA_BUDGET
            ):
                break
            shown.append(columns)
        return shown


def comparison(runs: Sequence[RunFolder], *, samples: int = 6) -> Comparison:
    """Runs to read together.

    Raises:
        EvalError: fewer than two, or more than there are letters.
    """
    if not 2 <= len(runs) <= len(string.ascii_uppercase):
        raise EvalError(
            f"compare: {len(runs)} run folders given; give 2 to {len(string.ascii_uppercase)}"
        )
    return Comparison(runs, samples)


def comparison_tables(content: Comparison) -> list[PlainTable]:
    """Every table of the page as texts: one for each group, and what differs."""
    tables = []
    for group in content.groups:
        rows = []
        for line in content.lines(group):
            name = content.letters[line.run] + (
                f" − {content.letters[line.against]}" if line.against is not None else ""
            )
            rows.append([line.cell, name, *(_text(entry) for entry in line.entries)])
        header = ["Cell", "Run", *(m.heading for m in content.measures)]
        title = (
            f"{group_words(group)}; mean (95 % interval), and paired differences on shared "
            "samples and seeds"
        )
        tables.append(PlainTable(f"comparison-{group}", title, header, rows, numbers=True, keys=2))
    named = [
        f"{letter}: {run.name}" for letter, run in zip(content.letters, content.runs, strict=True)
    ]
    rows = [[name, *values] for name, values in origin_rows(content)]
    return [
        *tables,
        PlainTable("differences", "What differs between the runs", ["Name", *named], rows),
    ]


def origin_rows(content: Comparison) -> list[tuple[str, list[str]]]:
    """Name and one value a run of every difference in suites, code, versions, weights, machine and
    cells.
    """
    cells = [
        {
            cell["id"]: {key: value for key, value in cell.items() if key not in ("id", "method")}
            for cell in run.run.get("cells", [])
        }
        for run in content.runs
    ]
    common = [cell for cell in content.cells if all(cell in known for known in cells)]
    return differences([run.run for run in content.runs]) + differences(
        [{f"cell {cell}": known[cell] for cell in common} for known in cells]
    )


def render_html(content: Comparison) -> str:
    """The page.

    Raises:
        EvalError: a clip or an image is missing or unreadable.
    """
    from reports.page import render_page

    made = [measures_section(content), clips_section(content), differences_section(content)]
    films = [f for columns in content.shown for column in columns for f, _ in column.films.values()]
    return render_page(
        title=f"Runs compared: {' and '.join(dict.fromkeys(run.name for run in content.runs))}",
        heading="compared.html.j2",
        footer="One file, no network. The same numbers: tables/*.csv, .md and .tex.",
        sections=[part for part in made if part is not None],
        groups=content.groups,
        frames=max((f.frames for f in films), default=1),
        content=content,
        shared=[len(shared) for shared in content.shared],
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
    size = sum(column.size for columns in content.shown for column in columns) / 1e6
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


def _contents(run: RunFolder) -> dict[str, tuple[str, str]]:
    """Sample -> its prompt and the sha256 of its image."""
    return {
        row.id: (row.prompt, hashlib.sha256(run.image_path(row.id).read_bytes()).hexdigest())
        for row in run.samples.itertuples()
    }


def _retypeset(measure: Measure, entry: Entry | None) -> Entry | None:
    if entry is None:
        return None
    return replace(
        entry,
        text=measure.number(entry.value),
        interval=measure.interval(entry.low, entry.high),
        best=False,
    )


def _text(entry: Entry | Difference | None) -> str:
    if isinstance(entry, Difference):
        return with_interval(entry.entry, None) + (
            "" if entry.verdict == "unclear" else f", {entry.verdict}"
        )
    return with_interval(entry, None)
