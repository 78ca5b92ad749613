"""A base: the models that the paper's methods run on, as a suite's ``base:`` states it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    field_validator,
    model_validator,
)

from eval.device import Dtype, known_device
from eval.errors import EvalError, NotServedError
from eval.io.files import is_file
from eval.io.validation import validated
from eval.methods.schedulers import check_changes, scheduler_class
from eval.methods.world_folder import World, is_world, read_world

GLYPH_WORLD = "glyph-world"
"""The base that comes with the package."""

Scale = Annotated[float, Field(ge=-10.0, le=10.0, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=60)]


def _named(value: Any) -> Any:
    return {"model": value} if isinstance(value, str) else value


class Part(BaseModel):
    """A model that is added to the base: a folder, a file, or an id in the hub's local cache.

    Attributes:
        model: where it is.
        subfolder: in that folder.
        weight_name: the file, where the folder holds several.
    """

    model_config = ConfigDict(extra="forbid")
    model: str = Field(min_length=1)
    subfolder: str | None = None
    weight_name: str | None = None


class Adapter(Part):
    """The I2V adapter, in this project's, the official or the unofficial layout.

    Attributes:
        pooled_group_norm: see `i2v_adapter.adapter.I2VAdapter`; None: as its layout says.
    """

    pooled_group_norm: bool | None = None


class Content(Part):
    """The content adapter, an IP-Adapter.

    Attributes:
        image_encoder: folder or id of its image encoder; None: ``image_encoder`` in its folder.
        scale: factor on its branch.
    """

    image_encoder: str | None = None
    scale: Scale = 1.0


class Lora(Part):
    """A LoRA of the base. With a name it is used by the cells whose setting ``lora`` is that name,
    without one by all.
    """

    name: Name | None = None
    scale: Scale = 1.0


class ControlNet(Part):
    """A ControlNet of an SD 1.5 base; named as a LoRA may be, for the setting ``controlnet``.

    Attributes:
        frames: folder with a folder of images, or a clip, for each sample, named by its id.
    """

    name: Name | None = None
    scale: Scale = 1.0
    frames: str | None = None


AnyPart = Annotated[Part, BeforeValidator(_named)]


class Base(BaseModel):
    """The keys of a suite's ``base:``. Relative paths start from the file that contains it.

    Attributes:
        model: a text-to-image or text-to-video model of the SD 1.5 or SDXL kind: a folder in the
            hub's layout, an id in the hub's local cache, or one checkpoint file.
        config: for a checkpoint file: a folder in the hub's layout with its configurations and
            tokenizer; None: the hub's local cache has those of its kind.
        variant: of the weights files, such as ``fp16``.
        motion_adapter: needed unless the model's UNet has motion modules.
        i2v_adapter, content_adapter, loras, controlnets, vae: what is added.
        concatenation_unet: a motion UNet with twice the input channels, for the family
            ``channel-concatenation``.
        scheduler: changes to the model's, ``class`` being a scheduler of diffusers.
        dtype: what the models compute in; None: the suite's.
        device: in place of the suite's.
        offload: parts move to the GPU as they are needed: whole models, or layer by layer.
        compile: the UNet by `torch.compile`.
        fp8: the weights of UNet and adapter in 8 bits (`enable_fp8_storage`): less memory, other
            clips.
        vae_slicing, vae_tiling, attention_slicing, forward_chunking: less memory, more time.
        settings: sampling settings that its methods take unless the suite says otherwise.
    """

    model_config = ConfigDict(extra="forbid")
    model: str = Field(min_length=1)
    config: str | None = None
    variant: str | None = None
    motion_adapter: AnyPart | None = None
    i2v_adapter: Annotated[Adapter, BeforeValidator(_named)] | None = None
    content_adapter: Annotated[Content, BeforeValidator(_named)] | None = None
    loras: list[Annotated[Lora, BeforeValidator(_named)]] = []
    controlnets: list[Annotated[ControlNet, BeforeValidator(_named)]] = []
    vae: AnyPart | None = None
    concatenation_unet: AnyPart | None = None
    scheduler: dict[str, Any] = {}
    dtype: Dtype | None = None
    device: Annotated[str, AfterValidator(known_device)] | None = None
    offload: Literal["none", "model", "sequential"] = "none"
    compile: bool = False
    fp8: bool = False
    vae_slicing: bool = False
    vae_tiling: bool = False
    attention_slicing: bool = False
    forward_chunking: bool = False
    settings: dict[str, Any] = {}
    _folder: Path = PrivateAttr(default=Path())

    @property
    def folder(self) -> Path:
        """What its relative paths start from."""
        return self._folder

    @field_validator("scheduler")
    @classmethod
    def _known_scheduler(cls, changes: dict[str, Any]) -> dict[str, Any]:
        if "class" in changes:
            check_changes(scheduler_class(changes["class"]), changes)
        return changes

    @model_validator(mode="after")
    def _named_once(self) -> Base:
        for kind, parts in (("loras", self.loras), ("controlnets", self.controlnets)):
            names = [part.name for part in parts if part.name is not None]
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"{kind}: the name '{name}' is given twice")
        if self.offload != "none" and self.device == "cpu":
            raise ValueError("offload moves parts from the CPU to a GPU: set device")
        return self

    def settings_of(self, model: type[BaseModel]) -> dict[str, Any]:
        """Its sampling settings, those that `model` has."""
        return {key: value for key, value in self.settings.items() if key in model.model_fields}

    def named_lora(self, name: str | None) -> list[Lora]:
        """The LoRAs of a cell whose setting ``lora`` is `name`.

        Raises:
            NotServedError: no method has that name.
        """
        _check_named("lora", name, self.loras)
        return [lora for lora in self.loras if lora.name in (None, name)]

    def named_controlnet(self, name: str | None) -> list[ControlNet]:
        """The ControlNets of a cell whose setting ``controlnet`` is `name`; as
        :meth:`named_lora`."""
        _check_named("controlnet", name, self.controlnets)
        return [net for net in self.controlnets if net.name in (None, name)]


def _check_named(setting: str, name: str | None, parts: list[Any]) -> None:
    known = [part.name for part in parts if part.name is not None]
    if name is not None and name not in known:
        listed = f"its {setting}s are named {', '.join(known)}" if known else "it names none"
        raise NotServedError(f"base: no {setting} named '{name}'; {listed}")


def read_base(value: Any, folder: Path, where: str) -> Base | World | None:
    """The base that a suite states, None for the glyph world that comes with the package.

    Args:
        value: ``glyph-world``, a mapping, a YAML file that holds one, a model alone (folder or
            hub id), or a folder of a glyph world's weights.
        folder: what relative paths start from.
        where: prefix of messages, such as ``suite.yaml: base``.

    Raises:
        EvalError: naming the key, the value and what is allowed.
    """
    if value is None or value == GLYPH_WORLD:
        return None
    if isinstance(value, str) and value.endswith((".yaml", ".yml")):
        path = Path(value).expanduser()
        path = path if path.is_absolute() else folder / path
        if not is_file(path):
            raise EvalError(f"{where}: there is no file '{value}' (looked for {path})")
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            reason = str(error).splitlines()[0]
            raise EvalError(f"{where}: {path} is not readable YAML ({reason})") from error
        if isinstance(content, Mapping) and set(content) == {"base"}:
            content = content["base"]
        return read_base(content, path.resolve().parent, str(path))
    if isinstance(value, str):
        path = Path(value).expanduser()
        own = is_world(path if path.is_absolute() else folder / path)
        value = {"world" if own else "model": value}
    if not isinstance(value, Mapping):
        raise EvalError(
            f"{where}: {value!r} is not allowed: give {GLYPH_WORLD}, a mapping with at least "
            "'model', a .yaml file that holds one, or a model's folder or hub id"
        )
    if "world" in value:
        return read_world(value, folder, where)
    base = validated(Base, value, where=where)
    base._folder = folder
    path = Path(base.model).expanduser()
    if is_world(path if path.is_absolute() else folder / path):
        raise EvalError(
            f"{where}.model: {base.model} holds a glyph world's weights; write world: in place of "
            "model:"
        )
    return base
