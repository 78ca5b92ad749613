"""What the glyph world's methods share: sampling settings, weights, generators. A family is a file
of its own.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field

from eval import device as devices
from eval.clips.lossless import Clip, rounded_clip
from eval.io.files import file_sha256
from eval.io.loading import loading
from eval.methods import FirstFrame
from eval.methods.faster_sampling import FasterSampling
from eval.methods.model_files import version
from eval.samples import Sample
from eval.world.models import WEIGHTS

if TYPE_CHECKING:
    from eval.methods.world_folder import World
    from eval.world.pipelines import Extras
    from i2v_adapter import FrameSimilarityPrior

Part = Annotated[str, Field(pattern=r"^[a-z0-9_]+$", max_length=60)]


class SamplingSettings(BaseModel):
    """How a diffusion method samples: DDIM steps, classifier-free guidance (none at or below 1),
    length and rate; a LoRA and a ControlNet on position maps, by their folders in the weights."""

    model_config = ConfigDict(extra="forbid")

    steps: int = Field(default=25, ge=1, le=1000)
    guidance_scale: float = Field(default=3.0, ge=0.0, le=50.0, allow_inf_nan=False)
    frames: int = Field(default=8, ge=2, le=32)
    fps: float = Field(default=8.0, gt=0.0, le=240.0, allow_inf_nan=False)
    lora: Part | None = None
    lora_scale: float = Field(default=1.0, ge=0.0, le=2.0, allow_inf_nan=False)
    controlnet: Part | None = None


class ImageSettings(SamplingSettings):
    """The sampling of a method that is given the image.

    Less guidance by default: in this world it trades the identity of unseen glyphs for the prompt's
    words (full method: identity .77, .75, .70 of 24 unseen glyphs at guidance 1, 2, 3; motion
    followed .36, .56, .64 of 64).
    """

    guidance_scale: float = Field(default=2.0, ge=0.0, le=50.0, allow_inf_nan=False)


class PriorSettings(ImageSettings):
    """The sampling, and the frame similarity prior's t0 in (0, 1] and p in [0, 1]."""

    t0: float = Field(default=1.0, gt=0.0, le=1.0)
    p: float = Field(default=0.5, ge=0.0, le=1.0)


class GlyphWorldMethod(ABC):
    """A method on the trained glyph world. Building one and its fingerprint load no model.

    Attributes:
        version: a change of what the method does is a new one.
        first_frame: see :data:`eval.methods.FirstFrame`.
        base_parts, parts: folders of `weights` that it loads.
    """

    Settings: ClassVar[type[BaseModel]] = SamplingSettings
    version: ClassVar[str]
    first_frame: ClassVar[FirstFrame]
    base_parts: ClassVar[tuple[str, ...]] = (
        "vae",
        "text_encoder",
        "tokenizer",
        "unet",
        "scheduler",
    )
    parts: ClassVar[tuple[str, ...]] = ()
    weights: Path = WEIGHTS
    takes_device: ClassVar[bool] = True

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self._device = "cpu"
        self._dtype = "float32"
        self._world: World | None = None

    def on(self, world: World) -> Self:
        """This method with the weights of another world. Returns it. Raises WeightsMissingError."""
        self.weights, self._world = world.weights, world
        return self

    def check_samples(self, samples: Sequence[Sample]) -> None:
        """Raises EvalError for an image that the world's frames are not of the size of."""
        if self._world is not None:
            self._world.check_samples(samples)

    def to(self, device: str, dtype: str) -> None:
        """Where to run, and in which precision."""
        self._device, self._dtype = device, dtype

    @property
    def device(self) -> str:
        """The torch device that it runs on. Raises EvalError if it is not there."""
        return devices.resolve(self._device)

    @property
    def extras(self) -> Extras:
        """LoRA and ControlNet that the settings name."""
        from eval.world.pipelines import Extras

        return Extras(self.settings.lora, self.settings.controlnet)

    def fingerprint(self) -> str:
        """sha256 over the method's version, the libraries that sample, and the files of every part
        it loads. Raises EvalError for parts that are missing or damaged.
        """
        from eval.world.pipelines import require

        parts = self.base_parts + self.parts + self.extras.parts
        if self._world is not None:
            self._world.check(parts)
        digest = hashlib.sha256(
            f"{self.version} {version('diffusers')} {version('torch')}".encode()
        )
        if self._dtype != "float32":
            digest.update(self._dtype.encode())
        for path in require(parts, self.weights):
            digest.update(f"\n{path.parent.name}/{path.name} {file_sha256(path)}".encode())
        return digest.hexdigest()

    def generate(self, samples: Sequence[Sample], seeds: Sequence[int]) -> list[Clip]:
        """One clip per sample, each from a generator of its own; one at a time where each has its
        own control.
        """
        return self._clips(samples, seeds, [None] * len(samples))

    def _clips(
        self, samples: Sequence[Sample], seeds: Sequence[int], p: Sequence[Any]
    ) -> list[Clip]:
        import torch

        if self.settings.controlnet is not None and len(samples) > 1:
            rows = zip(samples, seeds, p, strict=True)
            return [
                clip for sample, seed, own in rows for clip in self._clips([sample], [seed], [own])
            ]
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        options: dict[str, Any] = {
            "image": [sample.image for sample in samples],
            "prompt": [sample.prompt for sample in samples],
            "num_frames": self.settings.frames,
            "num_inference_steps": self.settings.steps,
            "guidance_scale": self.settings.guidance_scale,
            "generator": generators,
            "prior": self._prior(p),
            "output_type": "np",
        }
        if self.settings.controlnet is not None:
            from eval.world.control import position_maps

            options["conditioning_frames"] = list(
                position_maps(samples[0].truth, self.settings.frames)
            )
        return [rounded_clip(video, self.settings.fps) for video in self._videos(options)]

    def _prior(self, p: Sequence[Any]) -> FrameSimilarityPrior | None:
        """What all frames start from, with one p for each sample; None: noise alone."""
        return None

    def _run(self, make: Callable[..., Any], options: dict[str, Any], **which: Any) -> Any:
        """The frames that the pipeline of `make`, from `eval.world.pipelines`, gives for
        `options`."""
        from eval.world.pipelines import LORA

        device = self.device
        devices.check_dtype(device, self._dtype)
        with loading():
            pipeline = make(self.weights, self.extras, **which, dtype=self._dtype)
            if str(pipeline.device) != device:
                pipeline.to(device)
        if self.settings.lora is not None:
            pipeline.set_adapters(LORA, self.settings.lora_scale)
        if isinstance(self.settings, FasterSampling):
            self.settings.switch(pipeline)  # cells share it
        return pipeline(**options).frames

    @abstractmethod
    def _videos(self, options: dict[str, Any]) -> Any: ...


class PriorMethod(GlyphWorldMethod):
    """A method whose clips start from the frame similarity prior at its t0 and p.

    p decides the start alone, and no timestep, so it may differ within a call.
    """

    Settings: ClassVar[type[BaseModel]] = PriorSettings
    varying: ClassVar[tuple[str, ...]] = ("p",)

    def generate(
        self, samples: Sequence[Sample], seeds: Sequence[int], p: Sequence[float] | None = None
    ) -> list[Clip]:
        """As every family does; ``p``: one for each sample, in place of the settings'."""
        return self._clips(samples, seeds, [self.settings.p] * len(samples) if p is None else p)

    def _prior(self, p: Sequence[Any]) -> FrameSimilarityPrior | None:
        from i2v_adapter import FrameSimilarityPrior

        return None if self.settings.t0 is None else FrameSimilarityPrior(self.settings.t0, p)
