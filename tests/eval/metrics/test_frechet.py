"""Fréchet distance: closed forms, scipy's matrix square root, singular covariances, small-sample
bias.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import linalg

from eval.errors import EvalError
from eval.metrics.frechet import (
    FeatureStatistics,
    bias_corrected_frechet,
    frechet_distance,
    frechet_distance_of_features,
    small_sample,
)


def _gaussian(mean: np.ndarray, covariance: np.ndarray, n: int = 100) -> FeatureStatistics:
    return FeatureStatistics(n, mean.astype(np.float64), covariance.astype(np.float64))


def _covariance(generator: np.random.Generator, d: int) -> np.ndarray:
    factor = generator.standard_normal((d, 3 * d))
    return factor @ factor.T / (3 * d)


def test_distance_to_itself_is_zero() -> None:
    generator = np.random.default_rng(0)
    for n in (10, 64, 300):  # fewer, as many and more features than dimensions
        a = FeatureStatistics.from_features(5 * generator.standard_normal((n, 64)) + 3)
        assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-10)


def test_it_is_symmetric_with_unequal_numbers() -> None:
    generator = np.random.default_rng(1)
    a = FeatureStatistics.from_features(generator.standard_normal((37, 24)))
    b = FeatureStatistics.from_features(
        generator.standard_normal((90, 24)) @ generator.standard_normal((24, 24))
    )
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-12)
    assert frechet_distance(a, b) > 0


def test_equal_covariance_leaves_the_squared_mean_shift() -> None:
    generator = np.random.default_rng(2)
    covariance, shift = _covariance(generator, 20), generator.standard_normal(20)
    value = frechet_distance(_gaussian(np.zeros(20), covariance), _gaussian(shift, covariance))
    assert value == pytest.approx(shift @ shift, rel=1e-10)


def test_diagonal_covariances_leave_the_squared_difference_of_deviations() -> None:
    generator = np.random.default_rng(3)
    s1, s2 = generator.uniform(0, 3, 20), generator.uniform(0, 3, 20)
    s1[:4] = 0  # singular, too
    value = frechet_distance(
        _gaussian(np.ones(20), np.diag(s1**2)), _gaussian(np.ones(20), np.diag(s2**2))
    )
    assert value == pytest.approx(((s1 - s2) ** 2).sum(), rel=1e-10)


def test_it_grows_with_the_shift() -> None:
    generator = np.random.default_rng(4)
    features = generator.standard_normal((50, 16))
    real = FeatureStatistics.from_features(features)
    values = [
        frechet_distance(real, FeatureStatistics.from_features(features + shift))
        for shift in (0, 0.1, 1, 5)
    ]
    assert_allclose(values, [0, 0.01 * 16, 16, 400], atol=1e-9)


def test_it_agrees_with_scipys_square_root_where_that_is_well_conditioned() -> None:
    generator = np.random.default_rng(5)
    for d in (4, 48):
        a, b = _covariance(generator, d), _covariance(generator, d)
        shift = generator.standard_normal(d)
        root = linalg.sqrtm(a @ b)
        expected = shift @ shift + np.trace(a + b - 2 * np.real(root))
        assert frechet_distance(_gaussian(np.zeros(d), a), _gaussian(shift, b)) == pytest.approx(
            expected, rel=1e-8
        )


def _from_data(x: np.ndarray, y: np.ndarray) -> float:
    """tr (A^T A B^T B)^(1/2) is the nuclear norm of A B^T, here taken from the data without any
    covariance.
    """
    a, b = ((features - features.mean(0)) / np.sqrt(len(features) - 1) for features in (x, y))
    overlap = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + (a**2).sum() + (b**2).sum() - 2 * overlap)


@pytest.mark.parametrize("n", [2, 5, 40, 256])
def test_covariances_divided_by_n_are_numpys_with_ddof_0(n: int) -> None:
    """As cd-fvd and StyleGAN-V compute them."""
    generator = np.random.default_rng(n)
    x, y = generator.standard_normal((2, n, 24)) * [[[1.0]], [[1.3]]]

    def by_numpy(ddof: int) -> float:
        a, b = (np.cov(features, rowvar=False, ddof=ddof) for features in (x, y))
        roots = np.sqrt(np.linalg.eigvals(a @ b).astype(complex)).real.sum()
        return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a + b) - 2 * roots)

    found = frechet_distance_of_features(x, y, divisor="n")
    assert found == pytest.approx(by_numpy(0), rel=1e-6)
    assert frechet_distance_of_features(x, y) == pytest.approx(by_numpy(1), rel=1e-6)
    x, y = x - x.mean(0), y - y.mean(0)
    spread = frechet_distance_of_features(x, y)
    assert frechet_distance_of_features(x, y, divisor="n") == pytest.approx(spread * (n - 1) / n)


def test_singular_covariances_agree_with_the_sum_of_singular_values_of_the_data() -> None:
    generator = np.random.default_rng(6)
    x, y = generator.standard_normal((12, 400)), generator.standard_normal((12, 400)) + 0.1
    value = frechet_distance(FeatureStatistics.from_features(x), FeatureStatistics.from_features(y))
    assert value == pytest.approx(_from_data(x, y), rel=1e-10)


def test_a_rank_that_is_missing_does_not_come_back_as_rounding() -> None:
    found = 0
    for seed in range(12):
        generator = np.random.default_rng(seed)
        x, y = generator.standard_normal((8, 8)), generator.standard_normal((100, 8))
        a, b = FeatureStatistics.from_features(x), FeatureStatistics.from_features(y)
        assert frechet_distance(a, b) == pytest.approx(_from_data(x, y), rel=1e-12)
        try:
            np.linalg.cholesky(a.covariance)
            found += 1
        except np.linalg.LinAlgError:
            pass
    assert found, "no covariance that Cholesky takes for a regular one: the seeds test nothing"


def test_the_cheap_way_is_left_where_it_would_lose_digits() -> None:
    for seed in range(12):
        generator = np.random.default_rng(seed)
        deviations = 10.0 ** -np.linspace(0, 5, 30)
        x = generator.standard_normal((90, 30)) * deviations
        y = x + 0.01 * generator.standard_normal((90, 30)) * deviations
        rotation = np.linalg.qr(generator.standard_normal((30, 30)))[0]
        a, b = (FeatureStatistics.from_features(features @ rotation) for features in (x, y))
        assert frechet_distance(a, b) == pytest.approx(_from_data(x, y), rel=3e-9)


@pytest.mark.parametrize(("n", "m", "d"), [(7, 12, 40), (40, 9, 40), (41, 9, 40), (60, 90, 40)])
def test_features_and_their_statistics_have_one_distance(n: int, m: int, d: int) -> None:
    generator = np.random.default_rng(13)
    x, y = generator.standard_normal((n, d)), 1.3 * generator.standard_normal((m, d)) + 0.2
    a, b = FeatureStatistics.from_features(x), FeatureStatistics.from_features(y)
    assert frechet_distance_of_features(x, y) == pytest.approx(frechet_distance(a, b), rel=1e-10)
    assert frechet_distance_of_features(x, x) == pytest.approx(0.0, abs=1e-10)


def test_rotating_both_sets_changes_nothing() -> None:
    generator = np.random.default_rng(7)
    x, y = generator.standard_normal((40, 10)), 2 * generator.standard_normal((30, 10))
    rotation = np.linalg.qr(generator.standard_normal((10, 10)))[0]
    plain = frechet_distance(FeatureStatistics.from_features(x), FeatureStatistics.from_features(y))
    turned = frechet_distance(
        FeatureStatistics.from_features(x @ rotation), FeatureStatistics.from_features(y @ rotation)
    )
    assert plain == pytest.approx(turned, rel=1e-10)


def test_merged_statistics_equal_those_of_everything_at_once() -> None:
    features = np.random.default_rng(8).standard_normal((101, 12)) * 3 + 100
    whole = FeatureStatistics.from_features(features)
    merged = FeatureStatistics.from_features(features[:1])
    for start, stop in ((1, 2), (2, 40), (40, 101)):
        merged = merged.merge(FeatureStatistics.from_features(features[start:stop]))
    assert merged.n == whole.n == 101
    assert_allclose(merged.mean, whole.mean, rtol=1e-13)
    assert_allclose(merged.covariance, whole.covariance, rtol=1e-10, atol=1e-10)
    assert_allclose(whole.covariance, np.cov(features, rowvar=False), rtol=1e-10, atol=1e-10)


def test_the_known_bias_of_small_samples_of_one_gaussian() -> None:
    generator = np.random.default_rng(9)
    for n, expected in ((16, 722), (64, 549), (256, 299)):
        a, b = (
            FeatureStatistics.from_features(generator.standard_normal((n, 400))) for _ in range(2)
        )
        assert frechet_distance(a, b) == pytest.approx(expected, rel=0.03)


def test_extrapolation_takes_most_of_the_bias_away() -> None:
    generator = np.random.default_rng(10)
    x, y = generator.standard_normal((1024, 400)), generator.standard_normal((1024, 400))
    corrected = bias_corrected_frechet(x, y, fractions=(0.5, 0.75, 1.0), repeats=1)
    assert corrected.uncorrected == pytest.approx(79, rel=0.03)
    assert abs(corrected.value) < 0.2 * corrected.uncorrected
    assert corrected.slope > 0


def test_extrapolation_finds_a_true_shift_from_unequal_numbers() -> None:
    generator = np.random.default_rng(11)
    x, y = generator.standard_normal((600, 20)), generator.standard_normal((400, 20)) + 0.5
    corrected = bias_corrected_frechet(x, y, repeats=4)
    assert abs(corrected.value - 5.0) < abs(corrected.uncorrected - 5.0) + 0.3
    assert corrected.value == pytest.approx(5.0, abs=0.6)
    assert corrected == bias_corrected_frechet(x, y, repeats=4)


def test_notes_on_small_samples() -> None:
    codes = {n: small_sample(n, 64) for n in (64, 65, 255, 256)}
    assert codes == {
        64: [("mostly_bias", {"n": 64, "dimension": 64})],
        65: [("biased_upwards", {"n": 65, "enough": 256})],
        255: [("biased_upwards", {"n": 255, "enough": 256})],
        256: [],
    }
    assert small_sample(400, 400) == [("mostly_bias", {"n": 400, "dimension": 400})]


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        (np.zeros((1, 4)), np.zeros((5, 4)), "sets of 1 and 5 features; 2 or more"),
        (np.zeros((5, 4)), np.zeros((5, 3)), "features of 4 and of 3 dimensions"),
        (np.full((5, 4), np.nan), np.zeros((5, 4)), "5 of 5 features"),
        (np.zeros(4), np.zeros((5, 4)), r"got \(4,\)"),
        (np.full((5, 4), 1e200), np.zeros((5, 4)), "is inf"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_bad_sets_are_named(real: np.ndarray, fake: np.ndarray, message: str) -> None:
    with pytest.raises(EvalError, match=message):
        frechet_distance(
            FeatureStatistics.from_features(real), FeatureStatistics.from_features(fake)
        )
    with pytest.raises(EvalError, match=message):
        frechet_distance_of_features(real, fake)


@pytest.mark.parametrize("fractions", [(1.0,), (0.5, 1.5), (0.0, 1.0)])
def test_bad_fractions_are_named(fractions: tuple[float, ...]) -> None:
    with pytest.raises(EvalError, match=r"allowed: two or more different fractions in \(0, 1\]"):
        bias_corrected_frechet(np.zeros((8, 2)), np.zeros((8, 2)), fractions=fractions)


@pytest.mark.parametrize("d", [400, 768, 1408])
def test_few_features_of_the_published_sizes_agree_with_the_nuclear_norm(d: int) -> None:
    generator = np.random.default_rng(d)
    x, y = generator.standard_normal((9, d)), 1.5 * generator.standard_normal((14, d)) + 0.1
    a, b = (x - x.mean(0)) / np.sqrt(8), (y - y.mean(0)) / np.sqrt(13)
    shift = ((x.mean(0) - y.mean(0)) ** 2).sum()
    expected = shift + (a**2).sum() + (b**2).sum() - 2 * np.linalg.norm(a @ b.T, "nuc")
    value = frechet_distance(FeatureStatistics.from_features(x), FeatureStatistics.from_features(y))
    assert value == pytest.approx(expected, rel=1e-9)
