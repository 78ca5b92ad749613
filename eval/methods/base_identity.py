"""What identifies the clips of a pipeline on a base: the files and options it is made of."""

from __future__ import annotations

import json
from collections.abc import Iterator

from eval.methods.base import Content, ControlNet
from eval.methods.base_checks import check_parts
from eval.methods.base_parts import SD15, SDXL, Recipe, extra, image_encoder, model_kind
from eval.methods.model_files import identity


def contents(recipe: Recipe) -> Iterator[str]:
    """A line for everything that decides the clips of a pipeline: parts with the hash of their
    files or the hub's commit, options that are no file. Loads no model.

    Raises:
        EvalError: as :func:`eval.methods.base_checks.check_parts` does.
    """
    check_parts(recipe)
    base = recipe.parsed
    kind = model_kind(recipe)
    yield f"dtype {recipe.dtype}"
    model = recipe.find("model", base.model)
    parts = [part for part in (SDXL if kind == "SDXL" else SD15)]
    if base.vae is not None:
        parts.remove("vae")
    if recipe.concatenation:
        parts.remove("unet")
    yield f"model {kind} {identity(model, () if model.is_file() else parts)} {base.variant}"
    for key, part in extra(recipe, base):
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
    if base.fp8:
        yield "weights in 8 bits"
    if base.scheduler:
        yield f"scheduler {json.dumps(base.scheduler, sort_keys=True)}"
