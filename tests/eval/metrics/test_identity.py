"""Identity: a still clip, a known drift, and the cosine written another way."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial import distance

from eval.errors import EvalError
from eval.metrics.identity import cosines, identity


def test_a_still_clip_scores_exactly_one() -> None:
    feature = np.random.default_rng(0).standard_normal(384).astype(np.float32)
    assert identity(feature, np.stack([feature] * 8)) == {
        "identity": 1.0,
        "identity_min": 1.0,
        "identity_last": 1.0,
    }


@pytest.mark.parametrize(
    ("degrees", "expected"), [(0, 1.000), (30, 0.950), (60, 0.810), (90, 0.603)]
)
def test_a_steady_drift_over_16_frames(degrees: float, expected: float) -> None:
    angles = np.linspace(0, np.radians(degrees), 16)
    values = identity([1.0, 0.0], np.stack([np.cos(angles), np.sin(angles)], axis=1))
    assert values["identity"] == pytest.approx(expected, abs=5e-4)
    assert values["identity_min"] == pytest.approx(np.cos(np.radians(degrees)), abs=1e-12)
    assert values["identity_last"] == pytest.approx(np.cos(np.radians(degrees)), abs=1e-12)


def test_frame_0_does_not_count_and_minimum_and_last_differ() -> None:
    values = identity([1.0, 0.0], [[-1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert_allclose(list(values.values()), [np.sqrt(0.5) / 2, 0.0, np.sqrt(0.5)], atol=1e-12)


def test_cosines_agree_with_scipy_and_ignore_length() -> None:
    generator = np.random.default_rng(1)
    one, many = generator.standard_normal(64), generator.standard_normal((10, 64))
    expected = [1 - distance.cosine(one, row) for row in many]
    assert_allclose(cosines(one, many), expected, atol=1e-12)
    assert_allclose(cosines(3 * one, many * np.arange(1, 11)[:, None]), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("image", "frames", "message"),
    [
        ([1.0, 0.0], [[1.0, 0.0]], "1 frame; 2 or more"),
        ([1.0, 0.0], [[1.0, np.nan], [1.0, 0.0]], "1 values that are not finite"),
        ([0.0, 0.0], [[1.0, 0.0], [1.0, 0.0]], "length zero"),
        ([1.0, 0.0, 0.0], [[1.0, 0.0], [1.0, 0.0]], r"got \(3,\) and \(2, 2\)"),
        ([1.0, 0.0], np.zeros((0, 2)), r"got \(0, 2\)"),
    ],
)
def test_bad_features_are_named(
    image: list[float], frames: list[list[float]], message: str
) -> None:
    with pytest.raises(EvalError, match=message):
        identity(image, frames)
