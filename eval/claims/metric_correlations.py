"""Rank correlation of each metric with the exact measures, over clips of all methods: which metrics
can be trusted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eval.claims.values import Values
from eval.errors import EvalError
from eval.methods.anchors import ANCHORS
from eval.summary.statistics import Interval
from eval.world.scenes import DIRECTIONS


class Agreement(NamedTuple):
    """How well a metric agrees with an exact measure.

    Attributes:
        metric, exact: metric ids.
        across: Spearman's rank correlation over all clips.
        within: the same of ranks within each cell: does it tell good clips from bad ones of one
            method?
    """

    metric: str
    exact: str
    across: Interval
    within: Interval


def agreements(values: Values) -> Iterator[Agreement]:
    """Every clip metric beside every exact measure of the run; one sign everywhere: positive is
    agreement about better.

    Metrics without a better side keep their own sign. For exact.direction only prompts with a
    direction count. Samples whose control contradicts their prompt are left out: measures of the
    one cannot agree with those of the other.
    """
    clip_metrics = [metric for metric in values.plan.clip_metrics if metric.family != "style"]
    exact = [metric for metric in clip_metrics if metric.truth]
    # The extreme clips of methods that generate nothing would make every correlation look good.
    cells = [cell for cell in values.plan.cells if cell.method not in ANCHORS]
    rows = [
        (cell.id, sample, seed)
        for cell in cells
        for sample, seed in values.plan.pairs(cell)
        if "control" not in sample.truth
    ]
    for truth in exact:
        chosen = [
            row
            for row in rows
            if truth.family != "exact.direction" or row[1].truth.get("motion") in DIRECTIONS
        ]
        for metric in clip_metrics:
            if metric.truth:
                continue
            known = [
                row
                for row in chosen
                if all((m.id, row[1].id, row[2]) in values.records[row[0]] for m in (metric, truth))
            ]
            if len({sample.id for _, sample, _ in known}) < 2:
                continue
            x, y = (
                np.asarray(
                    [values.records[cell][m.id, sample.id, seed] for cell, sample, seed in known]
                )
                * (1.0 if m.higher_is_better in (True, None) else -1.0)
                for m in (metric, truth)
            )
            owners, groups = [sample.id for _, sample, _ in known], [cell for cell, _, _ in known]
            yield Agreement(
                metric.id,
                truth.id,
                rank_correlation(x, y, owners),
                rank_correlation(x, y, owners, groups=groups),
            )


def rank_correlation(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    clusters: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Spearman's rank correlation with a percentile bootstrap interval that draws whole clusters.

    Ranks are those of the whole sample (ties share their mean rank) and are not recomputed in each
    draw.

    Args:
        x, y: float (n,).
        clusters: n names, normally sample ids.
        groups: n names; if given, ranks are taken within each group, centred, as shares of its
            size.
        level, resamples, seed: of the interval.

    Returns:
        The correlation, 0 if one side is constant. The ends of the interval are nan below two
        clusters.

    Raises:
        EvalError: lengths that differ.

    Examples:
        >>> rank_correlation([1, 2, 3, 4], [1, 4, 9, 16], ["a", "b", "c", "d"]).mean
        1.0
    """
    first, second = _ranks(x, groups), _ranks(y, groups)
    if not len(first) == len(second) == len(clusters) > 0:
        counts = f"{len(first)} and {len(second)} values of {len(clusters)} clusters"
        raise EvalError(f"rank correlation: {counts}; give as many of each, and some")
    names, indices = np.unique(np.asarray(clusters), return_inverse=True)
    count = len(names)
    products = (np.ones(len(first)), first, second, first * first, second * second, first * second)
    sums = np.stack(
        [np.bincount(indices, weights=part, minlength=count) for part in products], axis=1
    )
    value = float(_correlation(sums.sum(axis=0)[None])[0])
    if count < 2:
        return Interval(value, float("nan"), float("nan"), len(first), count)
    drawn = np.random.default_rng(seed).multinomial(
        count, np.full(count, 1 / count), size=resamples
    )
    low, high = np.quantile(
        _correlation(np.asarray(drawn @ sums)), [(1 - level) / 2, (1 + level) / 2]
    )
    return Interval(value, float(low), float(high), len(first), count)


def _ranks(values: npt.ArrayLike, groups: Sequence[str] | None) -> npt.NDArray[np.float64]:
    from scipy.stats import rankdata

    array = np.asarray(values, dtype=np.float64)
    if groups is None:
        return np.asarray(rankdata(array)) / len(array) - 0.5
    names, ranks = np.asarray(groups), np.empty(len(array))
    for name in np.unique(names):
        of = names == name
        ranks[of] = (rankdata(array[of]) - (of.sum() + 1) / 2) / of.sum()
    return ranks


def _correlation(sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    n, x, y, xx, yy, xy = sums.T
    spread = (xx - x * x / n) * (yy - y * y / n)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (xy - x * y / n) / np.sqrt(np.maximum(spread, 0.0))
    return np.where(spread > 1e-12 * n * n, np.clip(found, -1.0, 1.0), 0.0)
