"""The configuration file of a training run, validated; an error is one line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Pixels = Annotated[int, Field(ge=8, multiple_of=8)]
Precision = Annotated[
    Literal["no", "fp16", "bf16"],
    BeforeValidator(
        lambda value: "no" if value is False else value
    ),  # YAML reads a bare `no` as false
]


class TrainingError(Exception):
    """An error that the user can correct; the message is one line that names the thing, its value
    and what to do.
    """


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ContentAdapter(_Section):
    """An IP-Adapter of the base, as in `pipeline.load_ip_adapter(path, subfolder=,
    weight_name=)`."""

    path: str
    subfolder: str
    weight_name: str
    image_encoder_folder: str = "image_encoder"


class Data(_Section):
    """Videos and their captions.

    Attributes:
        videos, captions: folder of videos and CSV file in WebVid's layout (`VideoFolder`).
        shards: glob pattern of WebDataset tar files (`Shards`), in place of the two.
        height, width: the short side is scaled to fit, the centre is cropped.
        frames, stride: a clip is every `stride`-th frame from a random start, `frames` in all,
            2 or more.
        workers: threads that read and decode ahead.
        hdr: HDR videos are skipped (`refuse`) or read as SDR (`tone-map`).
    """

    videos: Path | None = None
    captions: Path | None = None
    shards: str | None = None
    height: Pixels = 256
    width: Pixels = 256
    frames: Annotated[int, Field(ge=2)] = 16
    stride: Count = 4
    workers: Count = 4
    hdr: Literal["refuse", "tone-map"] = "refuse"

    @model_validator(mode="after")
    def _one_source(self) -> Data:
        given = [source is not None for source in (self.videos, self.captions, self.shards)]
        if given not in ([True, True, False], [False, False, True]):
            raise ValueError("give either videos and captions, or shards")
        return self


class Dropout(_Section):
    """Share of the clips trained without their text, without the content adapter's image, and
    without both.
    """

    text: Share = 0.05
    image: Share = 0.05
    both: Share = 0.05

    @model_validator(mode="after")
    def _sum(self) -> Dropout:
        if self.text + self.image + self.both > 1:
            raise ValueError("text, image and both must not exceed 1 together")
        return self


class SampleInput(_Section):
    """What a sample clip is made from."""

    image: Path
    prompt: str


class Samples(_Section):
    """Clips made every `every` steps, as GIF files; `measure` is called with them.

    Attributes:
        measure: `module:function`, called with a list of
            :class:`~i2v_adapter.training.progress_clips.SampleClip`; it returns a
            mapping from names to numbers, which goes to the trackers.
    """

    every: Count
    inputs: Annotated[list[SampleInput], Field(min_length=1)]
    steps: Count = 25
    guidance_scale: float = 7.5
    fps: Count = 8
    seed: int = 42
    measure: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")] | None = None


class TrainingConfig(_Section):
    """One run. Paths are relative to the working directory; models are folders or hub ids.

    Attributes:
        base: diffusers folder or id of a Stable Diffusion 1.x model, or of an AnimateDiff pipeline.
        motion_adapter: for a base without motion modules of its own.
        content_adapter: None trains without image tokens; `dropout.image` then drops nothing.
        adapter: folder or id of an I2V adapter to start from; None starts from the base's W_Q.
        output: folder of state, adapters, log and samples. The same command goes on from what
            is there.
        beta_schedule: of the noise; None keeps the base's. AnimateDiff's motion adapters were
            trained with `linear`.
        batch_size: clips of one forward pass of one process.
        accumulation: forward passes of one step.
        mixed_precision: None leaves it to `accelerate launch`. The frozen models are held in
            this precision, too.
        ema_decay: of a moving average of the adapter, which then is what is saved and sampled.
        trackers: names that accelerate knows, such as tensorboard or wandb; log.jsonl is always
            written.
    """

    base: str
    motion_adapter: str | None = None
    content_adapter: ContentAdapter | None = None
    adapter: str | None = None
    output: Path
    data: Data
    dropout: Dropout = Dropout()
    beta_schedule: Literal["linear", "scaled_linear", "squaredcos_cap_v2"] | None = "linear"
    steps: Count
    batch_size: Count = 1
    accumulation: Count = 1
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    snr_gamma: Annotated[float, Field(gt=0)] | None = None
    snr_floor: Annotated[float, Field(ge=0)] = 0.0
    mixed_precision: Precision | None = None
    gradient_checkpointing: bool = False
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    save_every: Count = 500
    log_every: Count = 50
    samples: Samples | None = None
    trackers: list[str] = []

    def of_the_weights(self) -> dict[str, Any]:
        """The settings that decide the weights after a given step; a run can only go on with the
        same ones.
        """
        free = {"output", "steps", "save_every", "log_every", "samples", "trackers"}
        values = self.model_dump(mode="json", exclude=free)
        del values["data"]["workers"]
        return values


_SECTIONS: dict[str, type[BaseModel]] = {
    "content_adapter": ContentAdapter,
    "data": Data,
    "dropout": Dropout,
    "samples": Samples,
    "inputs": SampleInput,
}


def load_config(path: Path) -> TrainingConfig:
    """Read and validate a YAML file.

    Raises:
        TrainingError: naming the file, the key, the value and what is allowed.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise TrainingError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error
    if not isinstance(document, dict):
        raise TrainingError(
            f"{path}: must hold a mapping with the keys {', '.join(TrainingConfig.model_fields)}"
        )
    try:
        return TrainingConfig.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            raise TrainingError(f"{path}: {key}: the key is missing") from error
        if first["type"] == "extra_forbidden":
            parents = [part for part in first["loc"][:-1] if isinstance(part, str)]
            section = _SECTIONS[parents[-1]] if parents else TrainingConfig
            raise TrainingError(
                f"{path}: {key}: unknown key; known: {', '.join(section.model_fields)}"
            ) from error
        reason = first["msg"].removeprefix("Value error, ")
        raise TrainingError(
            f"{path}: {key}: {first['input']!r} is not allowed: {reason}"
        ) from error
