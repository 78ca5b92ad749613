"""The parts of a base: where their files are, of what kind they are, what identifies them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from eval.errors import EvalError, NotServedError, WeightsMissingError
from eval.io.model_json import read_object
from eval.methods.base import Base, Content, ControlNet, Part
from eval.methods.checkpoint_kind import checkpoint_kind
from eval.methods.configurations import class_in
from eval.methods.model_files import identity, locate
from eval.methods.model_folder import check_component, check_whole
from eval.methods.schedulers import changed_scheduler

SD15 = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")
SDXL = (*SD15, "text_encoder_2", "tokenizer_2")
CLASSES: Mapping[str, tuple[str, ...]] = {
    "vae": ("AutoencoderKL",),
    "motion_adapter": ("MotionAdapter",),
    "concatenation_unet": ("UNetMotionModel",),
    "i2v_adapter": ("I2VAdapter",),
    "controlnets": ("ControlNetModel",),
}
"""Key of a base -> the classes of diffusers' layout that may stand there."""


class Recipe(NamedTuple):
    """What of a base one pipeline is made of.

    Attributes:
        base: as JSON, so that equal bases are one.
        folder: what its relative paths start from.
        adapter: with the I2V adapter, in `I2VAdapterPipeline` and its relatives.
        content: with the content adapter.
        concatenation: with the widened UNet.
        lora, controlnet: names of those that are used besides the unnamed ones.
        dtype: what the models compute in.
    """

    base: str
    folder: str
    adapter: bool
    content: bool
    concatenation: bool
    lora: str | None
    controlnet: str | None
    dtype: str

    @classmethod
    def of(
        cls,
        base: Base,
        *,
        adapter: bool = False,
        content: bool = False,
        concatenation: bool = False,
        lora: str | None = None,
        controlnet: str | None = None,
        dtype: str = "float32",
    ) -> Recipe:
        """What a pipeline takes of `base`; sampling settings and the device are no part of it."""
        stated = base.model_dump_json(exclude={"settings", "device", "dtype"})
        folder = str(base.folder)
        return cls(stated, folder, adapter, content, concatenation, lora, controlnet, dtype)

    @property
    def parsed(self) -> Base:
        return Base.model_validate_json(self.base)

    def find(self, key: str, part: Part | str) -> Path:
        """The folder or file of a part of the base. Raises WeightsMissingError naming the key."""
        source = part if isinstance(part, str) else part.model
        found = locate(f"base.{key}", source, Path(self.folder))
        if isinstance(part, Part):
            inside = found / (part.subfolder or "") / (part.weight_name or "")
            if not inside.exists():
                raise WeightsMissingError(
                    f"base.{key}: {found} has no {'/'.join(inside.relative_to(found).parts)}"
                )
        return found


def model_kind(recipe: Recipe) -> str:
    """``SD 1.5`` or ``SDXL``, by the parts that the model's folder lists; a checkpoint file by its
    size in tensors.

    Raises:
        EvalError: another kind of model, or a part missing from its folder.
    """
    path = recipe.find("model", recipe.parsed.model)
    if path.is_file():
        return checkpoint_kind(path)
    index = path / "model_index.json"
    if not index.is_file():
        inside = "it is a single model, not a pipeline" if (path / "config.json").is_file() else ""
        hint = inside or "give a folder in the hub's layout, a hub id or a checkpoint file"
        raise EvalError(f"base.model: {path} has no model_index.json; {hint}")
    listed = read_object("base.model", index)
    kind = "SDXL" if "text_encoder_2" in listed else "SD 1.5"
    wanted = SDXL if kind == "SDXL" else SD15
    absent = [part for part in wanted if not _names_a_class(listed.get(part))]
    if absent or "transformer" in listed:
        raise EvalError(
            f"base.model: {path} is a {listed.get('_class_name', 'model without a class')}; a base "
            f"is of the SD 1.5 or SDXL kind (no {', '.join(absent) or 'UNet'} in it). `method: "
            "diffusers` runs other pipelines"
        )
    replaced = {"vae": recipe.parsed.vae is not None, "unet": recipe.concatenation}
    missing = [
        part for part in wanted if not (path / part).is_dir() and not replaced.get(part, False)
    ]
    if missing:
        raise WeightsMissingError(
            f"base.model: {path} lacks the folder {', '.join(missing)} that its model_index.json "
            "lists; copy or download it again"
        )
    return kind


def contents(recipe: Recipe) -> Iterator[str]:
    """A line for everything that decides the clips of a pipeline: parts with the hash of their
    files or the hub's commit, options that are no file. Loads no model.

    Raises:
        EvalError: a part that is missing, or of the wrong kind.
    """
    base = recipe.parsed
    kind = model_kind(recipe)
    _check_model(recipe, base, kind)
    _check_motion(recipe, base)
    yield f"dtype {recipe.dtype}"
    model = recipe.find("model", base.model)
    parts = [part for part in (SDXL if kind == "SDXL" else SD15)]
    if base.vae is not None:
        parts.remove("vae")
    if recipe.concatenation:
        parts.remove("unet")
    yield f"model {kind} {identity(model, () if model.is_file() else parts)} {base.variant}"
    _check_classes(recipe, base)
    for key, part in _extra(recipe, base):
        if isinstance(part, str):
            yield f"{key} {identity(recipe.find(key, part))}"
            continue
        found = recipe.find(key, part)
        inside = found / (part.subfolder or "") / (part.weight_name or "")
        named = part.model_dump(include={"subfolder", "weight_name", "scale", "pooled_group_norm"})
        whole = found if found.parent.name == "snapshots" else inside
        yield f"{key} {identity(whole)} {json.dumps(named, sort_keys=True)}"
        if isinstance(part, Content):
            yield f"{key}.image_encoder {identity(image_encoder(recipe, part))}"
        if isinstance(part, ControlNet) and part.frames is not None:
            yield f"{key}.frames {identity(recipe.find(f'{key}.frames', part.frames))}"
    if base.scheduler:
        yield f"scheduler {json.dumps(base.scheduler, sort_keys=True)}"


