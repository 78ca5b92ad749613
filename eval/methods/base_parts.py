"""The parts of a base: where their files are, and of what kind they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from eval.errors import EvalError, NotServedError, WeightsMissingError
from eval.io.model_json import read_object
from eval.methods.base import Base, Content, Lora, Part
from eval.methods.checkpoint_kind import checkpoint_kind
from eval.methods.model_files import CHECKPOINTS, locate

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


_MODEL_CLASSES = {
    "unet": ("UNet2DConditionModel", "UNetMotionModel"),
    "vae": ("AutoencoderKL", "AsymmetricAutoencoderKL"),
}
"""Part of a base's model -> its classes."""


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
    if kind == "SD 1.5" and "XL" in str(listed.get("_class_name")):
        raise EvalError(
            f"base.model: {index} says {listed['_class_name']} and lists no text_encoder_2; an "
            "SDXL base has both of its text encoders"
        )
    wanted = SDXL if kind == "SDXL" else SD15
    absent = [part for part in wanted if not _names_a_class(listed.get(part))]
    if absent or "transformer" in listed:
        raise EvalError(
            f"base.model: {path} is a {listed.get('_class_name', 'model without a class')}; a base "
            f"is of the SD 1.5 or SDXL kind (no {', '.join(absent) or 'UNet'} in it). `method: "
            "diffusers` runs other pipelines"
        )
    replaced = {"vae": recipe.parsed.vae is not None, "unet": recipe.concatenation}
    for part, classes in _MODEL_CLASSES.items():
        if not replaced[part] and listed[part][1] not in classes:
            raise EvalError(
                f"base.model: {path} is a {listed.get('_class_name')} whose {part} is a "
                f"{listed[part][1]}; a base of the {kind} kind has {' or '.join(classes)}"
            )
    missing = [
        part for part in wanted if not (path / part).is_dir() and not replaced.get(part, False)
    ]
    if missing:
        raise WeightsMissingError(
            f"base.model: {path} lacks the folder {', '.join(missing)} that its model_index.json "
            "lists; copy or download it again"
        )
    return kind


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


def extra(recipe: Recipe, base: Base) -> Iterator[tuple[str, Part | str]]:
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


def content_file(recipe: Recipe, content: Content) -> Path:
    """The checkpoint of the content adapter. Raises EvalError where its folder holds several, or
    none, and the base names none of them."""
    folder = recipe.find("content_adapter", content) / (content.subfolder or "")
    if folder.is_file() or content.weight_name is not None:
        return folder / content.weight_name if content.weight_name else folder
    files = sorted(file for file in folder.iterdir() if file.suffix in CHECKPOINTS)
    if len(files) != 1:
        raise EvalError(
            f"base.content_adapter: {folder} holds {len(files)} checkpoints "
            f"({', '.join(file.name for file in files)}); name one by weight_name"
        )
    return files[0]


def lora_file(recipe: Recipe, key: str, lora: Lora) -> Path:
    """The file of a LoRA: the one that is named, else the one of the usual name, else the only one.

    Raises:
        EvalError: its folder holds several, or none, and the base names none of them.
    """
    folder = recipe.find(key, lora) / (lora.subfolder or "")
    if folder.is_file() or lora.weight_name is not None:
        return folder / lora.weight_name if lora.weight_name else folder
    usual = [folder / f"pytorch_lora_weights{suffix}" for suffix in (".safetensors", ".bin")]
    files = [file for file in usual if file.is_file()] or sorted(folder.glob("*.safetensors"))
    if not files:
        what = "is a whole pipeline" if (folder / "model_index.json").is_file() else "holds none"
        raise WeightsMissingError(
            f"base.{key}: {folder} {what}; a LoRA is a .safetensors file: name it, or the folder "
            "and weight_name"
        )
    if len(files) > 1 and files[0] not in usual:
        raise EvalError(
            f"base.{key}: {folder} holds {len(files)} files "
            f"({', '.join(file.name for file in files)}); name one by weight_name"
        )
    return files[0]


def lora_name(index: int) -> str:
    """Name under which a pipeline carries the LoRA of this index among those it uses."""
    return f"lora_{index}"


def lora_scales(recipe: Recipe) -> list[float]:
    """Scales of the LoRAs that a pipeline carries."""
    return [lora.scale for lora in recipe.parsed.named_lora(recipe.lora)]


def control_scales(recipe: Recipe) -> list[float]:
    """Scales of the ControlNets that a pipeline carries."""
    return [net.scale for net in recipe.parsed.named_controlnet(recipe.controlnet)]
