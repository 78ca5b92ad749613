"""VBench's dimensions that rest on other networks than DINO and RAFT. Report them; gate on none of
them.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError
from eval.metrics.definitions import Definition, Features, metric
from eval.metrics.vbench import i2v_subject, subject_consistency


def mean_frame_score(scores: npt.ArrayLike, scale: float) -> float:
    """Mean score of a clip's frames, divided by `scale`.

    Args:
        scores: float (F,), F >= 1.
        scale: the score that becomes 1.

    Raises:
        EvalError: no frame, another shape, or a score that is not finite.

    Source: Huang et al. 2024 (VBench), aesthetic and imaging quality.

    Examples:
        >>> mean_frame_score([4.0, 6.0], 10)
        0.5
    """
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise EvalError(
            f"frame scores: need finite values of shape (F,), F 1 or more, got {array.shape}."
        )
    return float(array.mean() / scale)


def motion_smoothness(errors: npt.ArrayLike) -> float:
    """(255 - mean error) / 255: 1 where every other frame is what the interpolator makes of its
    neighbours.

    Args:
        errors: float (P,), P >= 1: mean absolute error of each interpolated frame, in 8-bit steps.

    Raises:
        EvalError: no error, another shape, values below 0, above 255 or not finite.

    Source: Huang et al. 2024 (VBench), motion smoothness.

    Examples:
        >>> motion_smoothness([0.0, 51.0])
        0.9
    """
    array = np.asarray(errors, dtype=np.float64)
    if array.ndim != 1 or not len(array) or not ((array >= 0) & (array <= 255)).all():
        raise EvalError(
            "motion smoothness: need errors from 0 to 255 of shape (P,), P 1 or more, got "
            f"{array.shape}."
        )
    return float((255 - array.mean()) / 255)


_VBENCH = "Huang et al. 2024 (VBench)"

_I2V_BACKGROUND = Definition(
    name="vbench.i2v_background",
    kind="image",
    needs=("image",),
    unit="score",
    higher_is_better=True,
    description="0.4 max c + 0.3 mean d + 0.3 min d, with c the cosines to the input image and d "
    "those of neighbouring frames, negative ones taken as 0.",
    source=f"{_VBENCH}, image-to-video background",
    published="dreamsim_ensemble",
    view="vbench",
    caution="Saturates when frame 0 is the input image. Never gate on it. v1 antialiases frames, "
    "as VBench's code does with torchvision 0.17 or later; compare the leaderboard, made with an "
    "earlier one, with noaa.v1.",
    cannot_see="Slow drift, and motion: a still clip of the input image scores 1.",
)


@metric(
    _I2V_BACKGROUND,
    replace(_I2V_BACKGROUND, versions=("noaa.v1",), view="vbench_noaa"),
)
def _i2v_background(features: Features) -> float:
    return i2v_subject(features.image(), features.frames())


@metric(
    Definition(
        name="vbench.background_consistency",
        kind="image-text",
        view="vbench_noaa",
        unit="score",
        higher_is_better=True,
        description="Mean over frames 1, 2, ... of (cosine to the frame before + cosine to frame "
        "0) / 2, negative cosines taken as 0.",
        source=f"{_VBENCH}, background consistency",
        published="clip_vitb32_openai",
        caution="Never looks at the input image. VBench's aggregate is a mean over frames, a mean "
        "over clips here: equal if all clips have equally many frames. VBench computes CLIP and "
        "cosines in float16 on CUDA, which moves values by up to 0.001.",
        cannot_see="Motion: a still clip scores 1, whatever it shows.",
    ),
)
def _background_consistency(features: Features) -> float:
    return subject_consistency(features.frames())


@metric(
    Definition(
        name="vbench.aesthetic_quality",
        kind="frame-score",
        unit="score",
        higher_is_better=True,
        description="Mean score of the frames by LAION's linear head on CLIP ViT-L/14, divided by "
        "10.",
        source=f"{_VBENCH}, aesthetic quality",
        published="clip_vitl14_laion",
        caution="Trained on ratings of photographs and paintings; never looks at the input image. "
        "VBench computes CLIP in float16 on CUDA, which moves values by up to 0.001.",
        cannot_see="The order of frames, motion, and what a clip is meant to show.",
    ),
)
def _aesthetic_quality(features: Features) -> float:
    return mean_frame_score(features.scores(), 10)


@metric(
    Definition(
        name="vbench.imaging_quality",
        kind="frame-score",
        unit="score",
        higher_is_better=True,
        description="Mean score of the frames by MUSIQ with the weights trained on SPAQ, divided "
        "by 100.",
        source=f"{_VBENCH}, imaging quality, mode 'longer'",
        published="musiq_spaq",
        caution="Trained on photographs of phones: it judges noise, blur and exposure, not what is "
        "shown. Never looks at the input image.",
        cannot_see="The order of frames, motion, and what a clip is meant to show.",
    ),
)
def _imaging_quality(features: Features) -> float:
    return mean_frame_score(features.scores(), 100)


@metric(
    Definition(
        name="vbench.motion_smoothness",
        frames=3,
        kind="interpolation",
        unit="score",
        higher_is_better=True,
        description="(255 - mean absolute error of every other frame against the interpolation of "
        "its neighbours) / 255.",
        source=f"{_VBENCH}, motion smoothness",
        published="amt_s",
        caution="A still clip scores 1. Values of another interpolator than AMT-S do not compare "
        "with VBench's: name them smoothness_vfi.",
        cannot_see="Whether there is motion, and whether it is right.",
    ),
    Definition(
        name="smoothness_vfi",
        frames=3,
        kind="interpolation",
        unit="score",
        higher_is_better=True,
        description="(255 - mean absolute error of every other frame against the interpolation of "
        "its neighbours) / 255, with an interpolator of one's own.",
        source=f"The formula of {_VBENCH}, motion smoothness",
        caution="A still clip scores 1. Values of two interpolators do not compare.",
        cannot_see="Whether there is motion, and whether it is right.",
    ),
)
def _motion_smoothness(features: Features) -> float:
    return motion_smoothness(features.interpolation())
