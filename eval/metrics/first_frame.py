"""How faithfully frame 0 shows the input image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError
from eval.metrics.definitions import Definition, Features, metric
from eval.metrics.pixel_errors import mse, psnr, ssim


def first_distance(distances: npt.ArrayLike) -> float:
    """The distance of frame 0.

    Args:
        distances: float (F,), of each frame from the input image.

    Raises:
        EvalError: no frame, another shape, or a distance that is not finite.

    Example:
        >>> first_distance([0.125, 0.5])
        0.125
    """
    array = np.asarray(distances, dtype=np.float64)
    if array.ndim != 1 or not len(array) or not np.isfinite(array[0]):
        raise EvalError(f"lpips: need finite distances of shape (F,), got {array.shape}.")
    return float(array[0])


_MSE = Definition(
    name="first_frame.mse",
    kind="pixels",
    needs=("image",),
    unit="squared share of range",
    higher_is_better=False,
    description="Mean squared error of frame 0 against the input image at the clip's size, values "
    "in [0, 1].",
    source="This suite; the arithmetic is that of common_metrics_on_video_quality",
    preprocessing="the input image is brought to the clip's size: bicubic, antialiased, centre "
    "crop where the aspect ratios differ",
    caution="Of frame 0 alone. Methods whose first frame is the input by construction win it: read "
    "it beside how each method makes frame 0. A shift of one pixel costs much.",
    cannot_see="Every frame but the first.",
)


@metric(
    _MSE,
    replace(
        _MSE,
        name="first_frame.psnr",
        unit="dB",
        higher_is_better=True,
        description="10 log10(1 / MSE) of frame 0 against the input image at the clip's size; 100 "
        "dB where the MSE is below 1e-10.",
    ),
    replace(
        _MSE,
        name="first_frame.ssim",
        unit="similarity",
        higher_is_better=True,
        description="SSIM of frame 0 against the input image at the clip's size: Gaussian window "
        "of 11 px, per RGB channel.",
        source="Wang et al. 2004 (SSIM), as in common_metrics_on_video_quality",
    ),
)
def _first_frame(features: Features) -> dict[str, float]:
    image, frame = features.fitted_image(), features.clip.frames[0] / 255.0
    return {
        "first_frame.mse": mse(frame, image),
        "first_frame.psnr": psnr(frame, image),
        "first_frame.ssim": ssim(frame, image),
    }


@metric(
    replace(
        _MSE,
        name="first_frame.lpips",
        kind="perceptual",
        unit="distance",
        description="LPIPS distance of frame 0 from the input image.",
        source="Zhang et al. 2018 (LPIPS); torchmetrics' implementation",
        preprocessing="",
    )
)
def _first_frame_lpips(features: Features) -> float:
    return first_distance(features.distances())
