"""Any image-to-video pipeline of diffusers as a method. Nothing is downloaded."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from eval import device as devices
from eval.clips.lossless import Clip, rounded_clip
from eval.device import Dtype, known_device
from eval.errors import nearest
from eval.io.loading import loading
from eval.io.model_json import read_object
from eval.methods.conventions import CONVENTIONS
from eval.methods.loaders import check_placement, failing_once, load_model, part_errors, place
from eval.methods.model_files import find_folder, identity, version
from eval.methods.model_folder import check_component, check_pipeline
from eval.methods.pipeline_fit import check_pipeline_fit
from eval.samples import Sample

_ARGUMENTS = {
    "image": ("image", "conditioning_frames"),
    "frames": ("num_frames",),
    "steps": ("num_inference_steps",),
    "guidance_scale": ("guidance_scale", "max_guidance_scale"),
    "fps": ("target_fps", "frame_rate", "fps"),
    "height": ("height",),
    "width": ("width",),
}
"""Setting -> what pipelines call it, where they have it."""
_OWN = ("self", "prompt", "generator", "output_type", "return_dict", "kwargs")
_OTHER_STREAM = 0x2545F4914F6CDD1D
"""Keeps global draws apart from those of the generator with the same seed."""


class DiffusersSettings(BaseModel):
    """Pipeline, model and sampling; what is None is left to the pipeline.

    Attributes:
        pipeline: class name in diffusers.
        model: folder in the hub's layout, or the id of a model in the hub's local cache. Relative
            paths start from the suite file's folder.
        components: further parts that the model's folder lacks, as name -> folder or id
            (`motion_adapter`, `controlnet`).
        variant: of the weights files, e.g. `fp16`.
        dtype, device: in place of the suite's. The device is no part of what a clip is.
        offload: parts move to the GPU as they are needed: whole models, or layer by layer.
        frames, steps, guidance_scale: under the pipeline's own names.
        fps: of the clip, and of the model where it is conditioned on a rate.
        height, width: in px; None: the image's.
        call: further arguments of the call, by the pipeline's own names.
    """

    model_config = ConfigDict(extra="forbid")
    pipeline: str
    model: str = Field(min_length=1)
    components: dict[str, str] = {}
    variant: str | None = None
    dtype: Dtype | None = None
    device: Annotated[str, AfterValidator(known_device)] | None = Field(default=None, exclude=True)
    offload: Literal["none", "model", "sequential"] = Field(default="none", exclude=True)
    frames: int | None = Field(default=None, ge=2, le=1024)
    steps: int | None = Field(default=None, ge=1, le=1000)
    guidance_scale: float | None = Field(default=None, ge=0.0, le=50.0, allow_inf_nan=False)
    fps: float = Field(default=8.0, gt=0.0, le=240.0, allow_inf_nan=False)
    height: int | None = Field(default=None, ge=8, le=4096)
    width: int | None = Field(default=None, ge=8, le=4096)
    call: dict[str, Any] = {}
    _folder: Path = PrivateAttr(default=Path())

    @property
    def folder(self) -> Path:
        """What relative paths start from."""
        return self._folder

    @field_validator("pipeline")
    @classmethod
    def _is_image_to_video(cls, name: str) -> str:
        parameters = _parameters(name)
        if "num_frames" not in parameters or _argument(parameters, "image") is None:
            raise ValueError(
                f"{name} makes no video from an image; image-to-video are {', '.join(CONVENTIONS)}"
            )
        return name

    @model_validator(mode="after")
    def _fits_the_pipeline(self, info: ValidationInfo) -> DiffusersSettings:
        self._folder = Path((info.context or {}).get("folder", ""))
        parameters = _parameters(self.pipeline)
        known = [name for name in parameters if name not in _OWN]
        for setting, names in _ARGUMENTS.items():
            mapped = _argument(parameters, setting)
            if clash := [name for name in names if name in self.call and name == mapped]:
                raise ValueError(
                    f"call: {clash[0]} is set by the {'sample' if setting == 'image' else setting}"
                )
            if (
                mapped is None
                and setting in ("steps", "guidance_scale")
                and getattr(self, setting) is not None
            ):
                raise ValueError(f"{self.pipeline} has no {setting}; leave it out")
        for name in self.call:
            if name not in known:
                raise ValueError(f"call: {self.pipeline} takes no '{name}'.{nearest(name, known)}")
        parts = list(inspect.signature(_class(self.pipeline).__init__).parameters)[1:]
        for name in self.components:
            if name not in parts:
                raise ValueError(
                    f"components: {self.pipeline} has no '{name}'.{nearest(name, parts)}"
                )
        if self.offload != "none" and self.device == "cpu":
            raise ValueError("offload moves parts from the CPU to another device: set device")
        return self


class DiffusersMethod:
    """A diffusers pipeline, one sample at a time, each with a generator of its own on the CPU."""

    Settings: ClassVar[type[BaseModel]] = DiffusersSettings
    takes_device: ClassVar[bool] = True

    def __init__(self, settings: DiffusersSettings) -> None:
        self.settings = settings
        self._device = settings.device or "cpu"
        self._dtype: str = settings.dtype or "float32"

    def to(self, device: str, dtype: str) -> None:
        """Where to run and in which precision, unless the settings say so themselves."""
        self._device = self.settings.device or device
        self._dtype = self.settings.dtype or dtype

    def check_placement(self) -> None:
        """Raises EvalError if this machine lacks its device, or cannot compute so on it."""
        check_placement(self._device, self._dtype, self.settings.offload)

    @property
    def device(self) -> str:
        """The torch device that it runs on. Raises EvalError if it is not there."""
        return devices.resolve(self._device)

    @property
    def first_frame(self) -> str:
        """As `CONVENTIONS` states for this pipeline and this model's configuration."""
        convention = CONVENTIONS.get(self.settings.pipeline)
        if convention is None:
            return "not stated"
        if convention.pinned_by is not None:
            file, key, value = convention.pinned_by
            path = self._folders["model"] / file
            if path.is_file() and (
                read_object("method 'diffusers', model", path).get(key) == value
            ):
                return "input"
        return convention.first_frame

    @cached_property
    def _folders(self) -> dict[str, Path]:
        """Option -> folder of the model and of every further component."""
        model, root = self.settings.model, self.settings.folder
        found = {"model": find_folder("method 'diffusers', model", model, "model_index.json", root)}
        for name, source in sorted(self.settings.components.items()):
            option = f"method 'diffusers', components.{name}"
            found[name] = find_folder(option, source, "config.json", root)
        return found

    def _check_files(self) -> None:
        """Whether the folders hold what the pipeline reads."""
        (_, model), *others = self._folders.items()
        check_pipeline(
            "method 'diffusers', model", model, self.settings.components, self.settings.variant
        )
        for name, folder in others:
            option = f"method 'diffusers', components.{name}"
            check_component(option, folder.parent, folder.name, None)
        check_pipeline_fit(
            "method 'diffusers'", _class(self.settings.pipeline), model, dict(others)
        )

    def fingerprint(self) -> str:
        """sha256 over the pipeline's name, the libraries, the precision, and of every folder the
        hub's commit or its files' bytes.

        Raises:
            EvalError: a folder lacks a file that its pipeline reads, or holds a torn one.
        """
        self._check_files()
        libraries = " ".join(
            f"{name} {version(name)}" for name in ("diffusers", "transformers", "torch")
        )
        stated = f"diffusers.v2 {self.settings.pipeline} {libraries} {self._dtype}"
        digest = hashlib.sha256(stated.encode())
        for option, folder in self._folders.items():
            digest.update(f"\n{option} {identity(folder)}".encode())
        return digest.hexdigest()

    def generate(self, samples: Sequence[Sample], seeds: Sequence[int]) -> list[Clip]:
        """Raises EvalError for a clip with values that are not finite."""
        return [self._clip(sample, seed) for sample, seed in zip(samples, seeds, strict=True)]

    def _clip(self, sample: Sample, seed: int) -> Clip:
        import torch

        pipeline, arguments = self._pipeline(), self.arguments(sample)
        generator = torch.Generator().manual_seed(seed)
        on_gpu = [self.device] if self.device.startswith("cuda") else []
        # I2VGen-XL and SparseCtrl draw the image's latent from torch's global generator.
        with torch.random.fork_rng(devices=on_gpu):
            torch.manual_seed(seed ^ _OTHER_STREAM)
            video = pipeline(**arguments, generator=generator, output_type="np").frames[0]
        return rounded_clip(video, self.settings.fps)

    def arguments(self, sample: Sample) -> dict[str, Any]:
        """Of the pipeline's call, under its own names, but for generator and output type."""
        from PIL import Image

        settings, parameters = self.settings, _parameters(self.settings.pipeline)
        height, width = sample.image.shape[:2]
        values = {
            "frames": settings.frames,
            "steps": settings.steps,
            "guidance_scale": settings.guidance_scale,
            "fps": round(settings.fps),  # embedded as a whole number
            "height": settings.height or height,
            "width": settings.width or width,
        }
        named = {
            _argument(parameters, setting): value
            for setting, value in values.items()
            if value is not None
        }
        arguments = {name: value for name, value in named.items() if name is not None}
        image = Image.fromarray(sample.image)
        arguments |= {"image": image} if "image" in parameters else {"conditioning_frames": [image]}
        if "prompt" in parameters:
            arguments["prompt"] = sample.prompt
        return arguments | settings.call

    def _pipeline(self) -> Any:
        self.check_placement()
        settings, device = self.settings, self.device
        folders = tuple((option, str(folder)) for option, folder in self._folders.items())
        name = f"method 'diffusers': {settings.pipeline}"
        made_of = (self.fingerprint(), device, settings.offload)
        with loading(), failing_once(*made_of), part_errors(name, settings.model):
            return _load(
                settings.pipeline, folders, settings.variant, self._dtype, device, settings.offload
            )


