"""Ratios with intervals: known medians, the sign test's coverage, and drift that hits both variants
alike.
"""

import numpy as np
import pytest
from scipy import stats

from benchmarks.interleave import quantile, ratio


def test_a_drifting_machine_leaves_the_ratio_alone() -> None:
    drift = np.linspace(1, 5, 9)
    found = ratio(list(1.25 * drift), list(drift))
    assert found[:4] == (1.25, 1.25, 1.25, 9)


@pytest.mark.parametrize("rounds", [1, 3, 5, 6, 9, 20, 31])
def test_the_ends_are_the_sign_tests_order_statistics(rounds: int) -> None:
    values = list(np.random.default_rng(rounds).permutation(np.arange(1.0, rounds + 1)))
    found = ratio(values, [1.0] * rounds)
    rank = int(found.low)
    assert found.value == pytest.approx((rounds + 1) / 2)
    assert found.high == rounds + 1 - rank
    coverage = 1 - 2 * stats.binom.cdf(rank - 1, rounds, 0.5)
    assert found.coverage == pytest.approx(max(0.0, coverage))
    # It is the narrowest such interval: one rank further in covers less than 95 %.
    assert 1 - 2 * stats.binom.cdf(rank, rounds, 0.5) < 0.95
    assert found.coverage >= 0.95 or rank == 1


def test_quantiles_are_numpys() -> None:
    values = [5.0, 1.0, 4.0, 2.0]
    for share in (0.0, 0.3, 0.5, 0.95, 1.0):
        assert quantile(values, share) == pytest.approx(float(np.quantile(values, share)))


def test_rounds_must_pair_up() -> None:
    with pytest.raises(ValueError, match="3 against 2"):
        ratio([1.0, 2.0, 3.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="0 against 0"):
        ratio([], [])
