"""VBench-I2V's three scores of each cell of a run, with intervals, as ``vbench.csv``.

A table of its own: the gate reads ``summary.csv``, and nobody should gate on these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.errors import EvalError
from eval.store.rows import Record
from eval.summary.jackknife import jackknife_interval
from eval.summary.statistics import Interval
from eval.summary.vbench_export import IDS
from eval.summary.vbench_scores import I2V, QUALITY, combined

NAME = "vbench.csv"
SCORES = ("vbench.i2v_score", "vbench.quality_score", "vbench.total")
"""In the order of `VBenchScores`."""
HEADER = (
    *("cell", "score", "value", "low", "high", "n", "clusters"),
    *("reference", "difference", "difference_low", "difference_high"),
)
"""``n``: values of clips that count; ``clusters``: input images; ``difference``: from the reference
cell over the samples of both, paired by input image."""


class _Rows(NamedTuple):
    """Values of clips: their dimension, sample, input image and seed."""

    dimensions: list[str]
    samples: list[str]
    images: list[str]
    seeds: list[int]
    values: NDArray[np.float64]

    def kept(self, wanted: Iterable[tuple[str, str, int]]) -> _Rows:
        """The rows with these keys, in their order."""
        keys = zip(self.dimensions, self.samples, self.seeds, strict=True)
        places = {key: place for place, key in enumerate(keys)}
        found = [places[key] for key in wanted]
        return _Rows(
            [self.dimensions[i] for i in found],
            [self.samples[i] for i in found],
            [self.images[i] for i in found],
            [self.seeds[i] for i in found],
            self.values[found],
        )

    @property
    def keys(self) -> list[tuple[str, str, int]]:
        return list(zip(self.dimensions, self.samples, self.seeds, strict=True))


def score_rows(
    records: Mapping[str, Sequence[Record]],
    reference: str | None = None,
    images: Mapping[str, str] | None = None,
) -> list[tuple[object, ...]]:
    """Rows of `HEADER`: every score of every cell that has all its dimensions.

    A dimension is the mean over the clips that have it. Of two ids of one dimension the one that
    `vbench_export.IDS` lists first counts. The interval is a delete-a-group jackknife over input
    images, which leaves each image out of all dimensions at once; below two images, and where a
    dimension rests on one image alone, its ends are nan.

    Args:
        records: cell -> records of its clips.
        reference: the cell that the others are compared with.
        images: sample -> name of its input image (`eval.summary.clusters.image_clusters`); a sample
            that is not in it has an image of its own.
    """
    found = {cell: _rows(each, images or {}) for cell, each in records.items()}
    rows: list[tuple[object, ...]] = []
    for cell, own in found.items():
        for number, score in enumerate(SCORES):
            if _score(own, number) is None:
                continue
            value = _interval(number, own)
            difference: tuple[object, ...] = (None, None, None, None)
            if reference in found and cell != reference:
                other = found[str(reference)]
                shared = set(own.keys) & set(other.keys)
                common = [key for key in own.keys if key in shared]
                ours, theirs = own.kept(common), other.kept(common)
                if _score(ours, number) is not None:
                    difference = (reference, *_interval(number, ours, theirs)[:3])
            rows.append((cell, score, *value, *difference))
    return rows


def _rows(records: Sequence[Record], images: Mapping[str, str]) -> _Rows:
    kept: list[tuple[str, Record]] = []
    for dimension, ids in IDS.items():
        by_id = {id: [record for record in records if record.metric == id] for id in ids}
        chosen = next((each for each in by_id.values() if each), [])
        kept += [(dimension, record) for record in chosen]
    return _Rows(
        [dimension for dimension, _ in kept],
        [record.sample for _, record in kept],
        [images.get(record.sample, record.sample) for _, record in kept],
        [record.seed for _, record in kept],
        np.array([record.value for _, record in kept], dtype=np.float64),
    )


def _score(rows: _Rows, number: int, kept: NDArray[np.intp] | None = None) -> float | None:
    """One of the three scores of these rows; None where a dimension is missing."""
    values: dict[str, list[float]] = {}
    for place in range(len(rows.values)) if kept is None else kept:
        values.setdefault(rows.dimensions[place], []).append(float(rows.values[place]))
    means = {dimension: float(np.mean(each)) for dimension, each in values.items()}
    return combined(means)[:3][number]


def _interval(number: int, rows: _Rows, other: _Rows | None = None) -> Interval:
    """A score with its interval, or its difference from that of another cell's same clips."""

    def statistic(kept: NDArray[np.intp]) -> float:
        value = _score(rows, number, kept)
        base = 0.0 if other is None else _score(other, number, kept)
        return float("nan") if value is None or base is None else value - base

    used = [place for place, name in enumerate(rows.dimensions) if _counts(name, number)]
    n, clusters = len(used), len({rows.images[place] for place in used})
    value = statistic(np.arange(len(rows.values)))
    if clusters < 2:
        return Interval(value, float("nan"), float("nan"), n, clusters)
    try:
        found = jackknife_interval(statistic, rows.images)
    except EvalError:  # one image holds a dimension by itself: without it there is no score
        return Interval(value, float("nan"), float("nan"), n, clusters)
    return found._replace(n=n, clusters=clusters)


def _counts(dimension: str, number: int) -> bool:
    """Whether a score depends on a dimension."""
    return dimension in (I2V, QUALITY, {**I2V, **QUALITY})[number]
