"""The page's clips: the grid of samples x cells, and the worst and best clips of a measure."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from reports.measures import Measure
from reports.media import Film, film, picture

if TYPE_CHECKING:
    import pandas as pd

    from reports.load import RunFolder

MEDIA_BUDGET = 5_000_000
"""Characters of embedded pictures after which no further sample is shown."""
EXTREMES = 4
"""Clips at each end of a measure."""
_UNDER = ("identity", "text", "motion")
"""Families whose values stand under a clip of the grid."""
_GOLDEN = (5**0.5 - 1) / 2


class Value(NamedTuple):
    """A measure's value of one clip, plain and typeset."""

    label: str
    number: float
    text: str


@dataclass(frozen=True)
class ShownSample:
    """One column of the clip grid; `films` holds each cell's clip and the numbers written under
    it."""

    id: str
    group: str
    prompt: str
    image: Film
    truth: Film | None
    films: Mapping[str, tuple[Film, Sequence[Value]]]

    @property
    def size(self) -> int:
        """Characters of its embedded pictures."""
        return sum(
            len(f.uri) for f in (self.image, self.truth, *(f for f, _ in self.films.values())) if f
        )


@dataclass(frozen=True)
class Extreme:
    """One clip among a measure's worst or best, with its sample and everything measured on it."""

    cell: str
    seed: int
    sample: ShownSample
    values: Sequence[Value]

    @property
    def film(self) -> Film:
        """The clip."""
        return self.sample.films[self.cell][0]


@dataclass(frozen=True)
class Extremes:
    """A measure's worst and best clips of the cells that compete, the most extreme first, one a
    sample.
    """

    measure: Measure
    worst: Sequence[Extreme]
    best: Sequence[Extreme]


def choose_samples(run: RunFolder) -> list[str]:
    """All sample ids, the ones to show first: groups take turns, each spread evenly over its own
    order.
    """
    queues = []
    for _, ids in run.samples.groupby("group", sort=False)["id"]:
        names = list(ids)
        spread = sorted(
            range(len(names)), key=lambda i: i * _GOLDEN % 1
        )  # any first few lie far apart
        queues.append([names[i] for i in spread])
    longest = max(map(len, queues), default=0)
    return [queue[i] for i in range(longest) for queue in queues if i < len(queue)]


def shown_samples(run: RunFolder, measures: Sequence[Measure], limit: int) -> list[ShownSample]:
    """Up to `limit` samples with their clips, in the run's order: one, then as many as
    `MEDIA_BUDGET` allows.

    Raises:
        EvalError: a clip or an image is missing or unreadable.
    """
    shown: list[ShownSample] = []
    for sample in choose_samples(run)[: max(0, limit)]:
        column = shown_sample(run, measures, sample)
        if shown and sum(each.size for each in (*shown, column)) > MEDIA_BUDGET:
            break
        shown.append(column)
    order = {sample: i for i, sample in enumerate(run.samples["id"])}
    return sorted(shown, key=lambda column: order[column.id])


def shown_sample(run: RunFolder, measures: Sequence[Measure], sample: str) -> ShownSample:
    """A sample with every cell's clip at the first seed, and the values that stand under it.

    Raises:
        EvalError: a clip or an image is missing or unreadable.
    """
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        films = list(pool.map(lambda cell: _cell_film(run, cell, sample), run.cells))
    made = {cell: made for cell, made in zip(run.cells, films, strict=True) if made is not None}
    under = under_clips(measures)
    values = _values(run.records[run.records["sample"] == sample], under)
    return _shown(
        run,
        sample,
        made,
        {cell: _typeset(values, cell, sample, run.first_seed, under) for cell in made},
    )


def under_clips(measures: Sequence[Measure]) -> list[Measure]:
    """The measures whose values stand under each clip of the grid: the first of each family."""
    firsts = [next((m for m in measures if m.family == family), None) for family in _UNDER]
    return [m for m in firsts if m is not None]


def extremes(run: RunFolder, measures: Sequence[Measure], count: int = EXTREMES) -> list[Extremes]:
    """The `count` worst and best clips on identity and on text alignment, where the run measures
    them.

    Raises:
        EvalError: as `shown_samples`.
    """
    values = _values(run.records, measures)
    measures = [m for m in measures if (run.records["metric"] == m.id).any()]
    return [
        Extremes(
            measure,
            [
                _extreme(run, measures, values, row)
                for row in extreme_rows(run, measure, count, worst=True)
            ],
            [
                _extreme(run, measures, values, row)
                for row in extreme_rows(run, measure, count, worst=False)
            ],
        )
        for measure in under_clips(measures)
        if measure.higher_is_better is not None
    ]


def extreme_rows(
    run: RunFolder, measure: Measure, count: int, *, worst: bool
) -> list[tuple[str, str, int]]:
    """(cell, sample, seed) of the `count` worst or best clips of the cells that compete, at most
    one a sample.
    """
    rows = run.records[
        (run.records["metric"] == measure.id) & ~run.records["cell"].map(run.is_anchor)
    ]
    rows = rows.sort_values("value", ascending=worst == measure.higher_is_better, kind="stable")
    rows = rows.drop_duplicates("sample").head(count)
    return [(row.cell, row.sample, int(row.seed)) for row in rows.itertuples()]


Values = Mapping[tuple[str, str, int, str], float]
"""(cell, sample, seed, metric) -> value."""


def _values(records: pd.DataFrame, measures: Sequence[Measure]) -> Values:
    known = {m.id for m in measures}
    return {
        (r.cell, r.sample, int(r.seed), r.metric): r.value
        for r in records.itertuples()
        if r.metric in known
    }


def _typeset(
    values: Values, cell: str, sample: str, seed: int | None, measures: Sequence[Measure]
) -> list[Value]:
    found = [
        (m, values.get((cell, sample, -1 if seed is None else seed, m.id), math.nan))
        for m in measures
    ]
    return [Value(m.label, value, m.number(value)) for m, value in found]


def _extreme(
    run: RunFolder, measures: Sequence[Measure], values: Values, row: tuple[str, str, int]
) -> Extreme:
    cell, sample, seed = row
    made = _cell_film(run, cell, sample, seed)
    typeset = _typeset(values, cell, sample, seed, measures)
    return Extreme(
        cell,
        seed,
        _shown(run, sample, {} if made is None else {cell: made}, {cell: typeset}),
        typeset,
    )


def _shown(
    run: RunFolder, sample: str, made: Mapping[str, Film], values: Mapping[str, Sequence[Value]]
) -> ShownSample:
    row = run.samples[run.samples["id"] == sample].iloc[0]
    truth = run.true_clip(sample)
    return ShownSample(
        id=sample,
        group=str(row["group"]),
        prompt=str(row["prompt"]),
        image=picture(run.image_path(sample)),
        truth=None if truth is None else film(truth),
        films={cell: (clip, values[cell]) for cell, clip in made.items()},
    )


def _cell_film(run: RunFolder, cell: str, sample: str, seed: int | None = None) -> Film | None:
    clip = run.cell_clip(cell, sample, seed)
    return None if clip is None else film(clip)
