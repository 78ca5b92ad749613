"""Intervals: against closed forms, and by counting how often they cover the truth."""

import numpy as np
import pytest
from scipy import stats

from eval.errors import EvalError
from eval.summary.jackknife import jackknife_interval
from eval.summary.statistics import (
    Interval,
    excludes_zero,
    family_wise_level,
    intervals_at,
    mean_interval,
    mean_intervals,
    paired_difference,
)


def _clustered(
    generator: np.random.Generator, clusters: int, size: int, between: float
) -> tuple[np.ndarray, list[str]]:
    effects = between * generator.standard_normal(clusters)
    values = effects[:, None] + generator.standard_normal((clusters, size))
    return values.ravel(), [f"image-{i}" for i in range(clusters) for _ in range(size)]


def test_bootstrap_covers_the_true_mean_at_about_its_level() -> None:
    generator = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        values, clusters = _clustered(generator, clusters=30, size=3, between=1.0)
        interval = mean_interval(values, clusters, resamples=400)
        hits += interval.low <= 0.0 <= interval.high
    assert 0.91 <= hits / 400 <= 0.98


def test_ignoring_clusters_would_cover_far_too_rarely() -> None:
    generator = np.random.default_rng(2)
    hits = 0
    for _ in range(200):
        values, _ = _clustered(generator, clusters=30, size=4, between=2.0)
        interval = mean_interval(values, range(len(values)), resamples=400)
        hits += interval.low <= 0.0 <= interval.high
    assert hits / 200 < 0.8


def test_intervals_of_many_columns_equal_a_bootstrap_written_out() -> None:
    generator = np.random.default_rng(12)
    values = generator.standard_normal((30, 3))
    clusters = [f"image-{i % 7}" for i in range(30)]
    members = [np.flatnonzero(np.array(clusters) == name) for name in sorted(set(clusters))]
    draws = np.random.default_rng(5).multinomial(7, np.full(7, 1 / 7), size=300)
    for column, interval in enumerate(mean_intervals(values, clusters, resamples=300, seed=5)):
        means = []
        for counts in draws:
            rows = np.concatenate([np.tile(m, c) for m, c in zip(members, counts, strict=True)])
            means.append(values[rows.astype(int), column].mean())
        expected = [values[:, column].mean(), *np.quantile(means, [0.025, 0.975]), 30, 7]
        np.testing.assert_allclose(interval, expected, rtol=0, atol=1e-12)


def test_a_column_has_the_same_interval_to_the_last_bit_whatever_is_beside_it() -> None:
    generator = np.random.default_rng(21)
    for size, count in ((2, 2), (3, 2), (30, 7), (97, 97), (400, 131)):
        values = generator.standard_normal((size, 5)) * 10.0 ** np.arange(-3, 2)
        clusters = [f"image-{i % count}" for i in range(size)]
        together = intervals_at(values, clusters, (0.95, 0.999))
        for column, own in zip(values.T, together, strict=True):
            alone = [mean_interval(column, clusters, level=level) for level in (0.95, 0.999)]
            assert list(own) == alone


def test_draws_that_are_too_many_to_keep_give_the_same_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values, clusters = _clustered(np.random.default_rng(6), clusters=25, size=2, between=1.0)
    kept = mean_interval(values, clusters)
    monkeypatch.setattr("eval.summary.resampling._CELLS_KEPT", 0)
    monkeypatch.setattr("eval.summary.resampling._CELLS_AT_ONCE", 60)
    np.testing.assert_allclose(mean_interval(values, clusters), kept, rtol=0, atol=1e-12)


def test_clusters_widen_the_interval() -> None:
    values, clusters = _clustered(np.random.default_rng(3), clusters=40, size=5, between=2.0)
    alone = mean_interval(values, range(len(values)))
    together = mean_interval(values, clusters)
    assert together.high - together.low > 1.5 * (alone.high - alone.low)
    assert (together.n, together.clusters, alone.clusters) == (200, 40, 200)


def test_bootstrap_width_agrees_with_the_normal_approximation() -> None:
    values = np.random.default_rng(4).standard_normal(400)
    interval = mean_interval(values, range(400), resamples=4000)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.06)


def test_bootstrap_is_deterministic_and_shifts_with_the_values() -> None:
    values, clusters = _clustered(np.random.default_rng(5), clusters=9, size=2, between=1.0)
    first = mean_interval(values, clusters)
    assert first == mean_interval(values, clusters)
    shifted = mean_interval(values + 10, clusters)
    np.testing.assert_allclose(np.array(shifted[:3]) - 10, first[:3], rtol=0, atol=1e-12)
    assert first != mean_interval(values, clusters, seed=1)


def test_equal_values_have_an_interval_of_no_width() -> None:
    assert mean_interval([0.1] * 12, range(12))[:3] == pytest.approx((0.1, 0.1, 0.1), abs=1e-15)


