"""Whether the weights of a model fit its configuration, told from the shapes of a few tensors.

A configuration of another model would otherwise be noticed while the weights are loaded, for every
clip again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.errors import EvalError
from eval.methods.tensor_headers import Shapes, header

_MODELS = (
    *("UNet2DConditionModel", "UNetMotionModel", "MotionAdapter", "ControlNetModel"),
    *("AutoencoderKL", "CLIPTextModel", "CLIPTextModelWithProjection"),
)
"""Classes in whose weights a key of the configuration is always the same size."""
_SIZES = (
    ("in_channels", re.compile(r"conv_in\.weight"), 1),
    ("latent_channels", re.compile(r"decoder\.conv_in\.weight"), 1),
    ("cross_attention_dim", re.compile(r"(?!.*motion_modules).*\.attn2\.to_k\.weight"), 1),
    ("motion_max_seq_length", re.compile(r".*motion_modules\..*pos_embed\.pe"), 1),
    ("hidden_size", re.compile(r".*token_embedding\.weight"), 1),
    ("vocab_size", re.compile(r".*token_embedding\.weight"), 0),
)
"""Key of a configuration, the tensors whose size it is, and their dimension."""
_BLOCK = re.compile(
    r"(?:encoder\.)?down_blocks\.(\d+)\."
    r"(?:resnets\.\d+\.conv1\.bias|motion_modules\.\d+\.(?:temporal_transformer\.)?norm\.bias)"
)
"""A tensor with as many values as its block has channels."""


def check_weights_fit(
    key: str, folder: Path, configuration: Mapping[str, Any], files: Sequence[Path]
) -> None:
    """Raises EvalError where a model's weights are of other sizes than its ``config.json`` states.

    Args:
        key: who asks, for messages.
        folder: of the model.
        configuration: its own.
        files: of its weights; empty ones, or those that cannot be read, are not looked at.
    """
    stated = configuration.get("_class_name") or configuration.get("architectures")
    if (stated[0] if isinstance(stated, list) and stated else stated) not in _MODELS:
        return
    shapes = {name: shape for file in files for name, shape in header(file).items()}
    for name, own, found in (*_sizes(configuration, shapes), *_blocks(configuration, shapes)):
        if own != found:
            raise EvalError(
                f"{key}: the weights in {folder} do not fit its config.json: it states {name} "
                f"{_plain(own)}, and the tensors have {_plain(found)}; one of the two is of "
                "another model"
            )


def _sizes(configuration: Mapping[str, Any], shapes: Shapes) -> list[tuple[str, Any, Any]]:
    found: list[tuple[str, Any, Any]] = []
    for name, pattern, dimension in _SIZES:
        own = configuration.get(name)
        if type(own) is not int:
            continue
        for tensor, shape in shapes.items():
            if pattern.fullmatch(tensor) and len(shape) > dimension:
                found.append((name, own, shape[dimension]))
    return found


def _blocks(configuration: Mapping[str, Any], shapes: Shapes) -> list[tuple[str, Any, Any]]:
    own = configuration.get("block_out_channels")
    widths = {
        int(match[1]): shape[0]
        for name, shape in shapes.items()
        if (match := _BLOCK.fullmatch(name)) and shape
    }
    if not widths or not isinstance(own, list):
        return []
    return [("block_out_channels", own, [width for _, width in sorted(widths.items())])]


def _plain(value: Any) -> str:
    return ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)
