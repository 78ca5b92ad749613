"""Motion amplitude: how fast things move, whatever the frame size and rate."""

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError

TOP_SHARE = 0.05
"""Share of the pixels of a frame pair that `motion_top5` averages."""


def motion(flow: npt.ArrayLike, fps: float) -> dict[str, float]:
    """Mean flow magnitude / min(H, W) * fps, over all pixels and over the fastest 5 %.

    The fastest pixels are chosen within each pair of frames (floor(0.05 H W) of them, at least one) and their means
    averaged over pairs, so a small object that moves through a still scene scores its own speed.

    Args:
        flow: float (P, H, W, 2), displacement in pixels from each frame to the next, (dx, dy); P >= 1.
        fps: frames per second of the clip, finite and above 0.

    Returns:
        ``motion`` and ``motion_top5`` in frame sizes per second, >= 0; 1 means the shorter side of the frame in a
        second.

    Raises:
        EvalError: no frame pair, another shape, flow that is not finite, or an impossible frame rate.

    Source: the suite's metrics.md, "Motion amplitude"; top 5 % as in VBench's dynamic degree.

    Example:
        >>> motion(np.full((7, 64, 64, 2), (3.0, 4.0)), fps=8)
        {'motion': 0.625, 'motion_top5': 0.625}
    """
    field = np.asarray(flow, dtype=np.float64)
    if field.ndim != 4 or field.shape[3] != 2 or min(field.shape) < 1:
        raise EvalError(f"motion: flow must have shape (P, H, W, 2) and a frame pair or more, got {field.shape}.")
    if not np.isfinite(field).all():
        raise EvalError(f"motion: the flow holds {int((~np.isfinite(field)).sum())} values that are not finite.")
    if not (np.isfinite(fps) and fps > 0):
        raise EvalError(f"motion: fps is {fps}; it must be finite and above 0.")
    pairs, height, width, _ = field.shape
    magnitude = np.hypot(field[..., 0], field[..., 1]).reshape(pairs, height * width)
    top = max(1, int(TOP_SHARE * height * width))
    fastest = np.partition(magnitude, -top, axis=1)[:, -top:]
    scale = fps / min(height, width)
    return {"motion": float(magnitude.mean()) * scale, "motion_top5": float(fastest.mean()) * scale}
