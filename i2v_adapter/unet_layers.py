"""A UNet's spatial self-attention layers as an adapter's configuration describes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from diffusers import ModelMixin
from diffusers.models.attention_processor import Attention
from torch import nn

from i2v_adapter.attention import spatial_self_attentions


def name_repeated_blocks(unet: nn.Module) -> None:
    """Tells `unet.compile_repeated_blocks()` which blocks to compile, where diffusers names none:
    those of spatial and of motion transformers, which hold the attention.
    """
    if isinstance(unet, ModelMixin) and not getattr(unet, "_repeated_blocks", None):
        unet._repeated_blocks = ["BasicTransformerBlock"]


def uncompiled(unet: nn.Module) -> nn.Module:
    """The module that `torch.compile` wrapped, or `unet` itself."""
    return getattr(unet, "_orig_mod", unet)


def layer_shapes(unet: nn.Module) -> dict[str, dict[str, int]]:
    """`layers` of an adapter for `unet`."""
    return {
        path: _shape(layer) for path, layer in spatial_self_attentions(uncompiled(unet)).items()
    }


def _shape(layer: Attention) -> dict[str, int]:
    return {"channels": layer.query_dim, "inner": layer.inner_dim, "heads": layer.heads}


def _describe(shape: Mapping[str, int] | None) -> str:
    return (
        ", ".join(f"{name} {value}" for name, value in shape.items()) if shape else "no such layer"
    )


def check_fit(layers: Mapping[str, Mapping[str, int]], found: Mapping[str, Attention]) -> None:
    """Raises ValueError if a UNet's layers are not those of an adapter's configuration.

    Args:
        layers: path -> shape, of the adapter.
        found: path -> self-attention, of the UNet.
    """
    for path in sorted(layers.keys() | found.keys(), key=natural_order):
        wanted = dict(layers[path]) if path in layers else None
        shape = _shape(found[path]) if path in found else None
        if wanted != shape:
            raise ValueError(
                f"the adapter does not fit this UNet: layer {path}: expected {_describe(wanted)},"
                f" found {_describe(shape)}"
            )


def check_starts(starts: Iterable[str], layers: Iterable[str]) -> None:
    """Raises ValueError if one of `starts` begins no layer's path."""
    paths = [f"{path}." for path in layers]
    unknown = [one for one in starts if not any(path.startswith(f"{one}.") for path in paths)]
    if unknown:
        raise ValueError(f"scale names {', '.join(unknown)}, but no layer's path starts so")


def natural_order(path: str) -> list[tuple[int, str]]:
    """Sort key of a layer's path: numbers by value, so that block 10 follows block 9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in path.split(".")]
