"""Whether the parts of a base fit each other, told from configurations and the headers of files.

A library that loads a part of another base fails late, clip by clip, or names a tensor and not the
part. What cannot be told here (of a checkpoint without configuration) is left to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.errors import EvalError
from eval.io.model_json import read_object
from eval.methods.adapter_layouts import check_adapter_fit
from eval.methods.base import Base, Part
from eval.methods.base_parts import Recipe, content_file, image_encoder, lora_file, model_kind
from eval.methods.tensor_headers import header

_LORA_TO_K = re.compile(r"attn2[._].*to_k.*(lora_A|lora_down|lora\.down)\.(\w+\.)?weight$")
_LONGEST = 32
"""Frames of AnimateDiff's motion modules, where their configuration states none."""
_KINDS = {768: "SD 1.5", 1024: "SD 2", 2048: "SDXL"}


def check_fit(recipe: Recipe, base: Base) -> None:
    """Whether VAE, text encoders, motion modules, I2V adapter, ControlNets, LoRAs and content
    adapter are for this UNet, and the image encoder for the content adapter. Raises EvalError
    naming the key and both sizes.
    """
    unet = _configuration(recipe, "model", Part(model=base.model, subfolder="unet"))
    if recipe.concatenation and base.concatenation_unet is not None:
        own = _configuration(recipe, "concatenation_unet", base.concatenation_unet)
        _same("concatenation_unet", own, unet, "cross_attention_dim")
        unet = own
    inner = Part(model=base.model, subfolder="vae")
    vae = _configuration(recipe, "vae" if base.vae else "model", base.vae or inner)
    _check_channels(recipe, base, unet, vae)
    if base.motion_adapter is not None and not recipe.concatenation:
        _same("motion_adapter", _configuration(recipe, "motion_adapter", base.motion_adapter), unet)
    for net in base.named_controlnet(recipe.controlnet):
        key = f"controlnets[{base.controlnets.index(net)}]"
        own = _configuration(recipe, key, net)
        _same(key, own, unet)
        _same(key, own, unet, "cross_attention_dim")
    if recipe.adapter and base.i2v_adapter is not None:
        check_adapter_fit(recipe, base.i2v_adapter, unet)
    width = unet.get("cross_attention_dim")
    if not isinstance(width, int):
        return
    _check_text(recipe, base, width)
    for lora in base.named_lora(recipe.lora):
        key = f"loras[{base.loras.index(lora)}]"
        file = lora_file(recipe, key, lora)
        shapes = [
            shape
            for name, shape in header(file).items()
            if _LORA_TO_K.search(name) and "motion_modules" not in name  # these read no text
        ]
        _check_width(key, file, width, [shape[1] for shape in shapes if len(shape) == 2])
    if recipe.content and base.content_adapter is not None:
        file = content_file(recipe, base.content_adapter)
        known = header(file)
        shape = known.get("ip_adapter.1.to_k_ip.weight", ())
        _check_width("content_adapter", file, width, list(shape[1:2]))
        _check_image_encoder(image_encoder(recipe, base.content_adapter), file, known)


def longest_clip(recipe: Recipe) -> int | None:
    """Frames of the longest clip that the motion modules can make; None where no configuration
    tells."""
    base = recipe.parsed
    if recipe.concatenation and base.concatenation_unet is not None:
        found = _configuration(recipe, "concatenation_unet", base.concatenation_unet)
    elif base.motion_adapter is not None:
        found = _configuration(recipe, "motion_adapter", base.motion_adapter)
    else:
        found = _configuration(recipe, "model", Part(model=base.model, subfolder="unet"))
    longest = found.get("motion_max_seq_length", _LONGEST) if found else None
    return longest if isinstance(longest, int) else None


def _configuration(recipe: Recipe, key: str, part: Part) -> Mapping[str, Any]:
    """A part's ``config.json``; empty where it has none, as checkpoint files have."""
    folder = recipe.find(key, part.model) / (part.subfolder or "")
    file = folder / "config.json"
    return {} if part.weight_name or not file.is_file() else read_object(f"base.{key}", file)


def _same(
    key: str, own: Mapping[str, Any], unet: Mapping[str, Any], name: str = "block_out_channels"
) -> None:
    """Raises EvalError where both configurations state `name` and differ."""
    if name in own and name in unet and own[name] != unet[name]:
        raise EvalError(
            f"base.{key}: it is for a UNet with {name} {_plain(own[name])}, and this base's has "
            f"{_plain(unet[name])}; give one of this base's kind"
        )


def _check_text(recipe: Recipe, base: Base, width: int) -> None:
    """Raises EvalError where the model's text encoders give another width than its UNet reads."""
    names = ("text_encoder", "text_encoder_2")[: 2 if model_kind(recipe) == "SDXL" else 1]
    inner = [Part(model=base.model, subfolder=name) for name in names]
    found = [_configuration(recipe, "model", part).get("hidden_size") for part in inner]
    widths = [value for value in found if isinstance(value, int)]
    if widths and sum(widths) != width:
        given = " + ".join(str(value) for value in widths)
        raise EvalError(
            f"base.model: {base.model} does not fit together: its UNet reads text of width "
            f"{_kind(width)}, and its text encoder{'s give' if len(widths) > 1 else ' gives'} "
            f"{given}; is a part missing, or of another model?"
        )


def _check_channels(
    recipe: Recipe, base: Base, unet: Mapping[str, Any], vae: Mapping[str, Any]
) -> None:
    latent, taken = vae.get("latent_channels"), unet.get("in_channels")
    if not (isinstance(latent, int) and isinstance(taken, int)):
        return
    wanted = 2 * latent if recipe.concatenation else latent
    if taken == wanted:
        return
    if recipe.concatenation:
        key, hint = "concatenation_unet", "noisy and clean latents, one behind the other"
    elif base.vae is not None:
        key, hint = "vae", "give a VAE of this base's kind"
    else:
        key, hint = "model", "an inpainting or other widened UNet is no base"
    raise EvalError(
        f"base.{key}: the UNet takes {taken} channels, and the VAE's latents have {latent}, so "
        f"{wanted} are needed ({hint})"
    )


def _check_width(key: str, file: Path, width: int, found: list[int]) -> None:
    """Raises EvalError where cross-attention of another width is what a file was trained on."""
    other = next((value for value in found if value != width), None)
    if other is not None:
        raise EvalError(
            f"base.{key}: {file} was trained on another base: its cross-attention reads text of "
            f"width {_kind(other)}, this base's of width {_kind(width)}"
        )


def _kind(width: int) -> str:
    return f"{width} ({_KINDS[width]})" if width in _KINDS else str(width)


def _check_image_encoder(folder: Path, file: Path, known: Mapping[str, tuple[int, ...]]) -> None:
    """Raises EvalError where the content adapter reads embeddings of another width."""
    config = read_object("base.content_adapter.image_encoder", folder / "config.json")
    for tensor, name in (
        ("image_proj.proj.weight", "projection_dim"),
        ("image_proj.proj_in.weight", "hidden_size"),
    ):
        shape, own = known.get(tensor, ()), config.get(name)
        if len(shape) == 2 and isinstance(own, int) and shape[1] != own:
            raise EvalError(
                f"base.content_adapter: {file} reads image embeddings of width {shape[1]}, and "
                f"{folder} has {name} {own}; give by image_encoder the one it was trained with"
            )


def _plain(value: Any) -> str:
    return ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)
