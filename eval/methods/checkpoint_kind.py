"""Which kind of Stable Diffusion one checkpoint file holds."""

from __future__ import annotations

from pathlib import Path

from eval.errors import EvalError
from eval.methods.model_files import CHECKPOINTS
from eval.methods.tensor_headers import fault, header


def checkpoint_kind(path: Path) -> str:
    """``SD 1.5`` or ``SDXL``, by the names of its tensors.

    Raises:
        EvalError: no file of tensors, or of another kind; the message begins with ``base.model``.
    """
    if path.suffix not in CHECKPOINTS:
        raise EvalError(f"base.model: {path} is a file, but not one of {', '.join(CHECKPOINTS)}")
    names = _tensor_names(path)
    if not any(name.startswith("model.diffusion_model.") for name in names):
        raise EvalError(
            f"base.model: {path} is no Stable Diffusion checkpoint: no tensor of its {len(names)} "
            "is named model.diffusion_model.*"
        )
    if any(name.startswith("cond_stage_model.model.") for name in names):
        raise EvalError(
            f"base.model: {path} is of the SD 2 kind; a base is of the SD 1.5 or SDXL kind"
        )
    sdxl = [any(name.startswith(f"conditioner.embedders.{i}.") for name in names) for i in (0, 1)]
    if any(sdxl) and not all(sdxl):
        raise EvalError(
            f"base.model: {path} is an SDXL refiner or lacks a text encoder; a base has both"
        )
    return "SDXL" if all(sdxl) else "SD 1.5"


def _tensor_names(path: Path) -> list[str]:
    """Names of the tensors in a checkpoint file; their data is not read."""
    why = fault(path)
    if why:
        raise EvalError(
            f"base.model: {path} is not readable as a checkpoint of tensors alone ({why}); code in "
            "a checkpoint is not run. Convert it to .safetensors where you trust it"
        )
    return list(header(path))
