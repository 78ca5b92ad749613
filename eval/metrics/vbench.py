"""VBench's formulas, for comparison with published tables. Report their values, but do not gate on
them.
"""

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError
from eval.metrics.definitions import Definition, Features, metric
from eval.metrics.identity import cosines
from eval.metrics.motion import SPEEDS, fastest_magnitudes, flow_field

SAMPLED_FPS = 8
"""Frames per second at which VBench looks at motion."""


def i2v_subject(image_feature: npt.ArrayLike, frame_features: npt.ArrayLike) -> float:
    """0.4 max c + 0.3 mean d + 0.3 min d, where c_i = cos(input image, frame i), d_i = cos(frame
    i-1, frame i), and negative cosines count as 0.

    Args:
        image_feature: float (D,), feature of the input image.
        frame_features: float (F, D), F >= 2.

    Returns:
        A score in [0, 1]; 1 if frame 0 is the input image and nothing changes.

    Raises:
        EvalError: fewer than two frames, shapes that do not fit, values that are not finite.

    Source: Huang et al. 2024 (VBench), image-to-video subject.

    Examples:
        >>> i2v_subject([1.0, 0.0], [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
        0.55
    """
    frames = np.asarray(frame_features, dtype=np.float64)
    to_image = np.maximum(cosines(image_feature, frames), 0)
    to_last = np.maximum(neighbour_cosines(frames), 0)
    return float(0.4 * to_image.max() + 0.3 * to_last.mean() + 0.3 * to_last.min())


def subject_consistency(frame_features: npt.ArrayLike) -> float:
    """Mean over frames i >= 1 of (cos(frame i-1, frame i) + cos(frame 0, frame i)) / 2, negative
    cosines as 0.

    Args:
        frame_features: float (F, D), F >= 2.

    Returns:
        A score in [0, 1]. The input image has no part in it.

    Raises:
        EvalError: as `i2v_subject`.

    Source: Huang et al. 2024 (VBench), subject consistency.

    Examples:
        >>> subject_consistency([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
        0.25
    """
    frames = np.asarray(frame_features, dtype=np.float64)
    to_last = np.maximum(neighbour_cosines(frames), 0)
    to_first = np.maximum(cosines(frames[0], frames[1:]), 0)
    return float(((to_last + to_first) / 2).mean())


def neighbour_cosines(frame_features: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """cos(frame i-1, frame i) for i >= 1: features (F, D) to float64 (F - 1,).

    Raises:
        EvalError: fewer than two frames, another number of axes, a feature that is not finite
            or of length zero.
    """
    frames = np.asarray(frame_features, dtype=np.float64)
    if frames.ndim != 2 or len(frames) < 2:
        raise EvalError(
            "neighbouring frames: features must have shape (F, D), F 2 or more, got "
            f"{frames.shape}."
        )
    pairs = itertools.pairwise(frames)
    return np.array([cosines(one, two[None])[0] for one, two in pairs])


def sampling_stride(fps: float) -> int:
    """max(1, round(fps / 8)): VBench looks at every n-th frame. Half-way cases go to the even
    number.

    Raises:
        EvalError: a rate that is not finite or not above 0.
    """
    if not (np.isfinite(fps) and fps > 0):
        raise EvalError(f"dynamic degree: fps is {fps}; it must be finite and above 0.")
    return max(1, round(fps / SAMPLED_FPS))


def dynamic_degree(flow: npt.ArrayLike, *, side: int | None = None) -> float:
    """1 if the clip moves, else 0, from the flow between neighbouring *sampled* frames (see
    `sampling_stride`).

    A pair moves if its fastest 5 % of pixels average over 6 min(H, W) / 256 px; the clip moves if
    at least round(4 N / 16) of the pairs among its N = P + 1 sampled frames do. At N = 2 that is
    none, so every such clip moves; and the fps tag decides which frames are sampled, hence the
    verdict.

    Args:
        flow: float (P, H, W, 2) in px; P >= 1.
        side: shorter side of the frames, px, where the flow has padding too; min(H, W) if None.

    Raises:
        EvalError: no pair, another shape, flow that is not finite.

    Source: Huang et al. 2024 (VBench), dynamic degree.

    Examples:
        >>> [dynamic_degree(np.full((7, 256, 256, 2), (speed, 0.0))) for speed in (6.1, 5.9)]
        [1.0, 0.0]
    """
    field = flow_field(flow, "dynamic degree")
    return _moves(fastest_magnitudes(field).mean(axis=1), side or min(field.shape[1:3]))


def _moves(fastest: npt.NDArray[np.float64], side: int) -> float:
    """`dynamic_degree` of the speed of each pair's fastest pixels (P,), px."""
    moving = fastest > 6 * side / 256
    return float(moving.sum() >= round(4 * (len(fastest) + 1) / 16))


def temporal_flickering(frames: npt.NDArray[np.uint8]) -> float:
    """(255 - mean |frame i - frame i-1|) / 255: 1 for a still clip.

    Args:
        frames: uint8 (F, H, W, 3), F >= 2.

    Raises:
        EvalError: another shape or dtype, or one frame.

    Source: Huang et al. 2024 (VBench), temporal flickering.

    Examples:
        >>> temporal_flickering(np.stack([np.full((2, 2, 3), v, np.uint8) for v in (0, 51, 0)]))
        0.8
    """
    frames = video_frames(frames, "temporal flickering", least=2)

    def change(start: int) -> float:
        now, after = (frames[start + step].astype(np.int16) for step in range(2))
        return float(np.abs(after - now).mean())

    return (255 - mean_over_time(change, len(frames) - 1)) / 255


def mean_over_time(change: Callable[[int], float], count: int) -> float:
    """Mean of `change` at 0 to count - 1: one step of a clip at a time, so that no copy of the
    whole clip is made.
    """
    return float(np.mean([change(start) for start in range(count)]))


def video_frames(frames: npt.ArrayLike, name: str, *, least: int) -> npt.NDArray[np.uint8]:
    """Frames as uint8 (F, H, W, 3), checked.

    Raises:
        EvalError: another dtype than uint8, another shape, or fewer than `least` frames; `name`
            names the metric.
    """
    array = np.asarray(frames)
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] != 3 or min(array.shape) < 1:
        raise EvalError(
            f"{name}: frames must be uint8 (F, H, W, 3) with no empty axis, got {array.dtype} "
            f"{array.shape}."
        )
    if len(array) < least:
        raise EvalError(f"{name}: the clip has {len(array)} frames; {least} or more are needed.")
    return array


