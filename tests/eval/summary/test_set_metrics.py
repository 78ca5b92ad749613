"""Set metrics in their common span, against the same metrics on the plain features."""

import numpy as np
import pytest

from eval.measure.catalogue import parse_metric
from eval.metrics.frechet import (
    FeatureStatistics,
    bias_corrected_frechet,
    frechet_distance,
)
from eval.metrics.fvd import in_common_span
from eval.metrics.kernel import kernel_distance
from eval.summary.cautions import Caution
from eval.summary.set_metrics import set_value

FVD, KVD = parse_metric("fvd.videomae_glyph.v1"), parse_metric("kvd.videomae_glyph.v1")


def features(n: int, d: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(n, d)) + shift).astype(np.float32)


def plain(real: np.ndarray, fake: np.ndarray) -> float:
    return frechet_distance(
        FeatureStatistics.from_features(real), FeatureStatistics.from_features(fake)
    )


@pytest.mark.parametrize(("n", "m", "d"), [(6, 6, 40), (5, 10, 40), (30, 30, 8), (4, 4, 8)])
def test_the_common_span_keeps_the_frechet_distance(n: int, m: int, d: int) -> None:
    real, fake = features(n, d, 0), features(m, d, 1, 0.5)
    left, right = in_common_span(real, fake)
    assert left.shape[1] == min(d, n + m)
    assert plain(left, right) == pytest.approx(plain(real, fake), rel=1e-9)


def test_values_and_jackknife_ends_against_plain_loops() -> None:
    real, fake = features(7, 20, 0), features(14, 20, 1, 0.3)
    owners = [index for index in range(7) for _ in range(2)]
    for metric, distance in ((FVD, plain), (KVD, kernel_distance)):
        interval = set_value(metric, real, fake, owners).interval
        left_out = np.array(
            [
                distance(np.delete(real, i, 0), np.delete(fake, [2 * i, 2 * i + 1], 0))
                for i in range(7)
            ]
        )
        half = 2.446911851 * np.sqrt(
            6 / 7 * ((left_out - left_out.mean()) ** 2).sum()
        )  # t quantile, 6 degrees of freedom
        assert interval.mean == pytest.approx(distance(real, fake), rel=1e-6)
        assert interval.high - interval.mean == pytest.approx(half, rel=1e-5)
        assert interval.mean - interval.low == pytest.approx(half, rel=1e-5)
        assert (interval.n, interval.clusters) == (14, 7)


def test_cautions_and_few_images() -> None:
    interval, corrected, cautions = set_value(FVD, features(7, 20, 0), features(7, 20, 1), range(7))
    assert cautions == [Caution("mostly_bias", {"n": 7, "dimension": 20})]
    assert interval.low < interval.mean < interval.high
    assert corrected == pytest.approx(
        bias_corrected_frechet(features(7, 20, 0), features(7, 20, 1)).value, rel=1e-6
    )
    kernel = set_value(KVD, features(7, 20, 0), features(7, 20, 1), range(7))
    assert kernel.cautions == [Caution("few_images", {"clusters": 7})]
    assert np.isnan(kernel.bias_corrected)
    assert set_value(KVD, features(10, 20, 0), features(10, 20, 1), range(10)).cautions == []
    two, corrected, cautions = set_value(FVD, features(2, 20, 0), features(2, 20, 1), range(2))
    assert np.isfinite(two.mean)
    assert np.isnan([two.low, corrected]).all()
    assert [caution.code for caution in cautions] == ["mostly_bias", "no_interval"]
    one, _, (caution,) = set_value(FVD, features(1, 20, 0), features(3, 20, 1), [0, 0, 0])
    assert np.isnan(one.mean)
    assert caution.text == "1 input image: two or more are needed"


def test_true_clips_are_at_distance_zero_of_themselves() -> None:
    real = features(9, 30, 3)
    assert set_value(FVD, real, real, range(9))[0].mean == pytest.approx(0, abs=1e-5)
