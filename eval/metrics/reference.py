"""How far a clip is from the true one, frame by frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError
from eval.metrics.definitions import Definition, Features, metric
from eval.metrics.pixel_errors import mse, psnr, ssim


def mean_distance(distances: npt.ArrayLike) -> float:
    """The mean distance of the frames from those of the true clip, frame 0 too.

    Args:
        distances: float (F,), F >= 1.

    Raises:
        EvalError: no frame, another shape, or a distance that is not finite.

    Example:
        >>> mean_distance([0.0, 0.5])
        0.25
    """
    array = np.asarray(distances, dtype=np.float64)
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise EvalError(f"lpips: need finite distances of shape (F,), got {array.shape}.")
    return float(array.mean())


_MSE = Definition(
    name="reference.mse",
    kind="pixels",
    needs=("clip",),
    unit="squared share of range",
    higher_is_better=False,
    description="Mean squared error of the frames against those of the true clip, values in "
    "[0, 1].",
    source="This suite; the arithmetic is that of common_metrics_on_video_quality",
    caution="Asks for this very clip, not for a plausible one: a clip that moves otherwise than "
    "the true one is wrong here, and a blurred mean of all futures wins. Lengths and sizes must "
    "be equal.",
    cannot_see="Whether another clip would have been as right: only the true one counts.",
)


@metric(
    _MSE,
    replace(
        _MSE,
        name="reference.psnr",
        unit="dB",
        higher_is_better=True,
        description="Mean over frames of 10 log10(1 / MSE) against the true clip; 100 dB for a "
        "frame whose MSE is below 1e-10. It is not the PSNR of the mean error.",
    ),
    replace(
        _MSE,
        name="reference.ssim",
        unit="similarity",
        higher_is_better=True,
        description="Mean over frames of SSIM against the true clip: Gaussian window of 11 px, per "
        "RGB channel.",
        source="Wang et al. 2004 (SSIM), as in common_metrics_on_video_quality",
    ),
)
def _reference(features: Features) -> dict[str, float]:
    frames, true = features.clip.frames, features.true_clip().frames
    return {
        "reference.mse": mse(frames, true),
        "reference.psnr": psnr(frames, true),
        "reference.ssim": ssim(frames, true),
    }


@metric(
    replace(
        _MSE,
        name="reference.lpips",
        kind="perceptual",
        unit="distance",
        description="Mean LPIPS distance of the frames from those of the true clip.",
        source="Zhang et al. 2018 (LPIPS); torchmetrics' implementation",
    )
)
def _reference_lpips(features: Features) -> float:
    return mean_distance(features.true_distances())
