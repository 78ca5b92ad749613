"""Pixel errors against closed forms, a window-by-window loop and published values."""

import math

import numpy as np
import pytest

from eval.errors import EvalError
from eval.metrics.pixel_errors import mse, psnr, ssim


def constant(value: float, frames: int = 2) -> np.ndarray:
    return np.full((frames, 16, 20, 3), value)


def by_windows(x: np.ndarray, y: np.ndarray) -> float:
    """SSIM as weighted moments about the weighted mean, one window and channel after the other."""
    weights = np.array(
        [[math.exp(-((i - 5) ** 2 + (j - 5) ** 2) / 4.5) for j in range(11)] for i in range(11)]
    )
    weights /= weights.sum()
    found = []
    for top in range(x.shape[0] - 10):
        for left in range(x.shape[1] - 10):
            for channel in range(3):
                a = x[top : top + 11, left : left + 11, channel]
                b = y[top : top + 11, left : left + 11, channel]
                p, q = (weights * a).sum(), (weights * b).sum()
                both = (weights * (a - p) * (b - q)).sum()
                apart = (weights * ((a - p) ** 2 + (b - q) ** 2)).sum()
                light = (2 * p * q + 1e-4) / (p * p + q * q + 1e-4)
                found.append(light * (2 * both + 9e-4) / (apart + 9e-4))
    return float(np.mean(found))


def test_ssim_agrees_with_a_loop_over_windows() -> None:
    generator = np.random.default_rng(0)
    x = generator.random((2, 14, 17, 3))
    y = np.clip(x + generator.normal(0, 0.2, x.shape), 0, 1)
    expected = np.mean([by_windows(a, b) for a, b in zip(x, y, strict=True)])
    assert ssim(x, y) == pytest.approx(expected, rel=1e-9)
    assert ssim(y, x) == pytest.approx(ssim(x, y), rel=1e-12)
    assert ssim(x, x) == pytest.approx(1, abs=1e-12)


def test_zeros_against_ones_give_the_published_values() -> None:
    """common_metrics_on_video_quality: SSIM 9.999e-05, PSNR 0."""
    assert ssim(constant(0.0), constant(1.0)) == pytest.approx(9.999e-05, abs=5e-9)
    assert psnr(constant(0.0), constant(1.0)) == 0
    assert mse(constant(0.0), constant(1.0)) == 1


@pytest.mark.parametrize(("a", "b"), [(0.2, 0.6), (0.5, 0.45), (0.0, 0.1)])
def test_constant_frames_have_closed_forms(a: float, b: float) -> None:
    x, y = constant(a), constant(b)
    assert mse(x, y) == pytest.approx((a - b) ** 2)
    assert psnr(x, y) == pytest.approx(-20 * math.log10(abs(a - b)))
    assert ssim(x, y) == pytest.approx((2 * a * b + 1e-4) / (a * a + b * b + 1e-4), rel=1e-9)


def test_opposite_structure_is_negative() -> None:
    """x = m + d and y = m - d: the covariance is minus the variance."""
    d = np.indices((16, 20)).sum(axis=0)[..., None] % 2 * np.full(3, 0.5) - 0.25
    assert ssim(0.5 + d, 0.5 - d) < -0.9


def test_psnr_is_the_mean_of_decibels() -> None:
    reference = np.zeros((2, 16, 20, 3))
    frames = np.stack([np.full((16, 20, 3), 0.1), np.zeros((16, 20, 3))])
    assert psnr(frames, reference) == pytest.approx((20 + 100) / 2)
    assert mse(frames, reference) == pytest.approx(0.005)


def test_eight_bit_frames_are_shares_of_255() -> None:
    frames = np.random.default_rng(1).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    other = frames[::-1].copy()
    for measure in (mse, psnr, ssim):
        assert measure(frames, other) == pytest.approx(measure(frames / 255, other / 255))
        assert measure(frames[0], other[0]) == pytest.approx(measure(frames[:1], other[:1]))


@pytest.mark.parametrize("measure", [mse, psnr, ssim])
def test_what_cannot_be_compared_is_refused(measure: object) -> None:
    assert callable(measure)
    good = constant(0.5)
    for frames, reference, words in (
        (good, good[:1], "equal lengths and sizes"),
        (good, good[:, :15], "equal lengths and sizes"),
        (good[..., :1], good[..., :1], r"must be \(F, H, W, 3\)"),
        (good * 255, good, r"must lie in \[0, 1\]"),
        (good * np.nan, good, r"must lie in \[0, 1\]"),
        (good.astype(int), good, "uint8 or float"),
    ):
        with pytest.raises(EvalError, match=words):
            measure(frames, reference)


def test_frames_smaller_than_the_window_are_refused() -> None:
    small = np.zeros((1, 10, 30, 3))
    with pytest.raises(EvalError, match="30 x 10 px"):
        ssim(small, small)
