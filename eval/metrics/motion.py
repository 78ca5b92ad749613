"""Motion amplitude: speed of motion, independent of frame size and rate."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError
from eval.io.arrays import Float64Array
from eval.metrics.definitions import Definition, Features, metric
from eval.metrics.pairs import FlowPair, PairStep, flow_of_pair

TOP_SHARE = 0.05
"""Share of the pixels of a frame pair that `motion_top5` averages."""


def motion(flow: npt.ArrayLike, fps: float) -> dict[str, float]:
    """Mean flow magnitude / min(H, W) * fps, over all pixels and over the fastest 5 %.

    The fastest pixels are chosen within each pair of frames (floor(0.05 H W) of them, at least one)
    and their means averaged over pairs, so a small object that moves through a still scene scores
    its own speed.

    Args:
        flow: float (P, H, W, 2), displacement in pixels from each frame to the next, (dx, dy);
            P >= 1.
        fps: frames per second of the clip, finite and above 0.

    Returns:
        ``motion`` and ``motion_top5`` in frame sizes per second, >= 0; 1 means the shorter side of
        the frame in a second.

    Raises:
        EvalError: no frame pair, another shape, flow that is not finite, or an impossible frame
            rate.

    Source: the suite's metrics.md, "Motion amplitude"; top 5 % as in VBench's dynamic degree.

    Examples:
        >>> motion(np.full((7, 64, 64, 2), (3.0, 4.0)), fps=8)
        {'motion': 0.625, 'motion_top5': 0.625}
    """
    field = flow_field(flow, "motion")
    return _per_second([_speeds(pair) for pair in field], min(field.shape[1:3]), fps)


def _per_second(speeds: Sequence[Float64Array], side: int, fps: float) -> dict[str, float]:
    """`motion` of the pairs' speeds (mean, fastest) in px."""
    if not (np.isfinite(fps) and fps > 0):
        raise EvalError(f"motion: fps is {fps}; it must be finite and above 0.")
    mean, top = np.mean(speeds, axis=0) * (fps / side)
    return {"motion": float(mean), "motion_top5": float(top)}


def flow_score(flow: npt.ArrayLike) -> float:
    """Mean flow magnitude in px per pair of frames, over all pixels and pairs.

    Args:
        flow: float (P, H, W, 2) in px, P >= 1.

    Raises:
        EvalError: no frame pair, another shape, or flow that is not finite.

    Source: Liu et al. 2024 (EvalCrafter), flow score; Guo et al. 2024 (I2V-Adapter), FlowScore.

    Examples:
        >>> flow_score(np.full((7, 64, 64, 2), (3.0, 4.0)))
        5.0
    """
    return float(
        np.mean([_magnitudes(pair[None]).mean() for pair in flow_field(flow, "flow score")])
    )


def flow_field(flow: npt.ArrayLike, name: str) -> npt.NDArray[np.float64]:
    """Flow as float64 (P, H, W, 2).

    Raises:
        EvalError: no frame pair, another shape, or flow that is not finite; `name` names the
            metric.
    """
    field = np.asarray(flow, dtype=np.float64)
    if field.ndim != 4 or field.shape[3] != 2 or min(field.shape) < 1:
        raise EvalError(
            f"{name}: flow must have shape (P, H, W, 2) and a frame pair or more, got "
            f"{field.shape}."
        )
    if not np.isfinite(field).all():
        raise EvalError(
            f"{name}: the flow holds {int((~np.isfinite(field)).sum())} values that are not finite."
        )
    return field


def fastest_magnitudes(field: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Magnitudes (P, n) of the fastest n = max(1, floor(0.05 H W)) pixels of each pair of (P, H, W,
    2), in no order.
    """
    magnitude = _magnitudes(field)
    top = max(1, int(TOP_SHARE * magnitude.shape[1]))
    return np.asarray(np.partition(magnitude, -top, axis=1)[:, -top:])


def _speeds(flow: Float64Array) -> Float64Array:
    """Mean magnitude of a pair's flow (H, W, 2), and of its fastest 5 %: (2,), px."""
    field = flow[None]
    return np.array([_magnitudes(field).mean(), fastest_magnitudes(field).mean()])


def pair_speeds(pair: FlowPair) -> Float64Array:
    """Mean magnitude of a pair's forward flow, and of its fastest 5 %: (2,), px."""
    return _speeds(flow_of_pair(pair.forward, "motion"))


SPEEDS = PairStep(pair_speeds)
"""What all metrics of speed ask of a pair."""


def _magnitudes(field: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.hypot(field[..., 0], field[..., 1]).reshape(len(field), -1)


_MOTION = (
    "Flow score of EvalCrafter and dynamic degree of VBench, made continuous and free of "
    "frame size and rate"
)
_PAPER = "Guo et al. 2024 (I2V-Adapter), table 1"
_EVALCRAFTER = "Liu et al. 2024 (EvalCrafter)"
_SIZES = "frame sizes/s"


@metric(
    Definition(
        name="motion",
        encoder_revision=1,
        kind="flow",
        unit=_SIZES,
        higher_is_better=None,
        description="Mean optical-flow magnitude, divided by the shorter frame side, times frames "
        "per second.",
        source=_MOTION,
        cannot_see="Whether the motion is right: a moving camera, a moving object and a wobbling "
        "picture count alike.",
    ),
    Definition(
        name="motion_top5",
        encoder_revision=1,
        kind="flow",
        unit=_SIZES,
        higher_is_better=None,
        description="As motion, over the fastest 5 % of the pixels of each pair of frames.",
        source=_MOTION,
        cannot_see="Whether the motion is right: a moving camera, a moving object and a wobbling "
        "picture count alike. All but the fastest 5 % of pixels.",
    ),
    pairs=SPEEDS,
)
def _motion(features: Features) -> Mapping[str, float]:
    side = min(features.clip.frames.shape[1:3])
    return _per_second(features.over_pairs(SPEEDS), side, features.clip.fps)


_FLOW_SCORE = Definition(
    name="evalcrafter.flow_score",
    encoder_revision=1,
    kind="flow",
    unit="px/frame",
    higher_is_better=None,
    description="Mean optical-flow magnitude in px from each frame to the next, at the clip's own "
    "rate and size.",
    source=f"{_EVALCRAFTER}, flow score",
    published="raft_things",
    caution="Doubles with the frame size and halves with the frame rate: equal sizes and rates "
    "only.",
    cannot_see="Whether the motion is right: a moving camera, a moving object and a wobbling "
    "picture count alike.",
)


@metric(
    replace(
        _FLOW_SCORE,
        caution=f"{_FLOW_SCORE.caution} v1 leaves out the padding, which EvalCrafter counts: use "
        "v2 to compare with its values.",
    ),
    replace(
        _FLOW_SCORE,
        versions=("v2",),
        view="padded",
        caution=f"{_FLOW_SCORE.caution} Where a side is no multiple of 8 the padding counts too, "
        "as in EvalCrafter.",
    ),
    Definition(
        name="paper.flow_score",
        encoder_revision=1,
        kind="flow",
        unit="px/frame",
        higher_is_better=None,
        description="Mean optical-flow magnitude in px from each frame to the next.",
        source=f"{_PAPER}, FlowScore",
        published="raft_things",
        caution="The paper counts more as better, and states neither frame size nor scale (its "
        "values are 0.1 to 1.6).",
        cannot_see="Whether the motion is right: a moving camera, a moving object and a wobbling "
        "picture count alike.",
    ),
    pairs=SPEEDS,
)
def _flow_score(features: Features) -> float:
    return float(np.mean(features.over_pairs(SPEEDS), axis=0)[0])