def test_unequal_clusters_are_weighted_by_their_values() -> None:
    interval = mean_interval([0.0, 0.0, 0.0, 4.0], ["a", "a", "a", "b"])
    assert interval[:3] == (1.0, 0.0, 4.0)


def test_paired_difference_removes_what_the_sample_shares() -> None:
    generator = np.random.default_rng(6)
    shared = 10 * generator.standard_normal(24)
    a = shared + 0.5 + 0.1 * generator.standard_normal(24)
    b = shared + 0.1 * generator.standard_normal(24)
    clusters = [f"image-{i}" for i in range(24)]
    difference = paired_difference(a, b, clusters)
    assert difference.low > 0.4
    assert difference.high < 0.6
    assert mean_interval(a, clusters).low < mean_interval(b, clusters).mean
    opposite = paired_difference(b, a, clusters)
    assert opposite.mean == pytest.approx(-difference.mean, abs=1e-12)
    assert difference.mean == pytest.approx(np.mean(a) - np.mean(b), abs=1e-12)


def test_jackknife_of_a_mean_is_the_closed_form_standard_error() -> None:
    values = np.random.default_rng(7).standard_normal(20)
    interval = jackknife_interval(lambda kept: float(values[kept].mean()), range(20))
    half = stats.t.ppf(0.975, 19) * values.std(ddof=1) / np.sqrt(20)
    assert interval.mean == pytest.approx(values.mean(), abs=1e-14)
    assert interval.high - interval.mean == pytest.approx(half, rel=1e-10)
    assert interval.mean - interval.low == pytest.approx(half, rel=1e-10)


def test_jackknife_deletes_whole_clusters() -> None:
    means = np.random.default_rng(8).standard_normal(16)
    values = np.repeat(means, 5)
    clusters = [f"image-{i}" for i in range(16) for _ in range(5)]
    interval = jackknife_interval(lambda kept: float(values[kept].mean()), clusters)
    assert interval.high - interval.mean == pytest.approx(
        stats.t.ppf(0.975, 15) * means.std(ddof=1) / 4, rel=1e-10
    )
    assert (interval.n, interval.clusters) == (80, 16)


def test_jackknife_deals_many_clusters_to_a_few_groups() -> None:
    values = np.random.default_rng(9).standard_normal(960)
    calls: list[int] = []

    def mean(kept: np.ndarray) -> float:
        calls.append(len(kept))
        return float(values[kept].mean())

    interval = jackknife_interval(mean, range(960), max_groups=32)
    assert calls == [960] + [930] * 32
    assert (interval.high - interval.low) / 2 == pytest.approx(2.04 / np.sqrt(960), rel=0.4)


def test_one_cluster_has_no_interval() -> None:
    for interval in (
        mean_interval([1.0, 3.0], ["a", "a"]),
        jackknife_interval(lambda kept: 2.0, ["a", "a"]),
    ):
        assert interval.mean == 2.0
        assert interval.clusters == 1
        assert np.isnan(interval.low)
        assert np.isnan(interval.high)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_interval([1.0, float("nan")], ["a", "b"]), r"values\[1\] is nan"),
        (lambda: mean_interval([], []), "no values"),
        (lambda: mean_interval([1.0], ["a", "b"]), "1 values but 2 cluster names"),
        (lambda: mean_interval([1.0, 2.0], ["a", "b"], level=95), "level is 95"),
        (lambda: mean_interval([1.0, 2.0], ["a", "b"], resamples=0), "resamples is 0"),
        (lambda: paired_difference([1.0], [1.0, 2.0], ["a"]), "differ in number, 1 and 2"),
        (lambda: jackknife_interval(lambda kept: float("inf"), ["a", "b"]), "is inf"),
        (lambda: jackknife_interval(lambda kept: 0.0, ["a", "b"], max_groups=1), "max_groups is 1"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(EvalError, match=message):
        call()


def test_the_corrected_interval_is_as_wide_as_the_normal_one_at_its_level() -> None:
    assert family_wise_level(10) == pytest.approx(0.995)
    values = np.random.default_rng(10).standard_normal(400)
    interval = mean_interval(values, range(400), level=family_wise_level(10), resamples=4000)
    assert interval.high - interval.low == pytest.approx(2 * 2.807 * values.std() / 20, rel=0.1)


def test_an_interval_excludes_zero_on_either_side() -> None:
    ends = [(0.5, 2.0), (-2.0, -0.5), (-0.1, 2.0), (0.0, 2.0), (float("nan"), float("nan"))]
    assert [excludes_zero(Interval(1.0, *pair, 24, 12)) for pair in ends] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_no_comparison_has_no_level() -> None:
    with pytest.raises(EvalError, match="0 comparisons; allowed: 1 or more"):
        family_wise_level(0)
