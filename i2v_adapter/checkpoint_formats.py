"""The released checkpoint formats of the adapter.

Read are: this project's own (a folder with `config.json`), the official `i2v_module.pth`, plain or
under `state_dict`, and the unofficial layout, whose keys are those of a whole attention layer. The
last two hold nothing but tensors: which UNet they are for comes from a UNet at hand, or else is
Stable Diffusion 1.5.
"""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

Layers: TypeAlias = Mapping[str, Mapping[str, int]]

OFFICIAL_NAME = "i2v_module.pth"
TENSORS = ("to_q_ff.weight", "to_out_ff.weight", "to_out_ff.bias")
_UNOFFICIAL = {
    "to_q.weight": TENSORS[0],
    "to_out.0.weight": TENSORS[1],
    "to_out.0.bias": TENSORS[2],
}
_UNOFFICIAL_DROPPED = ("to_k.weight", "to_v.weight")
_LISTED = 20
MOST_LAYERS, WIDEST = 1024, 16_384
"""Of a configuration that is read: the largest UNets have 70 layers and a width of 2048."""


class ReleasedWeights(NamedTuple):
    """Tensors under this project's names, and the `layout` they were found in: "official" or
    "unofficial".
    """

    tensors: dict[str, Tensor]
    layout: str


def stable_diffusion_15_layers() -> dict[str, dict[str, int]]:
    """The 16 spatial self-attentions of a Stable Diffusion 1.5 UNet, as :class:`I2VAdapter`'s
    `layers`.
    """
    blocks = [(f"down_blocks.{i}.attentions.{j}", 320 * 2**i) for i in range(3) for j in range(2)]
    blocks += [("mid_block.attentions.0", 1280)]
    blocks += [
        (f"up_blocks.{i}.attentions.{j}", 320 * 2 ** (3 - i)) for i in (1, 2, 3) for j in range(3)
    ]
    return {
        f"{block}.transformer_blocks.0.attn1": {"channels": width, "inner": width, "heads": 8}
        for block, width in blocks
    }


def read_released(path: Path) -> ReleasedWeights:
    """Read an official or unofficial checkpoint file (`.safetensors`, or a pickle of tensors only).

    Raises:
        ValueError: the file is no checkpoint, holds something besides tensors, or no tensor of
            an adapter.
    """
    state = _read(path)
    if isinstance(state.get("state_dict"), Mapping):
        state = dict(state["state_dict"])
    strangers = [str(name) for name, value in state.items() if not isinstance(value, Tensor)]
    if strangers:
        raise ValueError(
            f"{path} must hold tensors only, but has other entries: {_listed(strangers)}"
        )
    if any(name.endswith(TENSORS) for name in state):
        return ReleasedWeights(state, "official")
    if any(".i2v_adapter." in name for name in state):
        return ReleasedWeights(_from_unofficial(state), "unofficial")
    raise ValueError(
        f"{path} is no adapter checkpoint: none of its {len(state)} tensors is named like"
        " <block>.attn1.to_q_ff.weight (official) or <block>.i2v_adapter.to_q.weight (unofficial)"
    )


def check_layers(layers: Layers) -> None:
    """Refuses what no UNet has, before memory is taken for it: a configuration may come from
    anywhere.

    Raises:
        ValueError: naming the layer: a path that is no path of modules, sizes that are no whole
            numbers from 1 to 16,384, heads that do not divide the inner width; too many layers.
    """
    if not isinstance(layers, Mapping) or len(layers) > MOST_LAYERS:
        raise ValueError(f"layers must name at most {MOST_LAYERS} layers with their sizes")
    for path, size in layers.items():
        parts = path.split(".")
        if not all(re.fullmatch(r"\w+", part) and not hasattr(nn.Module(), part) for part in parts):
            raise ValueError(f"layer {path[:100]!r} is not named as a module of a UNet is")
        known = isinstance(size, Mapping) and set(size) == {"channels", "inner", "heads"}
        if not known or not all(
            type(number) is int and 1 <= number <= WIDEST for number in size.values()
        ):
            raise ValueError(
                f"layer {path[:100]}: channels, inner and heads must be whole numbers from 1 to "
                f"{WIDEST}, not {str(size)[:100]}"
            )
        if size["inner"] % size["heads"]:
            raise ValueError(f"layer {path[:100]}: {size['heads']} heads do not divide the width")


