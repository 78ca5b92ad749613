"""Whether the parts of a base are whole and of the right kind, seen without loading a model."""

from __future__ import annotations

from eval.errors import EvalError, WeightsMissingError
from eval.io.model_json import read_object
from eval.methods.base import Base, Content
from eval.methods.base_fit import check_fit
from eval.methods.base_parts import (
    CLASSES,
    SD15,
    SDXL,
    Recipe,
    content_file,
    extra,
    image_encoder,
    model_kind,
)
from eval.methods.configurations import class_in
from eval.methods.model_folder import check_component, check_whole
from eval.methods.schedulers import changed_scheduler


def check_parts(recipe: Recipe) -> None:
    """Whether the parts lie where the base says, are whole, and fit each other. Of their weights
    headers alone are read.

    Raises:
        WeightsMissingError: a part or one of its files is missing.
        NotServedError: the base lacks a part that the method needs.
        EvalError: a part is torn, or of the wrong kind; names its key.
    """
    base = recipe.parsed
    kind = model_kind(recipe)
    _check_model(recipe, base, kind)
    _check_motion(recipe, base)
    _check_added(recipe, base)
    check_fit(recipe, base)


def _check_model(recipe: Recipe, base: Base, kind: str) -> None:
    """Whether the model's folder holds the files of its parts, and its scheduler takes the base's
    changes."""
    path = recipe.find("model", base.model)
    if path.is_file():
        return
    replaced = {"vae": base.vae is not None, "unet": recipe.concatenation}
    for name in SDXL if kind == "SDXL" else SD15:
        if not replaced.get(name):
            check_component("base.model", path, name, base.variant)
    if base.scheduler:
        own = read_object("base.model", path / "scheduler" / "scheduler_config.json")
        listed = read_object("base.model", path / "model_index.json")
        changed_scheduler(listed["scheduler"][1], own, base.scheduler)


def _check_motion(recipe: Recipe, base: Base) -> None:
    index = recipe.find("model", base.model) / "model_index.json"
    if recipe.concatenation or base.motion_adapter is not None or not index.is_file():
        return
    if read_object("base.model", index)["unet"][1] == "UNet2DConditionModel":
        raise EvalError(
            f"base: {base.model} is an image model, and there is no motion_adapter; add "
            "motion_adapter: FOLDER_OR_ID"
        )


def _check_added(recipe: Recipe, base: Base) -> None:
    """Whether the parts that are added are there and whole, and those that are folders of
    diffusers' layout of the class they stand for."""
    for key, part in extra(recipe, base):
        found = recipe.find(key, part)
        if isinstance(part, str):
            continue
        folder = found / (part.subfolder or "")
        file = folder / part.weight_name if part.weight_name else folder
        if isinstance(part, Content):
            image_encoder(recipe, part)
            file = content_file(recipe, part)
        if file.is_file():
            check_whole(f"base.{key}", [file])
            continue
        classes = CLASSES.get(key.partition("[")[0])
        if classes is None:
            continue
        configuration = folder / "config.json"
        if configuration.is_file():
            if "_class_name" in read_object(f"base.{key}", configuration):
                class_in(f"base.{key}", folder, classes)
            check_whole(f"base.{key}", sorted(folder.glob("diffusion_pytorch_model*.safetensors")))
        elif key != "i2v_adapter":  # other layouts of it have no configuration
            own = folder / key / "config.json"
            hint = f"; add subfolder: {key}" if own.is_file() else ""
            raise WeightsMissingError(
                f"base.{key}: {folder} has no config.json, so it is no model{hint}"
            )
