"""Sampling settings of the paper's families on the user's base."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from eval.errors import EvalError, nearest
from eval.methods.base import Base, Name, Scale
from eval.methods.faster_sampling import FasterSampling


class Sampling(BaseModel):
    """How a family samples on a base of one's own.

    Attributes:
        steps, guidance_scale, frames, fps, negative_prompt, eta, clip_skip: of the pipeline's
            call; no guidance at or below 1.
        height, width: in px, multiples of 8, to which images are resized; None: the image's.
        match_colors: give all frames the colour histograms of frame 0.
        lora, controlnet: use the base's LoRA or ControlNet of this name besides the unnamed ones.
        lora_scale, control_scale: factors on their own scales.
        call: further arguments of the pipeline's call, by its own names.
    """

    model_config = ConfigDict(extra="forbid")
    steps: int = Field(default=25, ge=1, le=1000)
    guidance_scale: float = Field(default=7.5, ge=0.0, le=50.0, allow_inf_nan=False)
    frames: int = Field(default=16, ge=2, le=1024)
    fps: float = Field(default=8.0, gt=0.0, le=240.0, allow_inf_nan=False)
    negative_prompt: str | None = None
    height: int | None = Field(default=None, ge=8, le=4096, multiple_of=8)
    width: int | None = Field(default=None, ge=8, le=4096, multiple_of=8)
    eta: float = Field(default=0.0, ge=0.0, le=1.0)
    clip_skip: int | None = Field(default=None, ge=1, le=24)
    match_colors: bool = False
    lora: Name | None = None
    lora_scale: Scale = 1.0
    controlnet: Name | None = None
    control_scale: Scale = 1.0
    call: dict[str, Any] = {}


class PriorSampling(Sampling):
    """With the frame similarity prior's t0 in (0, 1] and p in [0, 1]."""

    t0: float = Field(default=1.0, gt=0.0, le=1.0)
    p: float = Field(default=0.5, ge=0.0, le=1.0)


class AdapterSampling(PriorSampling, FasterSampling):
    """With the I2V adapter.

    Attributes:
        scale: factor on the adapter's branch: 1 is the paper's, 0 switches it off.
        free_init, free_noise: false, true, or the arguments of diffusers' `enable_free_init` and
            `enable_free_noise`.
    """

    scale: Scale = 1.0
    free_init: bool | dict[str, Any] = False
    free_noise: bool | dict[str, Any] = False

    @model_validator(mode="after")
    def _free_init_needs_the_whole_schedule(self) -> AdapterSampling:
        if self.free_init is not False and self.t0 < 1:
            raise ValueError(
                f"free_init starts again from the schedule's end: t0 must be 1, not {self.t0}"
            )
        return self


class FullSampling(AdapterSampling):
    """With the content adapter; content_scale None: the base's."""

    content_scale: Scale | None = None


class ContentSampling(Sampling):
    """With the content adapter, and the prior where both t0 and p are given."""

    t0: float | None = Field(default=None, gt=0.0, le=1.0)
    p: float | None = Field(default=None, ge=0.0, le=1.0)
    content_scale: Scale | None = None

    @model_validator(mode="after")
    def _both_or_neither(self) -> ContentSampling:
        if (self.t0 is None) != (self.p is None):
            raise ValueError(
                "t0 and p make the prior together: give both, or neither to start from noise alone"
            )
        return self


def check_settings(base: Base, where: str) -> None:
    """Raises EvalError for a key of the base's ``settings`` that no family has. Each family takes
    those of its own, so a misspelled one would be nobody's.
    """
    known = list(FullSampling.model_fields)
    for key in base.settings:
        if key not in known:
            raise EvalError(
                f"{where}.settings: unknown key '{key}'. Allowed: {', '.join(known)}."
                f"{nearest(str(key), known)}"
            )
    for factor, (_, parts) in _FACTORS.items():
        if factor in base.settings and not getattr(base, parts):
            raise EvalError(
                f"{where}.settings.{factor}: {base.settings[factor]!r} would change nothing: the "
                f"base has no {parts}; add {parts}: or remove it"
            )


_FACTORS = {
    "lora_scale": ("lora", "loras"),
    "control_scale": ("controlnet", "controlnets"),
}
"""A factor -> the setting that chooses what it multiplies, and the key of the base that has it."""


def check_factors(base: Any, settings: Any, stated: Collection[str], where: str) -> None:
    """Raises EvalError for a factor on LoRAs or ControlNets where a cell uses none.

    Args:
        base: of the cell: one of the user's, a glyph world, None for the one of the package.
        settings: of the cell, validated.
        stated: keys of the method's own settings and sweep. What the base states for all of its
            methods may be of no use to some.
        where: prefix of messages.
    """
    for factor, (choice, parts) in _FACTORS.items():
        if factor not in stated or not hasattr(settings, factor):
            continue
        chosen = getattr(settings, choice, None)
        known = getattr(base, parts, [])
        if chosen is not None or any(part.name is None for part in known):
            continue
        names = ", ".join(str(part.name) for part in known)
        way = f"set {choice} to one of {names}" if names else f"add {parts} to the base"
        way = way if hasattr(base, parts) else f"set {choice}"
        raise EvalError(
            f"{where}.{factor}: {getattr(settings, factor)!r} changes nothing: this method uses no "
            f"{choice}; {way}, or remove {factor}"
        )
