"""The file that training goes on from: written whole or not at all, and on the disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from i2v_adapter.training.config import TrainingError


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Writes a training state; until it is on the disk, the one before stays.

    Raises:
        TrainingError: naming the file, if it cannot be written; nothing unfinished is left behind.
    """
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            torch.save(dict(state), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except (OSError, RuntimeError) as error:  # torch turns a full disk into a RuntimeError
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise TrainingError(
            f"{path}: the training state cannot be written ({reason}); the one before stays: put "
            "it right, and run the same command again"
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def read_state(path: Path) -> dict[str, Any]:
    """Reads a file of :func:`write_state`.

    Raises:
        TrainingError: naming the file, if it is damaged, or none.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        missing = {"adapter", "optimizer", "schedule", "generator", "step"} - set(state)
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:  # the reader of pickles raises whatever a torn one leads to
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise TrainingError(
            f"{path}: not a training state ({reason}); remove it to start again from step 0"
        ) from error
    if missing:
        raise TrainingError(
            f"{path}: not a training state (without {', '.join(sorted(missing))}); remove it to "
            "start again from step 0"
        )
    return state
