"""Pixel errors between frames of equal size: MSE, PSNR and SSIM."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from eval.errors import EvalError
from eval.io.arrays import Float64Array

WINDOW, SIGMA = 11, 1.5
"""Side and standard deviation of SSIM's Gaussian, px."""

C1, C2 = 0.01**2, 0.03**2
"""SSIM's constants for values in [0, 1]."""

HIGHEST_PSNR = 100.0
"""dB, of frames whose MSE is below 1e-10."""


def mse(frames: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """Mean squared error over frames, pixels and channels, of values in [0, 1].

    Args:
        frames: (F, H, W, 3) or one frame (H, W, 3): uint8, or float in [0, 1].
        reference: the same shape.

    Raises:
        EvalError: shapes that differ or are of no frames, or values outside the range.

    Example:
        >>> mse(np.zeros((4, 4, 3)), np.full((4, 4, 3), 0.5))
        0.25
    """
    return float(_squared_errors(frames, reference, "MSE").mean())


def psnr(frames: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """Mean over frames of 10 log10(1 / MSE) in dB; 100 for a frame whose MSE is below 1e-10.

    It is not the PSNR of the mean error: one perfect frame lifts it.

    Args:
        frames: as `mse`.
        reference: as `mse`.

    Raises:
        EvalError: as `mse`.

    Example:
        >>> psnr(np.zeros((4, 4, 3)), np.full((4, 4, 3), 0.1))
        20.0
    """
    errors = _squared_errors(frames, reference, "PSNR")
    decibels = -10 * np.log10(np.maximum(errors, 1e-10))
    return float(np.where(errors < 1e-10, HIGHEST_PSNR, decibels).mean())


def ssim(frames: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """Mean structural similarity over frames, channels and all places where the window fits.

    Gaussian window of 11 x 11 px, sigma 1.5, population covariance, K1 = 0.01, K2 = 0.03, on
    values in [0, 1], each RGB channel alone. scikit-image's default (uniform window of 7 px,
    sample covariance) gives other values.

    Args:
        frames: as `mse`; sides of 11 px or more.
        reference: as `mse`.

    Returns:
        A score in [-1, 1]; 1 for equal frames.

    Raises:
        EvalError: as `mse`, or frames smaller than the window.

    Source: Wang et al. 2004 (SSIM), as in common_metrics_on_video_quality.

    Example:
        >>> ssim(np.zeros((16, 16, 3)), np.zeros((16, 16, 3)))
        1.0
    """
    x, y = _pair(frames, reference, "SSIM")
    if min(x.shape[1:3]) < WINDOW:
        raise EvalError(
            f"SSIM: frames of {x.shape[2]} x {x.shape[1]} px; {WINDOW} x {WINDOW} or more are "
            "needed."
        )
    values = [_similarity(one, other).mean() for one, other in _each(x, y, "SSIM")]
    return float(np.mean(values))


def _similarity(x: Float64Array, y: Float64Array) -> Float64Array:
    mean_x, mean_y = _blurred(x), _blurred(y)
    variances = _blurred(x * x) - mean_x**2 + _blurred(y * y) - mean_y**2
    covariance = _blurred(x * y) - mean_x * mean_y
    light = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    return np.asarray(light * (2 * covariance + C2) / (variances + C2))


def _blurred(image: Float64Array) -> Float64Array:
    """Gaussian means of an image (H, W, 3) where the window fits: (H - 10, W - 10, 3)."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    kernel = np.exp(-(offsets**2) / (2 * SIGMA**2))
    kernel /= kernel.sum()
    for axis in (0, 1):
        image = sliding_window_view(image, WINDOW, axis=axis) @ kernel
    return image


def _squared_errors(frames: npt.ArrayLike, reference: npt.ArrayLike, name: str) -> Float64Array:
    """Mean squared error of each frame, float64 (F,)."""
    x, y = _pair(frames, reference, name)
    return np.array([((one - other) ** 2).mean() for one, other in _each(x, y, name)])


def _pair(
    frames: npt.ArrayLike, reference: npt.ArrayLike, name: str
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    x, y = _checked(frames, name), _checked(reference, name)
    if x.shape != y.shape:
        raise EvalError(
            f"{name}: frames {x.shape} and reference {y.shape} must have equal lengths and sizes"
        )
    return x, y


def _checked(frames: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    """As (F, H, W, 3), of the dtype given."""
    array = np.asarray(frames)
    shape = array.shape
    if array.ndim == 3:
        array = array[None]
    if array.ndim != 4 or array.shape[3] != 3 or min(array.shape) < 1:
        raise EvalError(f"{name}: frames must be (F, H, W, 3) with no empty axis, got {shape}")
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise EvalError(f"{name}: frames must be uint8 or float in [0, 1], got {array.dtype}")
    return array


def _each(
    x: npt.NDArray[Any], y: npt.NDArray[Any], name: str
) -> Iterator[tuple[Float64Array, Float64Array]]:
    """Two frames at a time, float64 (H, W, 3) in [0, 1]: a clip in float64 is eight times its
    frames."""
    for one, other in zip(x, y, strict=True):
        yield _values(one, name), _values(other, name)


def _values(frame: npt.NDArray[Any], name: str) -> Float64Array:
    values = frame.astype(np.float64) / (255 if frame.dtype == np.uint8 else 1)
    if not ((values >= 0) & (values <= 1)).all():
        raise EvalError(f"{name}: float frames must lie in [0, 1]")
    return values
