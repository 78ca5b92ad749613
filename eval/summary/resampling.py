"""Bootstrap means over draws of whole clusters, in bounded memory. Draws are kept for
later calls.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt

_CELLS_AT_ONCE = 4_000_000
"""Entries of the drawn counts that are converted to float64 at a time: 32 MB."""
_CELLS_KEPT = 400_000_000
"""Entries, one byte each, up to which a set of draws is kept for the next call."""
_ROWS_AT_ONCE = 64
"""Draws that all columns pass before the next ones: they stay in the processor's cache."""


def resampled_means(
    columns: npt.NDArray[np.float64],
    indices: npt.NDArray[np.intp],
    count: int,
    resamples: int,
    seed: int,
) -> npt.NDArray[np.float64]:
    """Means of columns over bootstrap draws of whole clusters, the same draws for every column.

    Each column is multiplied with the draws by itself, so its means are the same bits whatever
    columns are beside it; one product of all would round otherwise.

    Args:
        columns: float64 (k, n): k columns of n values.
        indices: cluster of each value, int (n,), in 0..count - 1.
        count: number of clusters.
        resamples: number of draws.
        seed: of the draws.

    Returns:
        float64 (k, resamples).

    Examples:
        >>> resampled_means(np.ones((1, 3)), np.array([0, 0, 1]), 2, resamples=2, seed=0).tolist()
        [[1.0, 1.0]]
    """
    sums = [np.bincount(indices, weights=column, minlength=count) for column in columns]
    sizes = np.bincount(indices, minlength=count).astype(np.float64)
    means = np.empty((len(columns), resamples))
    start = 0
    for drawn in _draws(count, resamples, seed):
        for first in range(0, len(drawn), _ROWS_AT_ONCE):
            rows = drawn[first : first + _ROWS_AT_ONCE]
            place = slice(start + first, start + first + len(rows))
            drawn_sizes = rows @ sizes
            for row, cluster_sums in zip(means, sums, strict=True):
                np.divide(rows @ cluster_sums, drawn_sizes, out=row[place])
        start += len(drawn)
    return means


def _draws(count: int, resamples: int, seed: int) -> Iterator[npt.NDArray[np.float64]]:
    """How often each of `count` clusters is drawn in each resample, (m, count) at a time. All cells
    and metrics over the same number of clusters share these draws, so they are drawn once.
    """
    step = max(1, _CELLS_AT_ONCE // count)
    if count * resamples <= _CELLS_KEPT:
        kept = _kept_draws(count, resamples, seed)
        for start in range(0, resamples, step):
            yield kept[start : start + step].astype(np.float64)
        return
    yield from _fresh_draws(count, resamples, seed, step)


@lru_cache(maxsize=2)
def _kept_draws(count: int, resamples: int, seed: int) -> npt.NDArray[np.uint8]:
    kept = np.empty((resamples, count), np.uint8)
    start = 0
    for drawn in _fresh_draws(count, resamples, seed, max(1, _CELLS_AT_ONCE // count)):
        kept[start : start + len(drawn)] = drawn
        start += len(drawn)
    return kept


def _fresh_draws(
    count: int, resamples: int, seed: int, step: int
) -> Iterator[npt.NDArray[np.float64]]:
    generator = np.random.default_rng(seed)
    shares = np.full(count, 1 / count)
    for start in range(0, resamples, step):
        drawn = generator.multinomial(count, shares, size=min(step, resamples - start))
        yield drawn.astype(np.float64)
