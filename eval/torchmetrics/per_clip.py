"""Values of single clips, averaged over clips."""

import math
from abc import ABC, abstractmethod
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from eval.metrics import flicker, identity, motion, temporal, text, vbench, warping

_LIMB = 32
"""Bits of a limb."""
_PLACES = 1074
"""Binary places of the smallest float64."""
_LIMBS = 2100 // _LIMB + 1


class MeanOverClips(Metric, ABC):
    """The mean over clips of a number of each. One call of `update` is one clip.

    The sum is kept exactly, as int64 limbs of a fixed-point number: neither its order nor the
    number of processes changes the mean, no cast of a module around it (``.half()``,
    ``.to(torch.float16)``) reaches it, and devices without float64 can hold it.
    """

    is_differentiable = False
    full_state_update = False

    limbs: Tensor
    clips: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("limbs", torch.zeros(_LIMBS, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("clips", default=torch.tensor(0), dist_reduce_fx="sum")

    @abstractmethod
    def value(self, *arrays: Any) -> float:
        """The number of one clip, from numpy arrays."""

    def update(self, *inputs: Tensor | float) -> None:
        """Adds one clip; takes what `value` takes, arrays as tensors.

        Raises:
            EvalError: as the pure function that `value` calls.
        """
        arrays = [_array(given) if isinstance(given, Tensor) else given for given in inputs]
        value = self.value(*arrays)
        self.limbs += torch.tensor(_fixed_point(value), dtype=torch.int64, device=self.limbs.device)
        self.clips += 1

    def compute(self) -> Tensor:
        """Scalar on the metric's device, float64 where there is such; nan without clips."""
        clips = int(self.clips)
        total = sum(limb << _LIMB * place for place, limb in enumerate(self.limbs.tolist()))
        mean = float(Fraction(total, clips << _PLACES)) if clips else math.nan
        return scalar(mean, self.limbs.device)


def _fixed_point(value: float) -> list[int]:
    """A finite float as limbs, lowest first, all of its sign: the sum of limb * 2^(32 i - 1074)."""
    numerator, denominator = float(value).as_integer_ratio()
    whole = abs(numerator) * (2**_PLACES // denominator)
    sign = 1 if numerator >= 0 else -1
    return [sign * ((whole >> _LIMB * place) % 2**_LIMB) for place in range(_LIMBS)]


def scalar(value: float, device: torch.device) -> Tensor:
    """A scalar in the most precise dtype that the device has."""
    dtype = torch.float32 if device.type == "mps" else torch.float64
    return torch.tensor(value, dtype=dtype, device=device)


def _array(given: Tensor) -> Any:
    host = given.detach().cpu()
    return host.numpy() if host.dtype == torch.uint8 else host.double().numpy()


class InputIdentity(MeanOverClips):
    """`eval.metrics.identity.identity`: mean cosine to the input image over frames 1, 2, ...."""

    higher_is_better = True

    def value(self, image_feature: Any, frame_features: Any) -> float:
        """(D,) and (F, D)."""
        return identity.identity(image_feature, frame_features)["identity"]


class ImageToVideoSubject(MeanOverClips):
    """`eval.metrics.vbench.i2v_subject`."""

    higher_is_better = True

    def value(self, image_feature: Any, frame_features: Any) -> float:
        """(D,) and (F, D)."""
        return vbench.i2v_subject(image_feature, frame_features)


class SubjectConsistency(MeanOverClips):
    """`eval.metrics.vbench.subject_consistency`."""

    higher_is_better = True

    def value(self, frame_features: Any) -> float:
        """(F, D)."""
        return vbench.subject_consistency(frame_features)


class TextAlignment(MeanOverClips):
    """`eval.metrics.text.text_alignment`: mean over frames of 100 times the cosine to the
    prompt."""

    higher_is_better = True

    def value(self, text_feature: Any, frame_features: Any) -> float:
        """(D,) and (F, D)."""
        return text.text_alignment(text_feature, frame_features)["text"]


class ImageConsistency(MeanOverClips):
    """`eval.metrics.temporal.image_consistency`: the paper's CLIPTemp."""

    higher_is_better = True

    def value(self, image_feature: Any, frame_features: Any) -> float:
        """(D,) and (F, D)."""
        return temporal.image_consistency(image_feature, frame_features)


class NeighbourConsistency(MeanOverClips):
    """`eval.metrics.temporal.neighbour_consistency`: EvalCrafter's CLIP-Temp."""

    higher_is_better = True

    def value(self, frame_features: Any) -> float:
        """(F, D)."""
        return temporal.neighbour_consistency(frame_features)


class MotionAmplitude(MeanOverClips):
    """`eval.metrics.motion.motion` in frame sizes per second."""

    higher_is_better = None

    def value(self, flow: Any, fps: float) -> float:
        """(P, H, W, 2) in px, and frames per second."""
        return motion.motion(flow, fps)["motion"]


class FlowScore(MeanOverClips):
    """`eval.metrics.motion.flow_score` in px per frame."""

    higher_is_better = None

    def value(self, flow: Any) -> float:
        """(P, H, W, 2) in px."""
        return motion.flow_score(flow)


class DynamicDegree(MeanOverClips):
    """`eval.metrics.vbench.dynamic_degree`: the share of clips that move."""

    higher_is_better = None

    def value(self, flow: Any) -> float:
        """(P, H, W, 2) in px, between sampled frames."""
        return vbench.dynamic_degree(flow)


class WarpingError(MeanOverClips):
    """`eval.metrics.warping.warping_error`."""

    higher_is_better = False

    def value(self, frames: Any, forward: Any, backward: Any) -> float:
        """(F, H, W, 3) in [0, 1], and (F - 1, H, W, 2) twice."""
        return warping.warping_error(frames, forward, backward)


class Flicker(MeanOverClips):
    """`eval.metrics.flicker.flicker`."""

    higher_is_better = False

    def value(self, frames: Any) -> float:
        """uint8 (F, H, W, 3)."""
        return flicker.flicker(frames)