@lru_cache(maxsize=1)
def _load(
    name: str,
    folders: tuple[tuple[str, str], ...],
    variant: str | None,
    dtype: str,
    device: str,
    offload: str,
) -> Any:
    """The pipeline, kept until another one is asked for, so that a sweep loads it once."""
    import torch

    from i2v_adapter.pipelines.compatibility import inner_text_model

    kind = getattr(torch, dtype)
    (_, model), *others = folders
    parts = {
        part: load_model(f"method 'diffusers', components.{part}", Path(folder), kind)
        for part, folder in others
    }
    options: dict[str, Any] = {"dtype": kind, "local_files_only": True}
    pipeline = _class(name).from_pretrained(model, variant=variant, **parts, **options)
    inner_text_model(getattr(pipeline, "text_encoder", None))
    pipeline.set_progress_bar_config(disable=True)
    place(pipeline, device, offload)
    return pipeline


def _class(name: str) -> Any:
    import diffusers

    found = getattr(diffusers, name, None) if name.isidentifier() else None
    if not (inspect.isclass(found) and issubclass(found, diffusers.DiffusionPipeline)):
        choices = [choice for choice in dir(diffusers) if choice.endswith("Pipeline")]
        raise ValueError(
            f"diffusers {diffusers.__version__} has no pipeline '{name}'.{nearest(name, choices)}"
        )
    return found


def _parameters(name: str) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(_class(name).__call__).parameters


def _argument(parameters: Mapping[str, Any], setting: str) -> str | None:
    return next((name for name in _ARGUMENTS[setting] if name in parameters), None)


def _release() -> bool:
    found = _load.cache_info().currsize > 0
    _load.cache_clear()
    return found


devices.holds("diffusers", _release)
