"""How far raters agree with one another, and a metric with them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError


def krippendorff_alpha(values: npt.ArrayLike) -> float:
    """Krippendorff's alpha for ordinal values: 1 is agreement, 0 what chance gives, nan where no
    two raters judged one unit or all values are equal.

    Args:
        values: float (raters, units), nan where a rater did not judge a unit.

    Raises:
        EvalError: not two-dimensional.

    Source: Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", ordinal metric.

    Examples:
        >>> krippendorff_alpha([[1, 2, 3], [1, 2, 3]])
        1.0
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2:
        raise EvalError(f"alpha: values must have shape (raters, units), got {table.shape}")
    table = table[:, np.isfinite(table).sum(axis=0) >= 2]
    known = table[np.isfinite(table)]
    levels = np.unique(known)
    if len(levels) < 2:
        return float("nan")
    coincidences = np.zeros((len(levels), len(levels)))
    for unit in table.T:
        found = np.searchsorted(levels, unit[np.isfinite(unit)])
        counts = np.bincount(found, minlength=len(levels)).astype(np.float64)
        coincidences += (np.outer(counts, counts) - np.diag(counts)) / (len(found) - 1)
    totals = coincidences.sum(axis=0)
    passed = np.cumsum(totals) - totals / 2  # up to the middle of each level
    distance = (passed[:, None] - passed) ** 2
    expected = (np.outer(totals, totals) * distance).sum() / (totals.sum() - 1)
    return float(1 - (coincidences * distance).sum() / expected)


def rank_correlation(
    ours: npt.ArrayLike,
    theirs: npt.ArrayLike,
    cases: Sequence[Hashable],
    *,
    level: float = 0.95,
    resamples: int = 500,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Correlation of two values' ranks within each case, and its bootstrap interval over cases.

    Args:
        ours, theirs: float (n,), finite.
        cases: n names; values are compared with those of their own case alone.
        level, resamples, seed: of the interval.

    Returns:
        Correlation, low and high; nan where nothing varies, the ends also with one case.

    Source: Spearman 1904, on ranks within cases, centred; ties share their mean rank.
    """
    from scipy.stats import rankdata

    names = {name: i for i, name in enumerate(dict.fromkeys(cases))}
    of = np.asarray([names[name] for name in cases])
    a, b = np.zeros(len(of)), np.zeros(len(of))
    for ranks, values in ((a, np.asarray(ours, float)), (b, np.asarray(theirs, float))):
        for case in range(len(names)):
            found = rankdata(values[of == case])
            ranks[of == case] = found - found.mean()
    sums = np.stack([np.bincount(of, x, len(names)) for x in (a * b, a * a, b * b)])

    def correlation(weights: npt.NDArray[np.float64]) -> float:
        ab, aa, bb = sums @ weights
        return float(ab / np.sqrt(aa * bb)) if aa > 0 and bb > 0 else float("nan")

    whole = correlation(np.ones(len(names)))
    if len(names) < 2:
        return whole, float("nan"), float("nan")
    generator = np.random.default_rng(seed)
    share = np.full(len(names), 1 / len(names))
    counts = generator.multinomial(len(names), share, size=resamples).astype(np.float64)
    drawn = [correlation(weights) for weights in counts]
    finite = [value for value in drawn if np.isfinite(value)]
    if not finite:
        return whole, float("nan"), float("nan")
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return whole, float(low), float(high)
