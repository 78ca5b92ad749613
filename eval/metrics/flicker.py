"""Flicker and smoothness: changes that are not steady, from frame to frame."""

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError
from eval.io.arrays import Float64Array
from eval.metrics.definitions import Definition, Features, metric
from eval.metrics.motion import flow_field
from eval.metrics.pairs import FlowPair, PairStep, flow_of_pair
from eval.metrics.vbench import mean_over_time, video_frames


def flicker(frames: npt.NDArray[np.uint8]) -> float:
    """Mean |x_(t-1) - 2 x_t + x_(t+1)| over pixels, channels and time, divided by 510.

    A first difference would count every fade and every motion; the second one is 0 for a steady
    fade.

    Args:
        frames: uint8 (F, H, W, 3), F >= 3.

    Returns:
        A share in [0, 1]: 0 for still frames and linear fades, 1 for black and white in turn.

    Raises:
        EvalError: another shape or dtype, or fewer than three frames.

    Examples:
        >>> flicker(np.stack([np.full((2, 2, 3), v, np.uint8) for v in (0, 255, 0)]))
        1.0
    """
    frames = video_frames(frames, "flicker", least=3)

    def change(start: int) -> float:
        before, now, after = (frames[start + step].astype(np.int16) for step in range(3))
        return float(np.abs(before - 2 * now + after).mean())

    return mean_over_time(change, len(frames) - 2) / 510


def smoothness(flow: npt.ArrayLike, fps: float) -> float:
    """Mean magnitude of flow_(t+1) - flow_t at each pixel, divided by min(H, W), times fps squared.

    Args:
        flow: float (P, H, W, 2) in px per frame, P >= 2.
        fps: frames per second, finite and above 0.

    Returns:
        Frame sizes per second squared, >= 0; 0 for a steady pan, whatever its speed.

    Raises:
        EvalError: fewer than two pairs, another shape, flow that is not finite, or an
            impossible rate.

    Examples:
        >>> smoothness([np.full((8, 8, 2), (v, 0.0)) for v in (1.0, -1.0, 1.0)], fps=8)
        16.0
    """
    field = flow_field(flow, "smoothness")
    if len(field) < 2:
        raise EvalError(f"smoothness: the clip has {len(field) + 1} frames; 3 or more are needed.")
    changes = [_change(one, two) for one, two in itertools.pairwise(field)]
    return _acceleration(changes, min(field.shape[1:3]), fps)


def _acceleration(changes: Sequence[float], side: int, fps: float) -> float:
    if not (np.isfinite(fps) and fps > 0):
        raise EvalError(f"smoothness: fps is {fps}; it must be finite and above 0.")
    return float(np.mean(changes) / side * fps**2)


def _change(flow: Float64Array, following: Float64Array) -> float:
    return float(np.linalg.norm(following - flow, axis=-1).mean())


def pair_change(pair: FlowPair) -> float | None:
    """Mean magnitude, px, of the change from the previous pair's flow; None for the first pair."""
    if pair.previous is None:
        return None
    one, two = (flow_of_pair(flow, "smoothness") for flow in (pair.previous, pair.forward))
    return _change(one, two)


_CHANGES = PairStep(pair_change)


@metric(
    Definition(
        name="smoothness",
        frames=3,
        encoder_revision=1,
        kind="flow",
        unit="frame sizes/s²",
        higher_is_better=False,
        description="Mean magnitude of the change of flow from pair to pair at each pixel, divided "
        "by the shorter "
        "frame side, times the frame rate squared: 0 for steady motion.",
        source="This suite; the discrete acceleration of the flow",
        caution="Edges of moving things count where they pass; compare clips of like motion.",
        cannot_see="Steady motion, right or wrong: a pan scores 0 at any speed.",
    ),
    pairs=_CHANGES,
)
def _smoothness(features: Features) -> float:
    frames = features.clip.frames
    if len(frames) < 3:
        raise EvalError(f"smoothness: the clip has {len(frames)} frames; 3 or more are needed.")
    changes = [change for change in features.over_pairs(_CHANGES) if change is not None]
    return _acceleration(changes, min(frames.shape[1:3]), features.clip.fps)


@metric(
    Definition(
        name="flicker",
        frames=3,
        kind="pixels",
        unit="share of range",
        higher_is_better=False,
        description="Mean absolute second difference of pixel values over time, divided by its "
        "largest possible value: "
        "0 for still frames and steady fades, 1 for black and white in turn.",
        source="This suite; second differences, so that a fade is no flicker",
        caution="Moving edges count too; compare clips of like motion.",
        cannot_see="Anything that changes at a steady rate, such as a fade, and what a clip shows.",
    ),
)
def _flicker(features: Features) -> float:
    return flicker(features.clip.frames)
