"""Agreement against published figures and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from eval.errors import EvalError
from eval.summary.agreement import krippendorff_alpha, rank_correlation

NAN = float("nan")
PUBLISHED = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
    [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
]
"""Krippendorff 2011, section C; ordinal alpha .815."""


def test_alpha_is_the_published_one() -> None:
    assert krippendorff_alpha(PUBLISHED) == pytest.approx(0.815, abs=5e-4)


def test_alpha_of_agreement_chance_and_opposition() -> None:
    generator = np.random.default_rng(0)
    ranks = np.argsort(generator.random((200, 4)), axis=1).reshape(1, -1) + 1
    other = np.argsort(generator.random((200, 4)), axis=1).reshape(1, -1) + 1
    assert krippendorff_alpha(np.concatenate([ranks, ranks])) == pytest.approx(1)
    assert abs(krippendorff_alpha(np.concatenate([ranks, other]))) < 0.1
    assert krippendorff_alpha(np.concatenate([ranks, 5 - ranks])) < -0.9


def test_alpha_needs_two_raters_and_two_values() -> None:
    assert np.isnan(krippendorff_alpha([[1, 2, 3]]))
    assert np.isnan(krippendorff_alpha([[2, 2], [2, 2]]))
    with pytest.raises(EvalError, match="must have shape"):
        krippendorff_alpha([1, 2])


def test_correlation_of_one_case_is_spearmans() -> None:
    a, b = np.random.default_rng(1).normal(size=(2, 12))
    value, low, high = rank_correlation(a, b, ["one"] * 12)
    assert value == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
    assert np.isnan([low, high]).all()


def test_a_case_shifts_nothing() -> None:
    a, b = np.random.default_rng(2).normal(size=(2, 40))
    cases = [i // 4 for i in range(40)]
    shift = np.repeat(np.arange(10) * 100.0, 4)
    assert rank_correlation(a + shift, b - shift, cases) == rank_correlation(a, b, cases)
    value, low, high = rank_correlation(a, a + 0.01 * b, cases)
    assert value > 0.95
    assert low <= value <= high


def test_nothing_that_varies_has_no_correlation() -> None:
    assert np.isnan(rank_correlation([1, 1, 1, 1], [1, 2, 3, 4], [0, 0, 1, 1])).all()
