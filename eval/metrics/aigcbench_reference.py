"""AIGCBench's measures against a reference video, which is the sample's true clip here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError
from eval.metrics.aigcbench import uniform_ssim
from eval.metrics.aigcbench_clip import PRECISION, READABLE
from eval.metrics.definitions import Definition, Features, metric
from eval.metrics.identity import unit_vectors

if TYPE_CHECKING:
    from eval.samples import Sample

KEY = (0, 4, 8, 12, 15)
"""Frames of the generated clip that are compared."""

REFERENCE = tuple(10 + 3 * k for k in KEY)
"""Frames of the reference video that they are compared with: 10, 22, 34, 46 and 55."""


def paired_cosines(one: npt.ArrayLike, other: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Cosine of each row of one array with the same row of the other.

    Args:
        one: float (N, D).
        other: float (N, D).

    Returns:
        float64 (N,).

    Raises:
        EvalError: shapes that differ, or as `unit_vectors`.

    Example:
        >>> paired_cosines([[1.0, 0.0], [0.0, 3.0]], [[2.0, 0.0], [1.0, 0.0]]).tolist()
        [1.0, 0.0]
    """
    left, right = unit_vectors(one, "features"), unit_vectors(other, "reference features")
    if left.shape != right.shape or left.ndim != 2:
        raise EvalError(
            f"cosines of pairs: need two arrays (N, D), got {left.shape} and {right.shape}"
        )
    return np.asarray(1.0 - 0.5 * np.sum((left - right) ** 2, axis=1))


def long_enough(sample: Sample) -> bool:
    """Whether the sample's true clip, if there is one, has the 56 frames that are read of it."""
    return sample.clip is None or len(sample.clip.frames) > REFERENCE[-1]


def _key_frames(features: Features) -> npt.NDArray[np.uint8]:
    """The reference's frames, uint8 (5, H, W, 3).

    Raises:
        EvalError: fewer than 16 frames in the clip, or 56 in the reference.
    """
    shown, true = features.clip.frames, features.true_clip().frames
    if len(shown) <= KEY[-1] or len(true) <= REFERENCE[-1]:
        raise EvalError(
            f"AIGCBench compares frames {', '.join(map(str, KEY))} of a clip with frames "
            f"{', '.join(map(str, REFERENCE))} of the true one; they have {len(shown)} and "
            f"{len(true)} frames"
        )
    return np.asarray(true[list(REFERENCE)])


_SSIM = Definition(
    name="aigcbench.ref_ssim_key",
    kind="pixels",
    needs=("clip",),
    about=long_enough,
    unit="similarity",
    higher_is_better=True,
    description="Mean SSIM of frames 0, 4, 8, 12 and 15 with frames 10, 22, 34, 46 and 55 of the "
    "true clip: uniform window of 7 px, mean of the channels.",
    source="Fan et al. 2024 (AIGCBench), GenVideo-RefVideo SSIM (key frames)",
    preprocessing="frames are resized to the true clip's size by OpenCV's bilinear filter, "
    "whatever the aspect ratio",
    published="pixels",
    caution="The pairing of frames is AIGCBench's for videos of WebVid: generated clips are taken "
    "to run at a third of the reference's frame rate and to start at its frame 10. Samples whose "
    "true clip has fewer than 56 frames have no value. It asks for this very clip, not for a "
    f"plausible one. {READABLE}",
    cannot_see="All other frames, and whether another motion would have been as right.",
)


@metric(_SSIM)
def _ssim(features: Features) -> float:
    true = _key_frames(features)
    height, width = true.shape[1:3]
    shown = features.resized(height, width, KEY)
    return float(np.mean([uniform_ssim(one, two) for one, two in zip(true, shown, strict=True)]))


_CLIP = replace(
    _SSIM,
    name="aigcbench.ref_clip_key",
    kind="image-text",
    view="pil",
    unit="cosine",
    description="Mean cosine of frames 0, 4, 8, 12 and 15 with frames 10, 22, 34, 46 and 55 of "
    "the true clip.",
    source="Fan et al. 2024 (AIGCBench), GenVideo-RefVideo CLIP (key frames)",
    published="clip_vitl14_openai",
)


@metric(
    replace(
        _CLIP,
        preprocessing="frames are resized by OpenCV's bilinear filter to the true clip's height as "
        "width and its width as height, as the published script does",
        caution=f"The script exchanges width and height: v2 does not. {_SSIM.caution} {PRECISION}",
    )
)
def _clip_transposed(features: Features) -> float:
    true = _key_frames(features)
    height, width = true.shape[1:3]
    shown = features.resized(width, height, KEY)  # exchanged
    return float(paired_cosines(features.encoded(shown), features.encoded(true)).mean())


@metric(
    replace(
        _CLIP,
        versions=("v2",),
        caution="Not AIGCBench's published value, which is v1: its script exchanges width and "
        f"height. {_SSIM.caution} {PRECISION}",
    )
)
def _clip(features: Features) -> float:
    true = _key_frames(features)
    height, width = true.shape[1:3]
    shown = features.resized(height, width, KEY)
    return float(paired_cosines(features.encoded(shown), features.encoded(true)).mean())
