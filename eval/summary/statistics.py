"""Intervals and paired differences for values whose clips share input images.

The seeds of one input image are not independent, so everything here works on clusters: all values
of one image move together. Fewer than about ten clusters make any such interval too narrow; the
number of clusters is therefore part of every result.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError
from eval.summary.resampling import resampled_means

_BLOCK = 256
"""Pairs whose quantiles are taken at a time."""

FEW_CLUSTERS = 10
"""With fewer input images than this, intervals are too narrow and say so."""


class Interval(NamedTuple):
    """A mean, or another statistic, with its interval.

    Attributes:
        mean: the statistic on all values.
        low: lower end; nan when there are fewer than two clusters, because one image says
            nothing about the spread between images.
        high: upper end; nan likewise.
        n: number of values.
        clusters: number of distinct clusters.
    """

    mean: float
    low: float
    high: float
    n: int
    clusters: int


def cluster_indices(clusters: Sequence[Hashable], n: int) -> tuple[npt.NDArray[np.intp], int]:
    """Index of each value's cluster, in sorted order of the cluster names, and the number of
    clusters.
    """
    if len(clusters) != n:
        raise EvalError(
            f"statistics: {n} values but {len(clusters)} cluster names; give one name per value."
        )
    if n == 0:
        raise EvalError("statistics: no values to summarise.")
    names, indices = np.unique(
        np.array([str(cluster) for cluster in clusters]), return_inverse=True
    )
    return indices.reshape(-1), len(names)


def finite(values: npt.ArrayLike, name: str) -> npt.NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise EvalError(f"statistics: {name} must be one-dimensional, got shape {array.shape}.")
    if not np.isfinite(array).all():
        first = int(np.flatnonzero(~np.isfinite(array))[0])
        raise EvalError(
            f"statistics: {name}[{first}] is {array[first]}; a value that is not finite cannot be "
            "averaged."
        )
    return array


def check_level(level: float) -> None:
    if not 0 < level < 1:
        raise EvalError(f"statistics: level is {level}; allowed: above 0 and below 1.")


def mean_interval(
    values: npt.ArrayLike,
    clusters: Sequence[Hashable],
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Mean with a percentile bootstrap interval that draws whole clusters.

    Deterministic for given arguments. Two calls with the same clusters and seed use the same draws,
    so cells that share their images also share the resampling noise.

    Args:
        values: float (n,), finite.
        clusters: n names; values with the same name are drawn together (normally the sample id).
        level: coverage of the interval, in (0, 1).
        resamples: number of bootstrap draws.
        seed: seed of the draws.

    Raises:
        EvalError: no values, a value that is not finite, lengths that differ, level out of
            range, or no resamples.

    Source: Davison and Hinkley 1997, section 3.8 (resampling of whole groups); Efron 1979
    (percentile interval).

    Examples:
        >>> mean_interval([1.0, 1.0, 3.0, 3.0], ["a", "a", "b", "b"])
        Interval(mean=2.0, low=1.0, high=3.0, n=4, clusters=2)
    """
    array = finite(values, "values")
    return mean_intervals(array[:, None], clusters, level=level, resamples=resamples, seed=seed)[0]


