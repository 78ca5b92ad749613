"""Whether the parts of a base are whole and of the right kind, seen without loading a model."""

from __future__ import annotations

from eval.errors import EvalError
from eval.io.model_json import read_object
from eval.methods.base import Base
from eval.methods.base_added import check_added
from eval.methods.base_fit import check_fit
from eval.methods.base_parts import SD15, SDXL, Recipe, model_kind
from eval.methods.configurations import class_in
from eval.methods.model_folder import check_component
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
    check_added(recipe, base)
    check_fit(recipe, base)


def _check_model(recipe: Recipe, base: Base, kind: str) -> None:
    """Whether the model's folder holds the files of its parts, and its scheduler takes the base's
    changes."""
    path = recipe.find("model", base.model)
    if path.is_file():
        return
    replaced = {"vae": base.vae is not None, "unet": recipe.concatenation}
    listed = read_object("base.model", path / "model_index.json")
    for name in SDXL if kind == "SDXL" else SD15:
        if replaced.get(name):
            continue
        check_component("base.model", path, name, base.variant)
        stated = name in ("unet", "vae") and read_object("base.model", path / name / "config.json")
        if stated and "_class_name" in stated:
            class_in("base.model", path / name, (listed[name][1],))
    if base.scheduler:
        own = read_object("base.model", path / "scheduler" / "scheduler_config.json")
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
