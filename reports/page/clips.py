"""The page's clips: the grid of samples x cells, and the worst and best clips of a measure."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from eval.errors import EvalError
from reports.page.media import MOST_PIXELS, Film, film, picture, placeholder
from reports.run.measures import Measure

if TYPE_CHECKING:
    import pandas as pd

    from eval.clips.lossless import Clip
    from reports.run.folder import RunFolder

MEDIA_BUDGET = 25_000_000
"""Bytes of pictures that a page holds; with more they lie in a folder beside it."""
_MOST_CLIPS = 800
"""Clips of the grid of a page that is not told how many samples to show."""
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


class Gallery:
    """A run's clips and images as pictures, each encoded once.

    Args:
        run: the run folder.
        lossless: keep every bit of the frames.
        most_pixels: see `reports.page.media.film`.
    """

    def __init__(
        self, run: RunFolder, *, lossless: bool = False, most_pixels: int = MOST_PIXELS
    ) -> None:
        self.run, self._lossless, self._most = run, lossless, most_pixels
        self._made: dict[tuple[str, ...], Film | None] = {}

    @property
    def usual_samples(self) -> int:
        """How many samples' clips a page shows that is not told: 8; of many cells fewer, so that it
        holds `_MOST_CLIPS` clips, but 2 or more."""
        return max(2, min(8, _MOST_CLIPS // max(1, len(self.run.cells))))

    def clip(self, cell: str, sample: str, seed: int | None = None) -> Film | None:
        """A cell's clip, at the first seed if none is given; None where the run recorded none."""
        seed = self.run.first_seed if seed is None else seed
        return self._once(
            ("clip", cell, sample, str(seed)),
            lambda: self._film(self.run.cell_clip(cell, sample, seed)),
        )

    def truth(self, sample: str) -> Film | None:
        """The true clip, or None where it is not known."""
        return self._once(("truth", sample), lambda: self._film(self.run.true_clip(sample)))

    def image(self, sample: str) -> Film:
        """The input image."""
        path = self.run.image_path
        found = self._once(
            ("image", sample), lambda: picture(path(sample), lossless=self._lossless)
        )
        return found or placeholder("no image")

    def prepare(self, clips: Sequence[tuple[str, str, int | None]]) -> None:
        """Encodes the clips of (cell, sample, seed) on every core."""
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            list(pool.map(lambda clip: self.clip(*clip), clips))

    def _film(self, clip: Clip | None) -> Film | None:
        if clip is None:
            return None
        return film(clip, lossless=self._lossless, most_pixels=self._most)

    def _once(self, key: tuple[str, ...], make: Callable[[], Film | None]) -> Film | None:
        """The picture, or a placeholder with the reason: one bad file must not end the page."""
        if key not in self._made:
            try:
                self._made[key] = make()
            except (EvalError, OSError, ValueError, MemoryError) as error:
                self._made[key] = placeholder(str(error) or type(error).__name__)
        return self._made[key]


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
    def pictures(self) -> list[Film]:
        """Its input image, true clip and clips."""
        every = (self.image, self.truth, *(f for f, _ in self.films.values()))
        return [f for f in every if f is not None]


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


def shown_samples(gallery: Gallery, measures: Sequence[Measure], limit: int) -> list[ShownSample]:
    """Up to `limit` samples with their clips, in the run's order."""
    run = gallery.run
    chosen = choose_samples(run)[: max(0, limit)]
    gallery.prepare([(cell, sample, None) for sample in chosen for cell in run.cells])
    under = under_clips(measures)
    values = _values(run.records[run.records["sample"].isin(chosen)], under)
    order = {sample: i for i, sample in enumerate(run.samples["id"])}
    return [
        _shown_sample(gallery, under, values, sample)
        for sample in sorted(chosen, key=order.__getitem__)
    ]


def shown_sample(gallery: Gallery, measures: Sequence[Measure], sample: str) -> ShownSample:
    """A sample with every cell's clip at the first seed, and the values that stand under it."""
    run, under = gallery.run, under_clips(measures)
    gallery.prepare([(cell, sample, None) for cell in run.cells])
    values = _values(run.records[run.records["sample"] == sample], under)
    return _shown_sample(gallery, under, values, sample)


def _shown_sample(
    gallery: Gallery, under: Sequence[Measure], values: Values, sample: str
) -> ShownSample:
    run = gallery.run
    made = {cell: f for cell in run.cells if (f := gallery.clip(cell, sample)) is not None}
    typeset = {cell: _typeset(values, cell, sample, run.first_seed, under) for cell in made}
    return _shown(gallery, sample, made, typeset)


def under_clips(measures: Sequence[Measure]) -> list[Measure]:
    """The measures whose values stand under each clip of the grid: the first of each family."""
    firsts = [next((m for m in measures if m.family == family), None) for family in _UNDER]
    return [m for m in firsts if m is not None]


def extremes(
    gallery: Gallery, measures: Sequence[Measure], count: int = EXTREMES
) -> list[Extremes]:
    """The `count` worst and best clips on identity and on text alignment, where the run measures
    them.
    """
    run = gallery.run
    measured = set(run.records["metric"].unique())
    measures = [m for m in measures if m.id in measured]
    found = [
        (m, extreme_rows(run, m, count, worst=True), extreme_rows(run, m, count, worst=False))
        for m in under_clips(measures)
        if m.higher_is_better is not None
    ]
    shown = {(cell, sample) for _, worst, best in found for cell, sample, _ in (*worst, *best)}
    places = zip(run.records["cell"], run.records["sample"], strict=True)
    values = _values(run.records[[place in shown for place in places]], measures)
    return [
        Extremes(
            measure,
            [_extreme(gallery, measures, values, row) for row in worst],
            [_extreme(gallery, measures, values, row) for row in best],
        )
        for measure, worst, best in found
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
    rows = records[records["metric"].isin({m.id for m in measures})]
    seeds = rows["seed"].astype(int)
    keys = zip(rows["cell"], rows["sample"], seeds, rows["metric"], strict=True)
    return dict(zip(keys, rows["value"], strict=True))


def _typeset(
    values: Values, cell: str, sample: str, seed: int | None, measures: Sequence[Measure]
) -> list[Value]:
    found = [
        (m, values.get((cell, sample, -1 if seed is None else seed, m.id), math.nan))
        for m in measures
    ]
    return [Value(m.label, value, m.number(value)) for m, value in found]


def _extreme(
    gallery: Gallery, measures: Sequence[Measure], values: Values, row: tuple[str, str, int]
) -> Extreme:
    cell, sample, seed = row
    made = gallery.clip(cell, sample, seed) or placeholder("no clip")
    typeset = _typeset(values, cell, sample, seed, measures)
    return Extreme(cell, seed, _shown(gallery, sample, {cell: made}, {cell: typeset}), typeset)


def _shown(
    gallery: Gallery,
    sample: str,
    made: Mapping[str, Film],
    values: Mapping[str, Sequence[Value]],
) -> ShownSample:
    samples = gallery.run.samples
    row = samples[samples["id"] == sample].iloc[0]
    return ShownSample(
        id=sample,
        group=str(row["group"]),
        prompt=str(row["prompt"]),
        image=gallery.image(sample),
        truth=gallery.truth(sample),
        films={cell: (clip, values[cell]) for cell, clip in made.items()},
    )