def mean_intervals(
    values: npt.ArrayLike,
    clusters: Sequence[Hashable],
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> list[Interval]:
    """`mean_interval` of many columns that share their clusters, from one set of draws.

    Args:
        values: float (n, k), finite: n clips, k metrics or cells.
        clusters, level, resamples, seed: see `mean_interval`.

    Returns:
        k intervals, each equal to `mean_interval` of its column.

    Raises:
        EvalError: as `mean_interval`, or values that are not two-dimensional.

    Examples:
        >>> [each.mean for each in mean_intervals([[1.0, 5.0], [3.0, 5.0]], ["a", "b"])]
        [2.0, 5.0]
    """
    found = intervals_at(values, clusters, (level,), resamples=resamples, seed=seed)
    return [each for (each,) in found]


def intervals_at(
    values: npt.ArrayLike,
    clusters: Sequence[Hashable],
    levels: Sequence[float],
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> list[tuple[Interval, ...]]:
    """`mean_intervals` at several levels, from one set of draws.

    Args:
        values: float (n, k), finite.
        levels: coverages of the intervals, each in (0, 1).
        clusters, resamples, seed: see `mean_interval`.

    Returns:
        For each of the k columns its interval at each level.

    Raises:
        EvalError: as `mean_intervals`.

    Examples:
        >>> [(narrow, wide)] = intervals_at([[0.0], [1.0], [2.0]], "abc", (0.5, 0.95))
        >>> wide.low < narrow.low < narrow.high < wide.high
        True
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2:
        raise EvalError(f"statistics: values must have shape (n, k), got {array.shape}.")
    finite(array.reshape(-1), "values")
    indices, count = cluster_indices(clusters, len(array))
    for level in levels:
        check_level(level)
    if resamples < 1:
        raise EvalError(f"statistics: resamples is {resamples}; allowed: 1 or more.")
    columns = np.ascontiguousarray(array.T)
    means = columns.mean(axis=1)
    ends = np.full((2 * len(levels), len(columns)), np.nan)
    if count >= 2:
        drawn = resampled_means(columns - means[:, None], indices, count, resamples, seed)
        shares = [end for level in levels for end in ((1 - level) / 2, (1 + level) / 2)]
        ends = means + np.quantile(drawn, shares, axis=1)
    return [
        tuple(
            Interval(float(mean), float(low), float(high), len(array), count)
            for low, high in zip(own[::2], own[1::2], strict=True)
        )
        for mean, own in zip(means, ends.T, strict=True)
    ]


def paired_difference(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    clusters: Sequence[Hashable],
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Mean of ``a - b`` with its interval, where ``a[i]`` and ``b[i]`` belong to the same sample
    and seed.

    What the two share (an easy image, a lucky seed) cancels, so the interval is narrower than that
    of either mean.

    Args:
        a: float (n,), finite.
        b: float (n,), finite, in the same order.
        clusters: n names, see `mean_interval`.
        level, resamples, seed: see `mean_interval`.

    Raises:
        EvalError: as `mean_interval`, or lengths of a and b that differ.

    Examples:
        >>> paired_difference([2.0, 12.0], [1.0, 11.0], ["easy", "hard"])
        Interval(mean=1.0, low=1.0, high=1.0, n=2, clusters=2)
    """
    first, second = finite(a, "a"), finite(b, "b")
    if len(first) != len(second):
        raise EvalError(
            f"statistics: paired values differ in number, {len(first)} and {len(second)}; pair "
            "them by sample and seed."
        )
    return mean_interval(first - second, clusters, level=level, resamples=resamples, seed=seed)


def pairwise_differences(
    values: npt.ArrayLike,
    clusters: Sequence[Hashable],
    *,
    levels: Sequence[float] = (0.95,),
    resamples: int = 2000,
    seed: int = 0,
) -> npt.NDArray[np.float64]:
    """Paired differences of every two of many cells, each with its intervals, from one set of
    draws.

    Args:
        values: float (n, k), finite: n clips of each of k cells, a row being one sample and seed.
        clusters: n names, see `mean_interval`.
        levels: coverages of the intervals, each in (0, 1).
        resamples, seed: see `mean_interval`.

    Returns:
        float (k (k - 1) / 2, 1 + 2 * len(levels)): mean of column i minus column j, then low and
        high of each level, nan with fewer than two clusters; for i < j in the order (0, 1), (0, 2),
        ..., (k - 2, k - 1). Each row equals `paired_difference` of its two columns up to rounding.

    Raises:
        EvalError: as `mean_interval`, or values that are not two-dimensional.

    Examples:
        >>> pairwise_differences([[2.0, 1.0], [12.0, 11.0]], ["easy", "hard"]).tolist()
        [[1.0, 1.0, 1.0]]
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2:
        raise EvalError(f"statistics: values must have shape (n, k), got {array.shape}.")
    finite(array.reshape(-1), "values")
    indices, count = cluster_indices(clusters, len(array))
    for level in levels:
        check_level(level)
    first, second = np.triu_indices(array.shape[1], 1)
    columns = np.ascontiguousarray(array.T)
    means = columns.mean(axis=1)
    table = np.full((len(first), 1 + 2 * len(levels)), np.nan)
    table[:, 0] = means[first] - means[second]
    if count >= 2 and len(first):
        by_cell = resampled_means(columns - means[:, None], indices, count, resamples, seed)
        ends = [end for level in levels for end in ((1 - level) / 2, (1 + level) / 2)]
        for start in range(0, len(first), _BLOCK):
            block = slice(start, start + _BLOCK)
            gaps = by_cell[first[block]] - by_cell[second[block]]
            table[block, 1:] = table[block, :1] + np.quantile(gaps, ends, axis=1).T
    return table


def family_wise_level(comparisons: int, *, level: float = 0.95) -> float:
    """The level at which each of several intervals has to be taken so that all of them together
    hold at `level`.

    Args:
        comparisons: how many are read together; 1 or more.
        level: wanted for all together, in (0, 1).

    Raises:
        EvalError: no comparison, or a level out of range.

    Source: Bonferroni's inequality; it asks for nothing about how the comparisons depend on each
    other.

    Examples:
        >>> family_wise_level(10)
        0.995
    """
    check_level(level)
    if comparisons < 1:
        raise EvalError(f"statistics: {comparisons} comparisons; allowed: 1 or more.")
    return 1 - (1 - level) / comparisons


def excludes_zero(interval: Interval) -> bool:
    """Whether both ends lie on the same side of 0; False without an interval."""
    return interval.low > 0 or interval.high < 0
