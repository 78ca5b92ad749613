"""Distances between a set of true and a set of generated clips."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from eval.errors import EvalError
from eval.metrics.frechet import (
    CorrectedFrechet,
    FeatureStatistics,
    bias_corrected_frechet,
    feature_matrix,
    frechet_distance,
)
from eval.metrics.kernel import kernel_distance
from eval.torchmetrics.per_clip import scalar

_BITS = {torch.float32: torch.int32, torch.float64: torch.int64}


class SetDistance(Metric):
    """Keeps the features of both sets; subclasses say what their distance is.

    Features are float64 or float32 (all others become that) and are kept as integers of the same
    bits, on the device they come from: no cast of a module around the metric reaches them.

    Args:
        encoder: called on what `update` is given, clips for example, and returns features (N,
            D); None if `update` is given features.
        kwargs: see `torchmetrics.Metric`.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    real: list[Tensor]
    fake: list[Tensor]

    def __init__(self, encoder: Callable[[Tensor], Tensor] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.encoder = encoder
        self.add_state("real", default=[], dist_reduce_fx="cat")
        self.add_state("fake", default=[], dist_reduce_fx="cat")

    def update(self, clips: Tensor, real: bool) -> None:
        """Adds clips, or their features (N, D), to the true set or to the generated one.

        Raises:
            EvalError: features of another shape, or that are not finite.
        """
        features = (self.encoder(clips) if self.encoder else clips).detach()
        name = "real" if real else "fake"
        if features.dtype != torch.float64:
            features = features.float()
        if features.ndim != 2 or 0 in features.shape or not bool(features.isfinite().all()):
            feature_matrix(features.cpu().numpy(), name)  # which says what is wrong
        held = getattr(self, name)
        bits = features.contiguous().view(_BITS[features.dtype])
        if len(held) and held[0].dtype != bits.dtype:
            raise EvalError(
                f"{type(self).__name__}: {name} features in float32 and in float64; use one dtype"
            )
        held.append(bits)

    def _set(self, name: str) -> Any:
        held = getattr(self, name)
        if len(held) == 0:
            raise EvalError(
                f"{type(self).__name__}: no {name} clips; call update(..., real={name == 'real'}) "
                "first."
            )
        bits = dim_zero_cat(held)
        dtype = torch.float64 if bits.dtype == torch.int64 else torch.float32
        return bits.view(dtype).cpu().double().numpy()


class FrechetVideoDistance(SetDistance):
    """`eval.metrics.frechet.frechet_distance` between all features of both sets.

    Raises:
        EvalError: at `compute`, fewer than two features in a set, or feature sizes that differ.

    Examples:
        >>> distance = FrechetVideoDistance()
        >>> distance.update(torch.tensor([[0.0], [2.0]]), real=True)
        >>> distance.update(torch.tensor([[3.0], [5.0]]), real=False)
        >>> distance.compute()
        tensor(9., dtype=torch.float64)
    """

    def compute(self) -> Tensor:
        real, fake = (
            FeatureStatistics.from_features(self._set(name), name) for name in ("real", "fake")
        )
        return scalar(frechet_distance(real, fake), self.device)

    def bias_corrected(self, **arguments: Any) -> CorrectedFrechet:
        """`eval.metrics.frechet.bias_corrected_frechet` of the features that this process holds."""
        return bias_corrected_frechet(self._set("real"), self._set("fake"), **arguments)


class KernelVideoDistance(SetDistance):
    """`eval.metrics.kernel.kernel_distance` between all features of both sets; unbiased, so it may
    be negative.

    Raises:
        EvalError: at `compute`, fewer than two features in a set, or feature sizes that differ.
    """

    def compute(self) -> Tensor:
        return scalar(kernel_distance(self._set("real"), self._set("fake")), self.device)