def load_own(load: Callable[..., Any], source: str | os.PathLike[str], **options: Any) -> Any:
    """diffusers' loading, made strict: alone it leaves tensors that are missing untrained, and ends
    in many ways on files that are not what they should be.

    Args:
        load: `from_pretrained` of diffusers.
        source: a folder or hub id of this project's own format.
        **options: of `load`.

    Raises:
        ValueError: naming tensors that are missing, unexpected or mis-shaped, or what cannot be
            read.
    """
    wants_info = options.pop("output_loading_info", False)
    try:
        adapter, info = load(source, output_loading_info=True, **options)
    except (OSError, ValueError):
        raise
    except Exception as error:  # whatever a damaged configuration or index leads to
        reason = (str(error).splitlines() or [""])[0][:200]
        raise ValueError(
            f"{source} cannot be read as an adapter ({type(error).__name__}: {reason})"
        ) from error
    wrong = {
        "missing": info["missing_keys"],
        "unexpected": info["unexpected_keys"],
        "mis-shaped": [name for name, *_ in info["mismatched_keys"]],
    }
    if any(wrong.values()):
        details = "; ".join(
            f"{kind}: {_listed(sorted(names))}" for kind, names in wrong.items() if names
        )
        raise ValueError(f"{source}: its tensors do not fit its config.json: {details}")
    return (adapter, info) if wants_info else adapter


def check_tensors(tensors: Mapping[str, Tensor], layers: Layers, source: str) -> None:
    """Compare tensors with what an adapter for `layers` needs.

    Raises:
        ValueError: names every missing, unexpected and mis-shaped tensor (of long lists the
            first 20), on one line.
    """
    expected: dict[str, tuple[int, ...]] = {}
    for path, size in layers.items():
        shapes = (
            (size["inner"], size["channels"]),
            (size["channels"], size["inner"]),
            (size["channels"],),
        )
        expected |= {f"{path}.{name}": shape for name, shape in zip(TENSORS, shapes, strict=True)}
    misshaped = [
        f"{name} (expected {shape}, found {tuple(tensors[name].shape)})"
        for name, shape in expected.items()
        if name in tensors and tensors[name].shape != shape
    ]
    problems = {
        "missing": [name for name in expected if name not in tensors],
        "unexpected": [name for name in tensors if name not in expected],
        "mis-shaped": misshaped,
    }
    if any(problems.values()):
        details = "; ".join(
            f"{kind}: {_listed(names)}" for kind, names in problems.items() if names
        )
        raise ValueError(f"{source} does not fit an adapter of {len(layers)} layers: {details}")


def _read(path: Path) -> dict[str, Any]:
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(f"{path} cannot be read as a checkpoint: {error}") from None
    _refuse_a_bomb(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ValueError(
            f"{path} is not a pickle of tensors only, so it is not opened: it may run code; get it "
            "as safetensors"
        ) from None
    except OSError:
        raise
    except Exception as error:  # the reader of pickles raises whatever a torn one leads to
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path} cannot be read as a checkpoint: {reason}") from None
    if not isinstance(state, Mapping):
        raise ValueError(f"{path} must hold named tensors, but holds a {type(state).__name__}")
    return dict(state)


def _refuse_a_bomb(path: Path) -> None:
    """torch stores tensors as they are; an archive that grows when it is opened is no checkpoint.

    Raises:
        ValueError: it would take several times its size.
    """
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            whole = sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} cannot be read as a checkpoint: {error}") from None
    if whole > 4 * path.stat().st_size + 2**20:
        raise ValueError(
            f"{path} is no checkpoint: {path.stat().st_size:,} bytes that unpack to {whole:,}"
        )


def _from_unofficial(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renamed; keys and values of the layer's own, which the adapter shares with the base, are
    dropped.
    """
    tensors = {}
    for name, value in state.items():
        block, found, tensor = name.rpartition(".i2v_adapter.")
        if found and tensor in _UNOFFICIAL:
            tensors[f"{block}.attn1.{_UNOFFICIAL[tensor]}"] = value
        elif not found or tensor not in _UNOFFICIAL_DROPPED:
            tensors[name] = value
    return tensors


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def locate(
    source: str | os.PathLike[str], subfolder: str, weight_name: str | None
) -> tuple[Path, str | None]:
    """Where an adapter is loaded from, and the file name of a released checkpoint in it, if it is
    one. A folder with an `i2v_module.pth` and no `config.json` holds a released checkpoint.

    Raises:
        FileNotFoundError: a path that does not exist; a hub id is not looked up here.
    """
    path = Path(source)
    if not path.exists() and _is_surely_a_path(os.fspath(source)):
        raise FileNotFoundError(f"{path}: no such file or folder")
    folder = path / subfolder
    own = (folder / "config.json").is_file()
    if weight_name is None and not own and (folder / OFFICIAL_NAME).is_file():
        weight_name = OFFICIAL_NAME
    return path, weight_name


def _is_surely_a_path(text: str) -> bool:
    """Whether this is no hub id, which is `name` or `owner/name`."""
    return (
        text.startswith((".", "/", "~", os.sep))
        or "\\" in text
        or text.count("/") > 1
        or text.lower().endswith((".pth", ".pt", ".ckpt", ".bin", ".safetensors"))
    )
