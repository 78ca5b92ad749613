"""Pipelines on a base: its parts loaded and put together. Nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eval import device as devices
from eval.errors import EvalError, NotServedError
from eval.io.loading import loading
from eval.methods.base import Base
from eval.methods.base_identity import contents
from eval.methods.base_models import content_parts, controlnets, model_parts
from eval.methods.base_parts import Recipe, content_file, lora_name, model_kind, needed
from eval.methods.loaders import failing_once, part_errors, place

_KEPT: dict[Recipe, Any] = {}


def pipeline(recipe: Recipe, device: str) -> Any:
    """The pipeline of a recipe, on a resolved device. One is kept; another recipe frees it.

    Raises:
        EvalError: a part that cannot be loaded, or does not fit the others; names its key.
    """
    if recipe not in _KEPT:
        release()
        with loading(), failing_once(recipe, device, *contents(recipe)):
            _KEPT[recipe] = _place(_load(recipe), recipe.parsed, device)
    return _KEPT[recipe]


def release() -> bool:
    """Lets the kept pipeline go. Returns whether there was one."""
    found = bool(_KEPT)
    _KEPT.clear()
    if found:
        devices.free_memory()
    return found


devices.holds("base", release)


def _load(recipe: Recipe) -> Any:
    import torch
    from torch import nn

    from eval.methods import without_adapter as without
    from i2v_adapter import (
        I2VAdapterControlNetPipeline,
        I2VAdapterPipeline,
        I2VAdapterSDXLPipeline,
    )

    base, dtype = recipe.parsed, getattr(torch, recipe.dtype)
    kind = model_kind(recipe)
    nets = base.named_controlnet(recipe.controlnet)
    if nets and kind == "SDXL":
        raise NotServedError("base.controlnets: ControlNets are for SD 1.5 bases; this is SDXL")
    parts = model_parts(recipe, base, kind, dtype)
    classes: dict[tuple[bool, str], Any] = {
        (True, "SD 1.5"): I2VAdapterControlNetPipeline if nets else I2VAdapterPipeline,
        (True, "SDXL"): I2VAdapterSDXLPipeline,
        (False, "SDXL"): without.WithoutAdapterSDXLPipeline,
        (False, "SD 1.5"): without.WithoutAdapterControlNetPipeline
        if nets
        else without.WithoutAdapterPipeline,
    }
    if nets:
        parts["controlnet"] = controlnets(recipe, base, nets, dtype)
    if recipe.content:
        parts |= content_parts(recipe, base, dtype)
    found = classes[recipe.adapter, kind](**parts)
    found.set_progress_bar_config(disable=True)
    if recipe.content:
        _load_content(recipe, needed(base.content_adapter, "content_adapter"), found)
    _load_loras(recipe, base, found)
    if recipe.adapter:
        part = needed(base.i2v_adapter, "i2v_adapter")
        path = recipe.find("i2v_adapter", part)
        pooled = getattr(part, "pooled_group_norm", None)
        options = {} if pooled is None else {"pooled_group_norm": pooled}
        with part_errors("base.i2v_adapter", path):
            if part.subfolder is not None:
                options["subfolder"] = part.subfolder
            found.load_i2v_adapter(
                path, weight_name=part.weight_name, local_files_only=True, **options
            )
    for part_ in found.components.values():
        if isinstance(part_, nn.Module):
            part_.requires_grad_(False).eval()
    nn.Module.to(found.unet, dtype)  # a content adapter's layers come in their file's precision
    return found


def _load_content(recipe: Recipe, content: Any, found: Any) -> None:
    file = content_file(recipe, content)
    with part_errors("base.content_adapter", file):
        found.load_ip_adapter(
            str(file.parent),
            subfolder="",
            weight_name=file.name,
            image_encoder_folder=None,
            local_files_only=True,
        )


def _load_loras(recipe: Recipe, base: Base, found: Any) -> None:
    loras = base.named_lora(recipe.lora)
    for index, lora in enumerate(loras):
        key = f"loras[{base.loras.index(lora)}]"
        path = recipe.find(key, lora)
        options: dict[str, Any] = {"subfolder": lora.subfolder} if lora.subfolder else {}
        if lora.weight_name:
            options["weight_name"] = lora.weight_name
        with part_errors(f"base.{key}", path):
            found.load_lora_weights(
                str(path), adapter_name=lora_name(index), local_files_only=True, **options
            )
        known = {name for names in found.get_list_adapters().values() for name in names}
        if lora_name(index) not in known:
            raise EvalError(
                f"base.{key}: {path} has no layer that this model's UNet or text encoder has; is "
                "it a LoRA of another base?"
            )


def _place(found: Any, base: Base, device: str) -> Any:
    """Memory options, then the device."""
    import torch

    actions: list[tuple[bool, Callable[[], Any]]] = [
        (base.vae_slicing, found.vae.enable_slicing),
        (base.vae_tiling, found.vae.enable_tiling),
        (base.attention_slicing, found.enable_attention_slicing),
        (base.forward_chunking, lambda: found.unet.enable_forward_chunking(chunk_size=1, dim=1)),
    ]
    for wanted, action in actions:
        if wanted:
            action()
    if base.fp8:
        found.enable_fp8_storage()
    place(found, device, base.offload)
    if base.compile:
        found.unet = torch.compile(found.unet)
    return found
