"""Pipelines on a base: its parts loaded and put together. Nothing is downloaded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eval import device as devices
from eval.errors import EvalError, NotServedError, WeightsMissingError, one_line
from eval.methods.base import Base, Content, ControlNet, Part
from eval.methods.base_parts import (
    SD15,
    SDXL,
    Recipe,
    image_encoder,
    lora_name,
    model_kind,
    needed,
)
from eval.methods.files import CHECKPOINTS

_KEPT: dict[Recipe, Any] = {}


def pipeline(recipe: Recipe, device: str) -> Any:
    """The pipeline of a recipe, on a resolved device. One is kept; another recipe frees it.

    Raises:
        EvalError: a part that cannot be loaded, or does not fit the others; names its key.
    """
    if recipe not in _KEPT:
        release()
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


@contextmanager
def _loading(key: str, path: object) -> Iterator[None]:
    try:
        yield
    except EvalError:
        raise
    except Exception as error:  # every library has its own
        reason = one_line(str(error))
        reason = reason if len(reason) <= 300 else f"{reason[:297]}..."
        raise EvalError(f"base.{key}: {path} cannot be used: {reason}") from error


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
    parts = _model_parts(recipe, base, kind, dtype)
    classes: dict[tuple[bool, str], Any] = {
        (True, "SD 1.5"): I2VAdapterControlNetPipeline if nets else I2VAdapterPipeline,
        (True, "SDXL"): I2VAdapterSDXLPipeline,
        (False, "SDXL"): without.WithoutAdapterSDXLPipeline,
        (False, "SD 1.5"): without.WithoutAdapterControlNetPipeline
        if nets
        else without.WithoutAdapterPipeline,
    }
    if nets:
        parts["controlnet"] = _controlnets(recipe, base, nets, dtype)
    if recipe.content:
        parts |= _content_parts(recipe, base, dtype)
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
        with _loading("i2v_adapter", path):
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


def _model_parts(recipe: Recipe, base: Base, kind: str, dtype: Any) -> dict[str, Any]:
    import diffusers
    import transformers

    from i2v_adapter.pipelines.motion import motion_unet

    path = recipe.find("model", base.model)
    options: dict[str, Any] = {"local_files_only": True}
    if path.is_file():
        parts = _from_checkpoint(recipe, base, kind, path, dtype)
    else:
        listed = json.loads((path / "model_index.json").read_text(encoding="utf-8"))
        parts = {}
        for name in SDXL if kind == "SDXL" else SD15:
            if (name == "vae" and base.vae) or (name == "unet" and recipe.concatenation):
                continue
            library, class_name = listed[name]
            model_class = getattr(
                transformers if library == "transformers" else diffusers, class_name, None
            )
            if model_class is None:
                raise EvalError(f"base.model: {path}: '{name}' is of an unknown class {class_name}")
            loaded = options | (
                {}
                if "tokenizer" in name or name == "scheduler"
                else {"dtype": dtype, "variant": base.variant}
            )
            with _loading(f"model ({name})", path):
                parts[name] = model_class.from_pretrained(path, subfolder=name, **loaded)
        if kind == "SDXL" and "force_zeros_for_empty_prompt" in listed:
            parts["force_zeros_for_empty_prompt"] = listed["force_zeros_for_empty_prompt"]
    if base.vae is not None:
        parts["vae"] = _diffusers_part(recipe, "vae", base.vae, ("AutoencoderKL",), dtype)
    parts["scheduler"] = _scheduler(base, parts["scheduler"])
    parts["motion_adapter"] = None
    if recipe.concatenation:
        part = needed(base.concatenation_unet, "concatenation_unet")
        parts["unet"] = _diffusers_part(
            recipe, "concatenation_unet", part, ("UNetMotionModel",), dtype
        )
    elif base.motion_adapter is not None:
        motion = _diffusers_part(
            recipe, "motion_adapter", base.motion_adapter, ("MotionAdapter",), dtype
        )
        if type(parts["unet"]).__name__ == "UNet2DConditionModel":
            with _loading("motion_adapter", recipe.find("motion_adapter", base.motion_adapter)):
                parts["unet"] = motion_unet(parts["unet"], motion)
        parts["motion_adapter"] = motion
    elif type(parts["unet"]).__name__ != "UNetMotionModel":
        raise EvalError(
            f"base: {base.model} is an image model, and there is no motion_adapter; add "
            "motion_adapter: FOLDER_OR_ID"
        )
    return parts


def _from_checkpoint(
    recipe: Recipe, base: Base, kind: str, path: Path, dtype: Any
) -> dict[str, Any]:
    import diffusers

    model_class = (
        diffusers.StableDiffusionXLPipeline if kind == "SDXL" else diffusers.StableDiffusionPipeline
    )
    config = {} if base.config is None else {"config": str(recipe.find("config", base.config))}
    try:
        with _loading("model", path):
            found = model_class.from_single_file(
                str(path), local_files_only=True, torch_dtype=dtype, **config
            )
    except EvalError as error:
        if base.config is not None:
            raise
        raise WeightsMissingError(
            f"{error}. A checkpoint file holds no configuration and no tokenizer: give config: "
            "FOLDER, a model of its kind in the hub's layout"
        ) from error
    return {name: found.components[name] for name in (SDXL if kind == "SDXL" else SD15)}


def _diffusers_part(
    recipe: Recipe, key: str, part: Part, classes: Sequence[str], dtype: Any
) -> Any:
    """A model of diffusers from its folder, of one of these classes, or from one file."""
    import diffusers

    path = recipe.find(key, part)
    inside = path / (part.subfolder or "")
    file = inside / part.weight_name if part.weight_name else path
    if file.is_file():
        with _loading(key, file):
            model_class = getattr(diffusers, classes[0])
            return model_class.from_single_file(str(file), local_files_only=True, torch_dtype=dtype)
    if not (inside / "config.json").is_file():
        raise WeightsMissingError(f"base.{key}: {inside} has no config.json, so it is no model")
    kind = json.loads((inside / "config.json").read_text(encoding="utf-8")).get("_class_name")
    if kind not in classes:
        raise EvalError(
            f"base.{key}: {inside} holds {f'a {kind}' if kind else 'no model of diffusers'}, not a "
            f"{' or '.join(classes)}"
        )
    with _loading(key, inside):
        return getattr(diffusers, kind).from_pretrained(inside, dtype=dtype, local_files_only=True)


def _scheduler(base: Base, own: Any) -> Any:
    if not base.scheduler:
        return own
    import diffusers

    changes = {key: value for key, value in base.scheduler.items() if key != "class"}
    kind = getattr(diffusers, base.scheduler.get("class", type(own).__name__))
    with _loading("scheduler", base.scheduler):
        return kind.from_config(own.config, **changes)


def _controlnets(recipe: Recipe, base: Base, nets: Sequence[ControlNet], dtype: Any) -> Any:
    found = [
        _diffusers_part(
            recipe, f"controlnets[{base.controlnets.index(net)}]", net, ("ControlNetModel",), dtype
        )
        for net in nets
    ]
    return found if len(found) > 1 else found[0]


def _content_parts(recipe: Recipe, base: Base, dtype: Any) -> dict[str, Any]:
    from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

    content = needed(base.content_adapter, "content_adapter")
    assert isinstance(content, Content)
    path = image_encoder(recipe, content)
    with _loading("content_adapter.image_encoder", path):
        encoder = CLIPVisionModelWithProjection.from_pretrained(
            path, dtype=dtype, local_files_only=True
        )
    folder = next(
        (
            place
            for place in (path, path.parent / "feature_extractor")
            if (place / "preprocessor_config.json").is_file()
        ),
        None,
    )
    side = encoder.config.image_size
    processor = (
        CLIPImageProcessor(size=side, crop_size={"height": side, "width": side})
        if folder is None
        else CLIPImageProcessor.from_pretrained(folder, local_files_only=True)
    )
    return {"image_encoder": encoder, "feature_extractor": processor}


def _load_content(recipe: Recipe, content: Any, found: Any) -> None:
    path = recipe.find("content_adapter", content)
    if path.is_file():
        path, name = path.parent, path.name
    elif content.weight_name is None:
        files = sorted(
            file.name
            for file in (path / (content.subfolder or "")).iterdir()
            if file.suffix in CHECKPOINTS
        )
        if len(files) != 1:
            raise EvalError(
                f"base.content_adapter: {path / (content.subfolder or '')} holds {len(files)} "
                f"checkpoints ({', '.join(files)}); name one by weight_name"
            )
        [name] = files
    else:
        name = content.weight_name
    with _loading("content_adapter", path / (content.subfolder or "") / name):
        found.load_ip_adapter(
            str(path),
            subfolder=content.subfolder or "",
            weight_name=name,
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
        with _loading(key, path):
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
    if base.offload != "none" and device == "cpu":
        raise EvalError("base.offload moves parts from the CPU to a GPU, and the device is the CPU")
    if base.offload == "model":
        found.enable_model_cpu_offload(device=device)
    elif base.offload == "sequential":
        found.enable_sequential_cpu_offload(device=device)
    else:
        found.to(device)
    if base.compile:
        found.unet = torch.compile(found.unet)
    return found
