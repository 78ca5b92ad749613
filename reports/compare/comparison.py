"""Two or more runs on one page: measures side by side, paired where the samples are the same, and
what differs.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from eval.errors import EvalError
from reports.compare.joined import CellPair, cell_pairs
from reports.page.clips import Gallery, ShownSample, choose_samples, shown_sample
from reports.page.typeset import group_words
from reports.run.measures import Measure, measures_of
from reports.run.origin import differences
from reports.tables.cells import CellTable, Difference, Entry, cell_table, difference
from reports.tables.plain import PlainTable, with_interval

if TYPE_CHECKING:
    from reports.run.folder import RunFolder


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
    """Runs read together; the first is the one that the others are compared with.

    `pairs` are cells of other names that are subtracted as well.
    """

    runs: Sequence[RunFolder]
    samples: int
    pairs: Sequence[CellPair] = ()

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
        """(letter, metric id) of what was measured with other weights than in the first run, and is
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
        for ours, theirs in self.pairs:
            for i in range(1, len(self.runs)):
                gaps = tuple(self._gap(i, theirs, group, m, of=ours) for m in self.measures)
                if any(gaps):
                    yield Line(f"{theirs} − {ours}", i, gaps, against=0)

    def _entries(self, table: CellTable, cell: str) -> tuple[Entry | None, ...]:
        row = next((row for row in table.rows if row.cell == cell), None)
        if row is None:
            return (None,) * len(self.measures)
        at = {m.id: entry for m, entry in zip(table.measures, row.entries, strict=True)}
        return tuple(_retypeset(m, at.get(m.id)) for m in self.measures)

    def _gap(
        self, run: int, cell: str, group: str, measure: Measure, *, of: str = ""
    ) -> Difference | None:
        """A cell minus the first run's of the same name, or minus its cell `of`."""
        from eval.summary.cautions import few_images
        from eval.summary.statistics import paired_difference

        if (self.letters[run], measure.id) in self.other_judges:
            return None
        ours = self._values(run, cell, group, measure)
        theirs = self._values(0, of or cell, group, measure)
        common = [key for key in ours if key in theirs and key[0] in self.shared[run]]
        if not common:
            return None
        mean, low, high, n, clusters = paired_difference(
            [ours[key] for key in common],
            [theirs[key] for key in common],
            [self.runs[0].image_clusters[sample] for sample, _ in common],
        )
        return difference(measure, mean, low, high, n, few_images(clusters))

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
        chosen = [name for name in choose_samples(self.runs[0]) if name in common][: self.samples]
        galleries = [(Gallery(run), measures_of(run)) for run in self.runs]
        return [
            tuple(shown_sample(gallery, measures, sample) for gallery, measures in galleries)
            for sample in chosen
        ]


def comparison(
    runs: Sequence[RunFolder], *, samples: int = 6, pairs: Sequence[CellPair] = ()
) -> Comparison:
    """Runs to read together; `pairs` as `reports.compare.joined.cell_pairs`.

    Raises:
        EvalError: fewer than two runs, or more than there are letters; a cell that is not there.
    """
    if not 2 <= len(runs) <= len(string.ascii_uppercase):
        raise EvalError(
            f"compare: {len(runs)} run folders given; give 2 to {len(string.ascii_uppercase)}"
        )
    return Comparison(runs, samples, cell_pairs(runs, pairs))


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
