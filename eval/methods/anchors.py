"""Methods that generate nothing and anchor the scale: the true clip, and the input image
repeated."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from eval.clips.lossless import Clip
from eval.errors import EvalError
from eval.methods import FirstFrame
from eval.samples import Sample

ANCHORS = ("true-clip", "still-image", "pan-zoom")
"""Names of the methods that generate nothing; they anchor the scale and do not compete."""


class TrueClipSettings(BaseModel):
    """No settings."""

    model_config = ConfigDict(extra="forbid")


class StillImageSettings(BaseModel):
    """Length and rate of the still clip; None takes those of the sample's true clip."""

    model_config = ConfigDict(extra="forbid")
    frames: int | None = Field(default=None, ge=1, le=1024)
    fps: float | None = Field(default=None, gt=0, le=240, allow_inf_nan=False)


class TrueClip:
    """The sample's true clip: what a perfect method would score."""

    Settings: ClassVar[type[BaseModel]] = TrueClipSettings
    first_frame: ClassVar[FirstFrame] = "input"

    def __init__(self, settings: TrueClipSettings) -> None:
        self.settings = settings

    def fingerprint(self) -> str:
        return _fingerprint("true-clip.v1")

    def generate(self, samples: Sequence[Sample], seeds: Sequence[int]) -> list[Clip]:
        """Raises EvalError, naming the sample, if one has no true clip."""
        return [_true_clip(sample, "leave this method out") for sample in samples]


class StillImage:
    """The input image in every frame: perfect identity, no motion."""

    Settings: ClassVar[type[BaseModel]] = StillImageSettings
    first_frame: ClassVar[FirstFrame] = "input"

    def __init__(self, settings: StillImageSettings) -> None:
        self.settings = settings

    def fingerprint(self) -> str:
        return _fingerprint("still-image.v1")

    def generate(self, samples: Sequence[Sample], seeds: Sequence[int]) -> list[Clip]:
        """Raises EvalError, naming the sample, if length or rate are left to a true clip that it
        does not have.
        """
        return [self._still(sample) for sample in samples]

    def _still(self, sample: Sample) -> Clip:
        frames, fps = length_and_rate(sample, self.settings)
        return Clip(np.repeat(sample.image[None], frames, axis=0), fps)


def length_and_rate(sample: Sample, settings: StillImageSettings) -> tuple[int, float]:
    """Frames and frames per second of an anchor's clip: the settings', else those of the sample's
    true clip.

    Raises:
        EvalError: naming the sample, if it has no true clip to take them from.
    """
    frames, fps = settings.frames, settings.fps
    if frames is None or fps is None:
        true = _true_clip(sample, "give the settings frames and fps")
        frames, fps = frames or len(true.frames), fps or true.fps
    return frames, fps


def _true_clip(sample: Sample, remedy: str) -> Clip:
    if sample.clip is None:
        raise EvalError(f"sample '{sample.id}' has no true clip; {remedy}")
    return sample.clip


def _fingerprint(version: str) -> str:
    return hashlib.sha256(version.encode()).hexdigest()
