"""An I2V adapter on disk, in any of its three layouts: whether it is whole and fits a base's UNet.

Nothing is loaded; `i2v_adapter.checkpoint_formats` does that.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.errors import EvalError
from eval.io.model_json import read_object
from eval.methods.base import Part
from eval.methods.base_parts import CLASSES, Recipe
from eval.methods.configurations import class_in
from eval.methods.model_folder import AGAIN, check_whole, weights_in
from eval.methods.tensor_headers import Shapes, header

OFFICIAL = "i2v_module.pth"
_TENSORS = ("to_q_ff.weight", "to_out_ff.weight", "to_out_ff.bias")
_UNOFFICIAL = "i2v_adapter.to_q.weight"
_KEY = "base.i2v_adapter"


def adapter_file(recipe: Recipe, part: Part) -> Path:
    """The checkpoint of an adapter in a released layout, the folder of one in this project's."""
    folder = recipe.find("i2v_adapter", part) / (part.subfolder or "")
    if part.weight_name is not None:
        return folder / part.weight_name
    own = (folder / "config.json").exists()
    return folder / OFFICIAL if not own and (folder / OFFICIAL).is_file() else folder


def check_own_layout(folder: Path) -> None:
    """Whether an adapter in this project's layout has every tensor that its configuration states.

    Raises:
        WeightsMissingError: it has no weights.
        EvalError: another model, or weights that do not fit its configuration.
    """
    key = _KEY
    configuration = read_object(key, folder / "config.json")
    layers = configuration.get("layers")
    if "_class_name" in configuration or not isinstance(layers, Mapping):
        class_in(key, folder, CLASSES["i2v_adapter"])
    files = weights_in(key, folder)
    check_whole(key, files)
    expected = _adapter_tensors(layers)
    if expected is None:
        raise EvalError(
            f"{key}: {folder / 'config.json'} states no layers with channels and inner; {AGAIN}"
        )
    _compare(key, folder, expected, {name: s for file in files for name, s in header(file).items()})


def _adapter_tensors(layers: Any) -> Shapes | None:
    """Name -> shape of the tensors of an adapter of these layers; None if they are no layers."""
    found: dict[str, tuple[int, ...]] = {}
    for path, size in layers.items() if isinstance(layers, Mapping) else ():
        channels, inner = (
            (size.get("channels"), size.get("inner")) if isinstance(size, dict) else (None, None)
        )
        if type(channels) is not int or type(inner) is not int:
            return None
        shapes = ((inner, channels), (channels, inner), (channels,))
        found |= {f"{path}.{name}": shape for name, shape in zip(_TENSORS, shapes, strict=True)}
    return found or None


def _compare(key: str, folder: Path, expected: Shapes, found: Shapes) -> None:
    wrong = {
        "missing": [name for name in expected if name not in found],
        "unexpected": [name for name in found if name not in expected],
        "of another shape": [
            f"{name} ({_sizes(found[name])} in the file, {_sizes(shape)} by config.json)"
            for name, shape in expected.items()
            if name in found and found[name] != shape
        ],
    }
    for what, names in wrong.items():
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise EvalError(
                f"{key}: the weights in {folder} do not fit its config.json: {what} is "
                f"{names[0]}{more}"
            )


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(str(size) for size in shape)


def check_adapter_fit(recipe: Recipe, part: Part, unet: Mapping[str, Any]) -> None:
    """Raises EvalError where an adapter has a layer that a UNet of this configuration has not, or
    lacks those of one of its blocks; names the layer.
    """
    file = adapter_file(recipe, part)
    blocks = _attention_blocks(unet)
    layers = _layers(file)
    if not blocks or not layers:
        return
    for layer, channels in layers.items():
        block = next((name for name in blocks if layer.startswith(f"{name}.")), None)
        if block is None or blocks[block] != channels:
            has = "no such layer" if block is None else f"{blocks[block]} channels there"
            raise EvalError(
                f"{_KEY}: {file} does not fit this base's UNet: layer {layer} has {channels} "
                f"channels, and the UNet has {has}; it is the adapter of another base"
            )
    for block in blocks:
        if not any(layer.startswith(f"{block}.") for layer in layers):
            raise EvalError(
                f"{_KEY}: {file} does not fit this base's UNet: it has no layer in {block}; it is "
                "the adapter of another base"
            )


def _layers(path: Path) -> dict[str, int]:
    """Path of a self-attention -> its channels."""
    if path.is_dir():
        stated = read_object(_KEY, path / "config.json").get("layers", {})
        return {name: size["channels"] for name, size in stated.items()}
    found: dict[str, int] = {}
    for name, shape in header(path).items():
        for ending, layer in ((_TENSORS[0], ""), (_UNOFFICIAL, "attn1")):
            if name.endswith(f".{ending}") and len(shape) == 2:
                found[name.removesuffix(ending) + layer] = shape[1]
    return {name.removesuffix("."): channels for name, channels in found.items()}


def _attention_blocks(unet: Mapping[str, Any]) -> dict[str, int]:
    """Blocks of a UNet with cross-attention -> their channels; none where it states no types."""
    down, up = unet.get("down_block_types"), unet.get("up_block_types")
    widths = unet.get("block_out_channels")
    if not (isinstance(down, list) and isinstance(up, list) and isinstance(widths, list)):
        return {}
    if not widths:
        return {}
    middle = unet.get("mid_block_type", "UNetMidBlock2DCrossAttn")
    found = {
        f"{side}.{index}": width
        for side, types, own in (
            ("down_blocks", down, widths),
            ("up_blocks", up, widths[::-1]),
        )
        for index, (kind, width) in enumerate(zip(types, own, strict=False))
        if "CrossAttn" in str(kind)
    }
    return found | ({"mid_block": widths[-1]} if "CrossAttn" in str(middle) else {})
