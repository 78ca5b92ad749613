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


class SetDistance(Metric):
    """Keeps the features of both sets; subclasses say what their distance is.

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
        features = self.encoder(clips) if self.encoder else clips
        feature_matrix(features.detach().cpu().double().numpy(), "real" if real else "fake")
        (self.real if real else self.fake).append(features.detach())

    def _set(self, name: str) -> Any:
        held = getattr(self, name)
        if len(held) == 0:
            raise EvalError(
                f"{type(self).__name__}: no {name} clips; call update(..., real={name == 'real'}) "
                "first."
            )
        return dim_zero_cat(held).cpu().double().numpy()


class FrechetVideoDistance(SetDistance):
    """`eval.metrics.frechet.frechet_distance` between all features of both sets.

    Raises:
        EvalError: at `compute`, fewer than two features in a set, or feature sizes that differ.

    Example:
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
        return torch.tensor(frechet_distance(real, fake), dtype=torch.float64)

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
        return torch.tensor(
            kernel_distance(self._set("real"), self._set("fake")), dtype=torch.float64
        )
