"""Frame 0 against the input image and a clip against the true one, held against scikit-image."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from eval.clips.lossless import Clip
from eval.errors import EvalError
from eval.measure.catalogue import catalogue, parse_metric
from eval.measure.evaluator import Evaluator
from eval.measure.fitted import fitted
from eval.samples import Sample

GENERATOR = np.random.default_rng(11)
TRUE = Clip(GENERATOR.integers(0, 256, (3, 24, 20, 3), dtype=np.uint8), 8.0)
NOISY = np.clip(TRUE.frames + GENERATOR.integers(-40, 41, TRUE.frames.shape), 0, 255)
CLIP = Clip(NOISY.astype(np.uint8), 8.0)
SAMPLE = Sample("a", TRUE.frames[0], "a thing", clip=TRUE)
NAMES = ("mse", "psnr", "ssim")


def by_scikit_image(one: np.ndarray, other: np.ndarray) -> list[float]:
    gauss = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    kept, whole = (slice(5, -5),) * 2, {"data_range": 255, "channel_axis": 2, "full": True}
    similar = structural_similarity(one, other, **whole, **gauss)[1][kept]
    mse, psnr = mean_squared_error(one / 255, other / 255), peak_signal_noise_ratio(one, other)
    return [mse, psnr, similar.mean()]


def measured(family: str, sample: Sample, clip: Clip) -> list[float]:
    metrics = [parse_metric(f"{family}.{name}.pixels.v1") for name in NAMES]
    [values] = Evaluator(metrics).measure([sample], [clip])
    return [values[metric.id] for metric in metrics]


def test_first_frame_is_frame_0_against_the_image() -> None:
    expected = by_scikit_image(CLIP.frames[0], SAMPLE.image)
    assert measured("first_frame", SAMPLE, CLIP) == pytest.approx(expected, rel=1e-9)
    others = Clip(np.concatenate([CLIP.frames[:1], TRUE.frames[:1] * 0]), 8.0)
    assert measured("first_frame", SAMPLE, others) == pytest.approx(expected, rel=1e-9)
    assert measured("first_frame", SAMPLE, TRUE) == [0.0, 100.0, 1.0]


def test_reference_is_the_mean_over_frames() -> None:
    frames = zip(CLIP.frames, TRUE.frames, strict=True)
    expected = np.mean([by_scikit_image(*pair) for pair in frames], axis=0)
    assert measured("reference", SAMPLE, CLIP) == pytest.approx(list(expected), rel=1e-9)
    assert measured("reference", SAMPLE, TRUE) == [0.0, 100.0, 1.0]


def test_a_true_clip_of_another_length_or_none_is_named() -> None:
    with pytest.raises(EvalError, match="equal lengths and sizes"):
        measured("reference", SAMPLE, Clip(CLIP.frames[:2], 8.0))
    with pytest.raises(EvalError, match="the sample's true clip is not known"):
        measured("reference", Sample("a", TRUE.frames[0], "a thing"), CLIP)


def test_units_and_directions() -> None:
    better = {
        metric.id: (metric.unit, metric.higher_is_better, metric.needs)
        for metric in catalogue()
        if metric.family.startswith(("first_frame", "reference")) and metric.encoder == "pixels"
    }
    for family, needs in (("first_frame", ("image",)), ("reference", ("clip",))):
        assert better[f"{family}.mse.pixels.v1"] == ("squared share of range", False, needs)
        assert better[f"{family}.psnr.pixels.v1"] == ("dB", True, needs)
        assert better[f"{family}.ssim.pixels.v1"] == ("similarity", True, needs)


@pytest.mark.parametrize(("rows", "columns"), [(40, 60), (60, 40), (31, 31), (16, 90)])
def test_an_image_is_fitted_by_its_middle(rows: int, columns: int) -> None:
    """OpenCV's area filter on a smooth picture is an independent, slightly different reduction."""
    noise = cv2.GaussianBlur(GENERATOR.random((rows * 8, columns * 8, 3)), (0, 0), 60)
    low, high = noise.min(), noise.max()
    picture = np.rint(255 * (noise - low) / (high - low)).astype(np.uint8)
    found = fitted(picture, 24, 32)
    assert found.shape == (24, 32, 3)
    assert 0 <= found.min() <= found.max() <= 1
    scale = max(24 / (rows * 8), 32 / (columns * 8))
    height, width = round(24 / scale), round(32 / scale)
    top, left = (rows * 8 - height) // 2, (columns * 8 - width) // 2
    middle = picture[top : top + height, left : left + width]
    expected = cv2.resize(middle, (32, 24), interpolation=cv2.INTER_AREA) / 255
    assert np.abs(found - expected).mean() < 0.02


def test_an_image_of_the_clip_s_size_is_left_alone() -> None:
    assert np.array_equal(fitted(SAMPLE.image, 24, 20), SAMPLE.image / 255)
