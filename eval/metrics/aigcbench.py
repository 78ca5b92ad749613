"""AIGCBench's measures of frame 0, by their authors' arithmetic. Report them beside its table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from eval.errors import EvalError
from eval.io.arrays import Float64Array
from eval.metrics.definitions import Definition, Features, metric

WINDOW = 7
"""Side of SSIM's uniform window, px."""

C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
"""SSIM's constants for values of 0 to 255."""


def uniform_ssim(x: npt.NDArray[np.uint8], y: npt.NDArray[np.uint8]) -> float:
    """SSIM of two images (H, W, 3), as scikit-image computes it unless told otherwise: uniform
    window of 7 px, sample covariance, values of 0 to 255, mean of the channels.

    Raises:
        EvalError: shapes that differ, or images smaller than the window.

    Example:
        >>> uniform_ssim(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8))
        1.0
    """
    if x.shape != y.shape or x.ndim != 3 or min(x.shape[:2]) < WINDOW:
        raise EvalError(
            f"SSIM: images {x.shape} and {y.shape} must have one shape, {WINDOW} x {WINDOW} px or "
            "more"
        )
    a, b = x.astype(np.float64), y.astype(np.float64)
    unbiased = WINDOW**2 / (WINDOW**2 - 1)
    mean_a, mean_b = _means(a), _means(b)
    variances = unbiased * (_means(a * a) - mean_a**2 + _means(b * b) - mean_b**2)
    covariance = unbiased * (_means(a * b) - mean_a * mean_b)
    light = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    return float((light * (2 * covariance + C2) / (variances + C2)).mean())


def _means(image: Float64Array) -> Float64Array:
    for axis in (0, 1):
        image = sliding_window_view(image, WINDOW, axis=axis).mean(axis=-1)
    return image


_MSE = Definition(
    name="aigcbench.mse_first",
    kind="pixels",
    needs=("image",),
    unit="squared grey levels",
    higher_is_better=False,
    description="Mean squared error of frame 0, resized to the input image, values of 0 to 255.",
    source="Fan et al. 2024 (AIGCBench), MSE (First)",
    preprocessing="frame 0 is resized to the image's size by OpenCV's bilinear filter, whatever "
    "the aspect ratio",
    published="pixels",
    caution="A frame of another aspect ratio is squashed. Methods whose first frame is the input "
    "by construction win it. The published mean leaves out videos that cannot be read.",
    cannot_see="Every frame but the first.",
)


@metric(
    _MSE,
    replace(
        _MSE,
        name="aigcbench.ssim_first",
        unit="similarity",
        higher_is_better=True,
        description="SSIM of frame 0, resized to the input image: uniform window of 7 px, mean of "
        "the channels.",
        source="Fan et al. 2024 (AIGCBench), SSIM (First)",
    ),
)
def _first(features: Features) -> dict[str, float]:
    image, frame = features.known_image(), features.squashed_frame()
    errors = (frame.astype(np.float64) - image) ** 2
    return {
        "aigcbench.mse_first": float(errors.mean()),
        "aigcbench.ssim_first": uniform_ssim(frame, image),
    }
