"""The glyph world's methods: the full system, the content adapter alone, text-to-video."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from eval.clip import Clip, rounded_clip
from eval.samples import Sample

if TYPE_CHECKING:
    import torch


class SamplingSettings(BaseModel):
    """How a diffusion method samples: DDIM steps, classifier-free guidance (none at or below 1), length and rate."""

    model_config = ConfigDict(extra="forbid")

    steps: int = Field(default=25, ge=1, le=1000)
    guidance_scale: float = Field(default=3.0, ge=0.0, le=50.0, allow_inf_nan=False)
    frames: int = Field(default=8, ge=2, le=32)
    fps: float = Field(default=8.0, gt=0.0, le=240.0, allow_inf_nan=False)


class ImageSettings(SamplingSettings):
    """The sampling of a method that is given the image.

    Less guidance by default: in this world it trades the identity of unseen glyphs for the prompt's words (full method:
    identity .77, .75, .70 of 24 unseen glyphs at guidance 1, 2, 3; motion followed .36, .56, .64 of 64).
    """

    guidance_scale: float = Field(default=2.0, ge=0.0, le=50.0, allow_inf_nan=False)


class I2VAdapterSettings(ImageSettings):
    """The sampling, and the frame similarity prior's t0 in (0, 1] and p in [0, 1]."""

    t0: float = Field(default=1.0, gt=0.0, le=1.0)
    p: float = Field(default=0.5, ge=0.0, le=1.0)


class _Diffusion(ABC):
    """What the three have in common. Building one and its fingerprint load no model."""

    Settings: ClassVar[type[BaseModel]] = SamplingSettings
    version: ClassVar[str]
    parts: ClassVar[tuple[str, ...]] = ()

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    def fingerprint(self) -> str:
        """sha256 over the method's version, the libraries that sample, and the files of every part it loads."""
        from eval.world.cards import sha256
        from eval.world.pipelines import BASE_PARTS, require

        digest = hashlib.sha256(f"{self.version} {version('diffusers')} {version('torch')}".encode())
        for path in require(BASE_PARTS + self.parts):
            digest.update(f"\n{path.parent.name}/{path.name} {sha256(path)}".encode())
        return digest.hexdigest()

    def generate(self, samples: Sequence[Sample], seeds: Sequence[int]) -> list[Clip]:
        """One clip per sample, each from a generator of its own."""
        import torch

        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        return [rounded_clip(video, self.settings.fps) for video in self._videos(samples, generators)]

    def _options(self, samples: Sequence[Sample], generators: list[torch.Generator]) -> dict[str, Any]:
        return {
            "prompt": [sample.prompt for sample in samples],
            "num_frames": self.settings.frames,
            "num_inference_steps": self.settings.steps,
            "guidance_scale": self.settings.guidance_scale,
            "generator": generators,
            "output_type": "np",
        }

    @abstractmethod
    def _videos(self, samples: Sequence[Sample], generators: list[torch.Generator]) -> Any: ...


class I2VAdapterMethod(_Diffusion):
    """I2V adapter, content adapter and frame similarity prior: the paper's full system."""

    Settings: ClassVar[type[BaseModel]] = I2VAdapterSettings
    version = "i2v-adapter.v1"
    parts = ("i2v_adapter", "ip_adapter", "image_encoder", "feature_extractor")

    def _videos(self, samples: Sequence[Sample], generators: list[torch.Generator]) -> Any:
        from eval.world.pipelines import image_to_video
        from i2v_adapter import FrameSimilarityPrior

        prior = FrameSimilarityPrior(t0=self.settings.t0, p=self.settings.p)
        images = [sample.image for sample in samples]
        return image_to_video()(image=images, prior=prior, **self._options(samples, generators)).frames


class ContentAdapterMethod(_Diffusion):
    """Image embeddings in cross-attention alone (the IP-Adapter family): no frame is given, none is kept."""

    Settings: ClassVar[type[BaseModel]] = ImageSettings
    version = "content-adapter.v1"
    parts = ("ip_adapter", "image_encoder", "feature_extractor")

    def _videos(self, samples: Sequence[Sample], generators: list[torch.Generator]) -> Any:
        from PIL import Image

        from eval.world.pipelines import image_prompt_to_video

        height, width = samples[0].image.shape[:2]
        images = [Image.fromarray(sample.image) for sample in samples]
        options = self._options(samples, generators)
        return image_prompt_to_video()(ip_adapter_image=images, height=height, width=width, **options).frames


class TextToVideoMethod(_Diffusion):
    """The base without the image."""

    version = "text-to-video.v1"

    def _videos(self, samples: Sequence[Sample], generators: list[torch.Generator]) -> Any:
        from eval.world.pipelines import text_to_video

        height, width = samples[0].image.shape[:2]
        return text_to_video()(height=height, width=width, **self._options(samples, generators)).frames