def check_parts(recipe: Recipe) -> None:
    """Whether the parts lie where the base says, without reading their weights. Raises as
    :func:`contents` does."""
    base = recipe.parsed
    _check_model(recipe, base, model_kind(recipe))
    _check_motion(recipe, base)
    _check_classes(recipe, base)
    for key, part in _extra(recipe, base):
        recipe.find(key, part)
        if isinstance(part, Content):
            image_encoder(recipe, part)


def _names_a_class(entry: object) -> bool:
    """Whether an entry of ``model_index.json`` is a library and the name of a class."""
    return isinstance(entry, list) and len(entry) == 2 and all(isinstance(n, str) for n in entry)


def native_side(recipe: Recipe) -> int:
    """Side in px of the square images that the model was made for: of its UNet's configuration,
    else 512 for SD 1.5 and 1024 for SDXL.
    """
    kind, path = model_kind(recipe), recipe.find("model", recipe.parsed.model)
    parts = []
    for name in ("unet", "vae"):
        file = path / name / "config.json"
        parts.append(read_object("base.model", file) if file.is_file() else {})
    side, blocks = parts[0].get("sample_size"), parts[1].get("block_out_channels")
    if isinstance(side, int) and isinstance(blocks, list):
        return int(side * 2 ** (len(blocks) - 1))
    return 1024 if kind == "SDXL" else 512


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


def _check_classes(recipe: Recipe, base: Base) -> None:
    """Whether the parts that are added are whole, and those that are folders of diffusers' layout
    of the class they stand for."""
    for key, part in _extra(recipe, base):
        if isinstance(part, str):
            continue
        folder = recipe.find(key, part) / (part.subfolder or "")
        file = folder / part.weight_name if part.weight_name else folder
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


def _check_motion(recipe: Recipe, base: Base) -> None:
    index = recipe.find("model", base.model) / "model_index.json"
    if recipe.concatenation or base.motion_adapter is not None or not index.is_file():
        return
    if read_object("base.model", index)["unet"][1] == "UNet2DConditionModel":
        raise EvalError(
            f"base: {base.model} is an image model, and there is no motion_adapter; add "
            "motion_adapter: FOLDER_OR_ID"
        )


def _extra(recipe: Recipe, base: Base) -> Iterator[tuple[str, Part | str]]:
    """Key and part of everything that is added to the model."""
    if base.config is not None:
        yield "config", base.config
    if base.vae is not None:
        yield "vae", base.vae
    if recipe.concatenation:
        yield "concatenation_unet", needed(base.concatenation_unet, "concatenation_unet")
    elif base.motion_adapter is not None:
        yield "motion_adapter", base.motion_adapter
    if recipe.adapter:
        yield "i2v_adapter", needed(base.i2v_adapter, "i2v_adapter")
    if recipe.content:
        yield "content_adapter", needed(base.content_adapter, "content_adapter")
    for lora in base.named_lora(recipe.lora):
        yield f"loras[{base.loras.index(lora)}]", lora
    for net in base.named_controlnet(recipe.controlnet):
        yield f"controlnets[{base.controlnets.index(net)}]", net


def needed(part: Part | None, key: str) -> Part:
    """The part of this key. Raises NotServedError if the base has none."""
    if part is None:
        raise NotServedError(f"base: it has no {key}, which this method needs; add {key}:")
    return part


def image_encoder(recipe: Recipe, content: Content) -> Path:
    """Folder of the content adapter's image encoder. Raises WeightsMissingError where the
    folder holds no encoder."""
    key = "content_adapter.image_encoder"
    if content.image_encoder is not None:
        found = recipe.find(key, content.image_encoder)
    else:
        root = recipe.find("content_adapter", content)
        choices = [root / (content.subfolder or "") / "image_encoder", root / "image_encoder"]
        found = next((choice for choice in choices if choice.is_dir()), choices[0])
    if not (found / "config.json").is_file():
        raise WeightsMissingError(
            f"base.{key}: {found} has no config.json; give the folder of the content adapter's "
            "image encoder"
        )
    return found


def lora_name(index: int) -> str:
    """Name under which a pipeline carries the LoRA of this index among those it uses."""
    return f"lora_{index}"


def lora_scales(recipe: Recipe) -> list[float]:
    """Scales of the LoRAs that a pipeline carries."""
    return [lora.scale for lora in recipe.parsed.named_lora(recipe.lora)]


def control_scales(recipe: Recipe) -> list[float]:
    """Scales of the ControlNets that a pipeline carries."""
    return [net.scale for net in recipe.parsed.named_controlnet(recipe.controlnet)]
