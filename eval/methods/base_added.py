"""Whether the parts that are added to a base are whole, and what their keys stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from eval.errors import WeightsMissingError
from eval.io.model_json import read_object
from eval.methods.adapter_layouts import OFFICIAL, adapter_file, check_own_layout
from eval.methods.base import Base, Content, Lora, Part
from eval.methods.base_parts import (
    CLASSES,
    Recipe,
    content_file,
    extra,
    image_encoder,
    lora_file,
)
from eval.methods.configurations import class_in
from eval.methods.model_files import CHECKPOINTS
from eval.methods.model_folder import check_component, check_whole, weights_in
from eval.methods.part_kinds import check_kind
from eval.methods.weights_fit import check_weights_fit


def check_added(recipe: Recipe, base: Base) -> None:
    """Whether the parts that are added are there, whole, and of the kind their key stands for.
    Parts that this recipe leaves out may be missing, but not of another kind.

    Raises:
        WeightsMissingError: a part or one of its files is missing.
        EvalError: a part is torn or of the wrong kind; names its key.
    """
    used = dict(extra(recipe, base))
    for key, part in used.items():
        recipe.find(key, part)
        if isinstance(part, Part):
            _check(recipe, key, part)
    for key, part in _unused(base, used):
        with suppress(WeightsMissingError):
            _check(recipe, key, part)


def _unused(base: Base, used: Mapping[str, Any]) -> Iterator[tuple[str, Part]]:
    single = ("motion_adapter", "i2v_adapter", "content_adapter", "concatenation_unet")
    stated = {name: getattr(base, name) for name in single}
    stated |= {f"loras[{index}]": lora for index, lora in enumerate(base.loras)}
    stated |= {f"controlnets[{index}]": net for index, net in enumerate(base.controlnets)}
    for key, part in stated.items():
        if part is not None and key not in used:
            yield key, part


def _check(recipe: Recipe, key: str, part: Part) -> None:
    found = recipe.find(key, part)
    folder = found / (part.subfolder or "")
    file = folder / part.weight_name if part.weight_name else folder
    if isinstance(part, Content):
        file = content_file(recipe, part)
    elif isinstance(part, Lora):
        file = lora_file(recipe, key, part)
    elif key == "i2v_adapter":
        file = adapter_file(recipe, part)
    if file.is_file():
        check_whole(f"base.{key}", [file])
        check_kind(key, file)
    elif key == "i2v_adapter":
        _need_configuration(key, folder)
        check_own_layout(folder)
    else:
        _check_folder(key, folder)
    if isinstance(part, Content):
        encoder = image_encoder(recipe, part)
        check_component(f"base.{key}.image_encoder", encoder.parent, encoder.name, None)


def _check_folder(key: str, folder: Path) -> None:
    """A model in diffusers' layout: its class, its weights, and whether the two fit."""
    _need_configuration(key, folder)
    class_in(f"base.{key}", folder, CLASSES[key.partition("[")[0]])
    files = [file for file in weights_in(f"base.{key}", folder) if ".fp16." not in file.name]
    if not files:
        raise WeightsMissingError(
            f"base.{key}: {folder} holds fp16 weights alone; name their file by weight_name"
        )
    check_whole(f"base.{key}", files)
    configuration = read_object(f"base.{key}", folder / "config.json")
    check_weights_fit(f"base.{key}", folder, configuration, files)


def _need_configuration(key: str, folder: Path) -> None:
    """Raises EvalError for a folder that is no model of diffusers."""
    if (folder / "config.json").is_file():
        return
    name, wanted = key.partition("[")[0], CLASSES[key.partition("[")[0]][0]
    inside = (folder / name / "config.json").is_file()
    hint = f"; add subfolder: {name}" if inside else ""
    if (folder / "model_index.json").is_file():
        whole = read_object(f"base.{key}", folder / "model_index.json").get("_class_name")
        raise WeightsMissingError(
            f"base.{key}: {folder} is a whole pipeline ({whole}), and a single {wanted} is needed"
            f"{hint or '; give its own folder'}"
        )
    files = sorted(file.name for file in folder.glob("*.*") if file.suffix in CHECKPOINTS)
    named = f"; it holds {', '.join(files[:3])}: name one by weight_name" if files else hint
    official = f" and no {OFFICIAL}" if name == "i2v_adapter" else ""
    raise WeightsMissingError(
        f"base.{key}: {folder} has no config.json{official}, so it is no {wanted}{named}"
    )
