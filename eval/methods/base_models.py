"""The models of a base, loaded: what pipelines on it are made of. Nothing is downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.errors import EvalError, WeightsMissingError
from eval.io.model_json import read_object
from eval.methods.base import Base, Content, ControlNet, Part
from eval.methods.base_parts import CLASSES, SD15, SDXL, Recipe, image_encoder, needed
from eval.methods.loaders import load_model, part_errors
from eval.methods.schedulers import changed_scheduler


def model_parts(recipe: Recipe, base: Base, kind: str, dtype: Any) -> dict[str, Any]:
    """Components of the base's model with its motion modules, VAE and scheduler, by the names under
    which a pipeline takes them. Raises EvalError naming the key.
    """
    import diffusers
    import transformers

    from i2v_adapter.pipelines.motion_unet import motion_unet

    path = recipe.find("model", base.model)
    options: dict[str, Any] = {"local_files_only": True}
    if path.is_file():
        parts = _from_checkpoint(recipe, base, kind, path, dtype)
    else:
        listed = read_object("base.model", path / "model_index.json")
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
            with part_errors(f"base.model ({name})", path):
                parts[name] = model_class.from_pretrained(path, subfolder=name, **loaded)
        if kind == "SDXL" and "force_zeros_for_empty_prompt" in listed:
            parts["force_zeros_for_empty_prompt"] = listed["force_zeros_for_empty_prompt"]
    if base.vae is not None:
        parts["vae"] = _diffusers_part(recipe, "vae", base.vae, dtype)
    if base.scheduler:
        own = parts["scheduler"]
        parts["scheduler"] = changed_scheduler(type(own).__name__, own.config, base.scheduler)
    parts["motion_adapter"] = None
    if recipe.concatenation:
        part = needed(base.concatenation_unet, "concatenation_unet")
        parts["unet"] = _diffusers_part(recipe, "concatenation_unet", part, dtype)
    elif base.motion_adapter is not None:
        motion = _diffusers_part(recipe, "motion_adapter", base.motion_adapter, dtype)
        if type(parts["unet"]).__name__ == "UNet2DConditionModel":
            with part_errors(
                "base.motion_adapter", recipe.find("motion_adapter", base.motion_adapter)
            ):
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
        with part_errors("base.model", path):
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


def _diffusers_part(recipe: Recipe, key: str, part: Part, dtype: Any) -> Any:
    """A model of diffusers from its folder, of one of the key's classes, or from one file."""
    import diffusers

    classes = CLASSES[key.partition("[")[0]]
    path = recipe.find(key, part)
    inside = path / (part.subfolder or "")
    file = inside / part.weight_name if part.weight_name else path
    if file.is_file():
        with part_errors(f"base.{key}", file):
            model_class = getattr(diffusers, classes[0])
            return model_class.from_single_file(str(file), local_files_only=True, torch_dtype=dtype)
    return load_model(f"base.{key}", inside, dtype, classes)


def controlnets(recipe: Recipe, base: Base, nets: Sequence[ControlNet], dtype: Any) -> Any:
    """One model, or a list of several, as a pipeline takes them."""
    found = [
        _diffusers_part(recipe, f"controlnets[{base.controlnets.index(net)}]", net, dtype)
        for net in nets
    ]
    return found if len(found) > 1 else found[0]


def content_parts(recipe: Recipe, base: Base, dtype: Any) -> dict[str, Any]:
    """The content adapter's image encoder and its image processor."""
    from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

    content = needed(base.content_adapter, "content_adapter")
    assert isinstance(content, Content)
    path = image_encoder(recipe, content)
    with part_errors("base.content_adapter.image_encoder", path):
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
