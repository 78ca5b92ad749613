"""Whether the pipeline on a base takes a family's sampling settings."""

from __future__ import annotations

import inspect
from typing import Any

from eval.errors import EvalError, NotServedError, nearest
from eval.methods.base_fit import longest_clip
from eval.methods.base_parts import Recipe, model_kind

_OWN = (
    *("self", "image", "prompt", "num_frames", "height", "width", "num_inference_steps"),
    *("guidance_scale", "negative_prompt", "prior", "eta", "generator", "latents", "clip_skip"),
    *("output_type", "return_dict", "match_colors", "conditioning_frames", "options", "args"),
    *("controlnet_conditioning_scale", "callback_on_step_end", "image_latents"),
    "callback_on_step_end_tensor_inputs",
)
"""Arguments of the pipelines' calls that the sample and the settings give, or that no suite can."""


_SETTINGS = {
    "num_frames": "frames",
    "num_inference_steps": "steps",
    "prior": "t0 and p",
    "controlnet_conditioning_scale": "control_scale",
    **{
        name: name
        for name in (
            *("height", "width", "guidance_scale", "negative_prompt", "eta", "clip_skip"),
            "match_colors",
        )
    },
}
"""Argument of a pipeline's call -> the setting that gives it."""


def check_call(recipe: Recipe, settings: Any) -> None:
    """Raises EvalError for an argument in ``call`` that the pipeline does not have or that others
    give, and for more frames than the motion modules reach; NotServedError for what SDXL lacks.
    """
    kind = model_kind(recipe)
    controlled = bool(recipe.parsed.named_controlnet(settings.controlnet))
    free_noise = getattr(settings, "free_noise", False)
    if kind == "SDXL" and free_noise is not False:
        raise NotServedError("free_noise: diffusers has it for SD 1.5 bases alone; this is SDXL")
    if kind == "SDXL" and controlled:
        raise NotServedError("base.controlnets: they are for SD 1.5 bases; this is SDXL")
    every = getattr(settings, "reuse_every", 1)
    if every > 1 and recipe.parsed.compile:
        raise EvalError(
            f"reuse_every: {every} needs a UNet that is not compiled as a whole: set base.compile "
            "to false"
        )
    _check_length(recipe, kind, settings.frames, free_noise)
    if not settings.call:
        return  # importing the pipelines takes seconds
    from i2v_adapter import I2VAdapterPipeline, I2VAdapterSDXLPipeline

    found = I2VAdapterSDXLPipeline if kind == "SDXL" else I2VAdapterPipeline
    parameters = [*inspect.signature(found.__call__).parameters]
    if controlled:
        parameters += ["guess_mode", "control_guidance_start", "control_guidance_end"]
    known = [name for name in parameters if name not in _OWN]
    for name in settings.call:
        if name in _SETTINGS:
            raise EvalError(
                f"call: {name} is given by the settings; use {_SETTINGS[name]} in place of it"
            )
        if name not in known:
            raise EvalError(
                f"call: {found.__name__} takes no '{name}' besides what the settings give."
                f"{nearest(name, known)}"
            )


def _check_length(recipe: Recipe, kind: str, frames: int, free_noise: Any) -> None:
    """Whether the motion modules reach over all frames, or over free_noise's window."""
    longest = longest_clip(recipe)
    if free_noise is not False:
        window = free_noise.get("context_length", 16) if isinstance(free_noise, dict) else 16
        frames = window if isinstance(window, int) else frames
    if longest is not None and frames > longest:
        way = "" if kind == "SDXL" or free_noise is not False else ", or set free_noise: true"
        raise EvalError(
            f"frames: {frames} at once, and this base's motion modules reach over {longest}; "
            f"use fewer{way}"
        )
