"""Linear layers of one input as one matrix product: Q, K, V of a layer and the adapter's Q'.

The layers' weights are laid side by side in memory, and stay the layers' own parameters: what
changes one in place (an optimizer, a LoRA that is merged) changes the product too. Before each use
it is checked that they still lie there; where they do not, the layers are called one by one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FusedProjections:
    """One product for those of several layers that are plain: `torch.nn.Linear` without bias,
    hooks or LoRA, in one dtype, on one device.
    """

    def __init__(self) -> None:
        self._layers: tuple[nn.Linear, ...] = ()
        self._weight: Tensor | None = None

    def fit(self, layers: Sequence[nn.Module]) -> None:
        """Lays the weights of the plain ones among `layers` side by side, unless they are."""
        group = _group(layers)
        if len(group) == len(self._layers) and self._lie_here(group):
            return
        self._layers, self._weight = (), None
        if len(group) > 1:
            self._layers, self._weight = group, _adjacent(group)

    def outputs(self, layers: Sequence[nn.Module], tokens: Tensor) -> list[Tensor | None]:
        """The outputs of those of `layers` that share a product, None for the others.

        Gradients with respect to weights are left to the layers themselves: where one is asked for,
        all are None.
        """
        group = self._layers
        found: list[Tensor | None] = [None] * len(layers)
        positions = [
            index for index, layer in enumerate(layers) if any(layer is one for one in group)
        ]
        if self._weight is None or len(positions) != len(group) or not all(map(_plain, group)):
            return found
        if torch.is_grad_enabled() and any(layer.weight.requires_grad for layer in group):
            return found
        weight = self._weight
        if torch.compiler.is_compiling():  # there is no address to check: joined at each call
            weight = torch.cat([layer.weight for layer in group])
        elif not self._lie_here(group):
            return found
        widths = [layer.out_features for layer in group]
        for index, output in zip(
            positions, F.linear(tokens, weight).split(widths, -1), strict=True
        ):
            found[index] = output
        return found

    def _lie_here(self, group: Sequence[nn.Linear]) -> bool:
        """Whether the weights of `group` are the rows of `_weight`, in memory."""
        if self._weight is None:
            return False
        address = self._weight.data_ptr()
        for ours, layer in zip(self._layers, group, strict=True):
            if ours is not layer or layer.weight.data_ptr() != address:
                return False
            if layer.weight.dtype != self._weight.dtype or not layer.weight.is_contiguous():
                return False
            address += layer.weight.numel() * layer.weight.element_size()
        return True


def separate(layers: Sequence[nn.Module]) -> None:
    """Gives the weights of the plain ones among `layers` memory of their own again."""
    with torch.inference_mode(False), torch.no_grad():
        for layer in _group(layers):
            layer.weight.data = layer.weight.detach().clone()


def _plain(layer: nn.Module) -> bool:
    """Whether calling the layer is one product with its weight and nothing else."""
    return (
        type(layer) is nn.Linear
        and layer.bias is None
        and type(layer.weight) is nn.Parameter
        and "forward" not in layer.__dict__  # replaced by offloading or layerwise casting
        and not layer._forward_hooks
        and not layer._forward_pre_hooks
    )


def _group(layers: Sequence[nn.Module]) -> tuple[nn.Linear, ...]:
    """Those of the plain layers that can share a product with the first of them."""
    plain = [layer for layer in layers if isinstance(layer, nn.Linear) and _plain(layer)]
    plain = [layer for layer in plain if not (layer.weight.is_meta or layer.weight.is_inference())]
    if not plain:
        return ()
    like = plain[0].weight
    return tuple(
        layer
        for layer in plain
        if layer.weight.dtype == like.dtype
        and layer.weight.device == like.device
        and layer.in_features == plain[0].in_features
        and type(layer.weight.data) is Tensor  # not quantized
    )


def _adjacent(group: Sequence[nn.Linear]) -> Tensor:
    """A tensor whose rows are the weights of the layers, each layer's its own parameter still."""
    with torch.inference_mode(False), torch.no_grad():
        there = _neighbours([layer.weight.detach() for layer in group])
        if there is not None:
            return there
        weight = torch.cat([layer.weight.detach() for layer in group])
        rows = weight.split([layer.out_features for layer in group])
        for layer, part in zip(group, rows, strict=True):
            layer.weight.data = part
        return weight


def _neighbours(weights: Sequence[Tensor]) -> Tensor | None:
    """The tensor that the weights are consecutive rows of, if there is one."""
    first = weights[0]
    storage, address = first.untyped_storage().data_ptr(), first.data_ptr()
    for weight in weights:
        if weight.untyped_storage().data_ptr() != storage or weight.data_ptr() != address:
            return None
        if not weight.is_contiguous():
            return None
        address += weight.numel() * weight.element_size()
    rows = sum(len(weight) for weight in weights)
    return first.as_strided((rows, first.shape[1]), (first.shape[1], 1))
