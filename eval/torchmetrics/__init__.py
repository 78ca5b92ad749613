"""The metrics as `torchmetrics.Metric` classes: over the same pure functions, usable without the
rest of the suite.

They take features, as tensors, from whatever encoder the caller has; state is reduced over
processes by torchmetrics. Nothing else in `eval` imports this package, so torch stays out of the
harness until it is needed.

Example:
    >>> import torch
    >>> from eval.torchmetrics import KernelVideoDistance
    >>> distance = KernelVideoDistance()
    >>> distance.update(torch.zeros(2, 1), real=True)
    >>> distance.update(torch.full((2, 1), 2.0), real=False)
    >>> distance.compute()
    tensor(124., dtype=torch.float64)
"""

from eval.torchmetrics.per_clip import (
    DynamicDegree,
    Flicker,
    FlowScore,
    ImageConsistency,
    ImageToVideoSubject,
    InputIdentity,
    MeanOverClips,
    MotionAmplitude,
    NeighbourConsistency,
    SubjectConsistency,
    TextAlignment,
    WarpingError,
)
from eval.torchmetrics.per_set import FrechetVideoDistance, KernelVideoDistance

__all__ = [
    "DynamicDegree",
    "Flicker",
    "FlowScore",
    "FrechetVideoDistance",
    "ImageConsistency",
    "ImageToVideoSubject",
    "InputIdentity",
    "KernelVideoDistance",
    "MeanOverClips",
    "MotionAmplitude",
    "NeighbourConsistency",
    "SubjectConsistency",
    "TextAlignment",
    "WarpingError",
]