_VBENCH = "Huang et al. 2024 (VBench)"


_I2V_SUBJECT = Definition(
    name="vbench.i2v_subject",
    encoder_revision=1,
    kind="image",
    needs=("image",),
    unit="score",
    higher_is_better=True,
    description="0.4 max c + 0.3 mean d + 0.3 min d, with c the cosines to the input image and d "
    "those of neighbouring frames, negative ones taken as 0.",
    source=f"{_VBENCH}, image-to-video subject",
    published="dino_vitb16",
    caution="Saturates when frame 0 is the input image: over 16 frames a drift of 90 degrees "
    "scores 0.997. Never gate on it.",
    cannot_see="Slow drift, and motion: a still clip of the input image scores 1.",
)
_ANTIALIAS = (
    " v2 antialiases frames, as VBench's code does with torchvision 0.17 or later: compare it with "
    "values that you compute so. The leaderboard's values were made with an earlier torchvision, "
    "without antialiasing: compare those with noaa.v1. The two differ by up to 0.003."
)


@metric(
    replace(
        _I2V_SUBJECT,
        caution=f"{_I2V_SUBJECT.caution} v1 is not VBench to the letter: it clamps, and its input "
        "image is resized as frames are; use v2 or noaa.v1.",
    ),
    replace(
        _I2V_SUBJECT,
        versions=("v2",),
        view="vbench",
        caution=_I2V_SUBJECT.caution + _ANTIALIAS,
    ),
    replace(
        _I2V_SUBJECT,
        versions=("noaa.v1",),
        view="vbench_noaa",
        caution=_I2V_SUBJECT.caution + _ANTIALIAS,
    ),
)
def _i2v_subject(features: Features) -> float:
    return i2v_subject(features.image(), features.frames())


@metric(
    Definition(
        name="vbench.subject_consistency",
        kind="image",
        view="uncropped",
        unit="score",
        higher_is_better=True,
        description="Mean over frames 1, 2, ... of (cosine to the frame before + cosine to frame "
        "0) / 2, negative "
        "cosines taken as 0.",
        source=f"{_VBENCH}, subject consistency",
        published="dino_vitb16",
        caution="Never looks at the input image.",
        cannot_see="Motion: a still clip scores 1, whatever it shows.",
    ),
)
def _subject_consistency(features: Features) -> float:
    return subject_consistency(features.frames())


_DYNAMIC = Definition(
    name="vbench.dynamic_degree",
    encoder_revision=1,
    kind="flow",
    view="sampled",
    unit="share of clips",
    higher_is_better=None,
    description="1 if at least round(N / 4) of the pairs among N sampled frames move, else 0; a "
    "pair moves if its fastest 5 % of pixels average over 6 min(H, W) / 256 px.",
    source=f"{_VBENCH}, dynamic degree",
    published="raft_things",
    caution="The fps tag changes the verdict, and at N = 2 every clip is dynamic. Never gate on "
    "it.",
    cannot_see="By how much a clip is above or below the threshold, and whether its motion is "
    "right.",
)


@metric(
    replace(
        _DYNAMIC,
        caution=f"{_DYNAMIC.caution} v1 leaves out the padding, which VBench counts: use v2.",
    ),
    replace(
        _DYNAMIC,
        versions=("v2",),
        view="sampled_padded",
        caution=f"{_DYNAMIC.caution} Where a side is no multiple of 8 the padding counts too, as "
        "in VBench.",
    ),
    pairs=SPEEDS,
)
def _dynamic_degree(features: Features) -> float:
    fastest = np.array(features.over_pairs(SPEEDS))[:, 1]
    return _moves(fastest, min(features.clip.frames.shape[1:3]))


@metric(
    Definition(
        name="vbench.temporal_flickering",
        kind="pixels",
        unit="score",
        higher_is_better=True,
        description="(255 - mean absolute difference of neighbouring frames) / 255.",
        source=f"{_VBENCH}, temporal flickering",
        published="pixels",
        caution="Any motion lowers it; VBench applies it to clips meant to be still.",
        cannot_see="The difference between flicker and motion, and what a clip shows.",
    ),
)
def _temporal_flickering(features: Features) -> float:
    return temporal_flickering(features.clip.frames)
