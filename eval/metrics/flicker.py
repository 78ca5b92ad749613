"""Flicker and smoothness: changes that are not steady, from frame to frame."""

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError
from eval.metrics.definitions import Definition, Features, metric
from eval.metrics.motion import flow_field
from eval.metrics.vbench import video_frames


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
    return float(
        np.abs(np.diff(video_frames(frames, "flicker", least=3), n=2, axis=0)).mean() / 510
    )


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
    if not (np.isfinite(fps) and fps > 0):
        raise EvalError(f"smoothness: fps is {fps}; it must be finite and above 0.")
    change = np.linalg.norm(np.diff(field, axis=0), axis=-1)
    return float(change.mean() / min(field.shape[1:3]) * fps**2)


@metric(
    Definition(
        name="smoothness",
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
)
def _smoothness(features: Features) -> float:
    return smoothness(features.flow(), features.clip.fps)


@metric(
    Definition(
        name="flicker",
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
