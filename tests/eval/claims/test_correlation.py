"""Rank correlation against SciPy's, and what it must not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from eval.claims.metric_correlations import rank_correlation
from eval.errors import EvalError


def _data(n: int = 200) -> tuple[np.ndarray, np.ndarray, list[str]]:
    generator = np.random.default_rng(3)
    x = generator.normal(size=n)
    return x, x + generator.normal(size=n), [f"image {i % 50}" for i in range(n)]


def test_it_is_spearmans_ties_included() -> None:
    x, y, images = _data()
    for first, second in ((x, y), (np.round(x), np.round(y * 2))):
        assert rank_correlation(first, second, images).mean == pytest.approx(
            spearmanr(first, second).statistic
        )


def test_the_interval_holds_the_true_value_of_many_draws_about_as_often_as_it_says() -> None:
    truth = 6 / np.pi * np.arcsin(0.5 / 2)  # Spearman's of a bivariate normal of correlation 0.5
    inside = 0
    for draw in range(100):
        generator = np.random.default_rng(draw)
        x, z = generator.normal(size=(2, 120))
        found = rank_correlation(
            x, 0.5 * x + np.sqrt(0.75) * z, [str(i) for i in range(120)], resamples=300
        )
        inside += found.low <= truth <= found.high
    assert 88 <= inside <= 100


def test_within_groups_a_shift_of_a_group_does_not_count() -> None:
    x, y, images = _data()
    groups = ["a" if i < 100 else "b" for i in range(200)]
    shifted = x + np.where(np.arange(200) < 100, 50.0, 0.0)
    within = rank_correlation(x, y, images, groups=groups).mean
    assert rank_correlation(shifted, y, images, groups=groups).mean == pytest.approx(within)
    halves = [spearmanr(x[part], y[part]).statistic for part in (slice(100), slice(100, 200))]
    assert within == pytest.approx(np.mean(halves))


def test_a_constant_tells_nothing_and_lengths_must_agree() -> None:
    assert rank_correlation(np.ones(30), np.arange(30.0), [str(i) for i in range(30)]).mean == 0.0
    with pytest.raises(EvalError, match="30 and 29 values"):
        rank_correlation(np.ones(30), np.ones(29), [str(i) for i in range(30)])
