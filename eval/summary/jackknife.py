"""Intervals of statistics of a whole set, such as a Fréchet distance."""

from collections.abc import Callable, Hashable, Sequence

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError
from eval.summary.statistics import Interval, check_level, cluster_indices, finite


def jackknife_interval(
    statistic: Callable[[npt.NDArray[np.intp]], float],
    clusters: Sequence[Hashable],
    *,
    level: float = 0.95,
    max_groups: int = 32,
    seed: int = 0,
) -> Interval:
    """Delete-a-group jackknife interval for a statistic of a whole set, such as a Fréchet distance.

    The bootstrap is of no use there: a set with repeated items has a smaller spread than the set it
    stands for. Groups are whole clusters; more clusters than ``max_groups`` are dealt at random to
    that many groups. The interval is symmetric about the statistic (standard error times the t
    quantile with groups - 1 degrees of freedom) and does not remove the statistic's bias.

    Args:
        statistic: called with the indices of the items that are kept, int (m,), ascending;
            returns a finite number.
        clusters: n names, one per item.
        level: coverage, in (0, 1).
        max_groups: largest number of groups, hence of evaluations beside the one on all items;
            2 or more.
        seed: seed of the dealing.

    Raises:
        EvalError: no items, a statistic that is not finite, level or max_groups out of range.

    Source: Kott 2001, "The delete-a-group jackknife"; Efron and Tibshirani 1993, chapter 11.
    """
    from scipy.special import stdtrit

    indices, count = cluster_indices(clusters, len(clusters))
    check_level(level)
    if max_groups < 2:
        raise EvalError(f"statistics: max_groups is {max_groups}; allowed: 2 or more.")
    value = float(statistic(np.arange(len(indices))))
    if not np.isfinite(value):
        raise EvalError(
            f"statistics: the statistic of all {len(indices)} items is {value}, not a finite "
            "number."
        )
    if count < 2:
        return Interval(value, float("nan"), float("nan"), len(indices), count)
    groups = min(count, max_groups)
    group_of_cluster = np.random.default_rng(seed).permutation(count) % groups
    group = group_of_cluster[indices]
    replicates = finite(
        [statistic(np.flatnonzero(group != g)) for g in range(groups)], "jackknife replicates"
    )
    error = np.sqrt((groups - 1) / groups * np.sum((replicates - replicates.mean()) ** 2))
    half = float(stdtrit(groups - 1, (1 + level) / 2) * error)
    return Interval(value, value - half, value + half, len(indices), count)
