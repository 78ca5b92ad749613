"""LPIPS to the input: mean distance of the frames to the input image."""

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError
from eval.metrics.definitions import Definition, Features, metric


def input_distance(distances: npt.ArrayLike) -> float:
    """Mean over frames i >= 1 of the distance between input image and frame i; frame 0 is the input
    in such clips.

    Args:
        distances: float (F,), F >= 2.

    Raises:
        EvalError: fewer than two frames, another shape, or a distance that is not finite.

    Examples:
        >>> input_distance([0.0, 0.25, 0.75])
        0.5
    """
    array = np.asarray(distances, dtype=np.float64)
    if array.ndim != 1 or len(array) < 2:
        raise EvalError(f"lpips: distances must have shape (F,), F 2 or more, got {array.shape}.")
    if not np.isfinite(array).all():
        raise EvalError(
            f"lpips: {int((~np.isfinite(array)).sum())} of {len(array)} distances are not finite."
        )
    return float(array[1:].mean())


@metric(
    Definition(
        name="lpips",
        kind="perceptual",
        needs=("image",),
        unit="distance",
        higher_is_better=False,
        description="Mean LPIPS distance between the input image and frames 1, 2, ... (frame 0 "
        "left out).",
        source="Zhang et al. 2018 (LPIPS); torchmetrics' implementation",
        caution="Sensitive to place: a thing that moves is a thing that changed.",
        cannot_see="The order of frames, and whether a change was wanted: a still clip of the "
        "input image scores 0.",
    ),
)
def _lpips(features: Features) -> float:
    return input_distance(features.distances())
