"""What a training run writes atomically: adapters, and the state from which it continues."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from i2v_adapter.training.config import TrainingError


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Writes a training state; the previous one stays until the new one is on the disk.

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


def save_folder(folder: Path, save: Callable[[Path], object]) -> None:
    """Has `save` write a folder under another name, brings it to the disk and renames it; until
    then what was in `folder` stays.

    Raises:
        TrainingError: naming the folder, if it cannot be written; nothing unfinished is left
            behind.
    """
    unfinished, before = (
        folder.with_name(f".{folder.name}.{os.getpid()}.{kind}") for kind in ("tmp", "old")
    )
    try:
        with disk_errors(folder):
            shutil.rmtree(unfinished, ignore_errors=True)
            save(unfinished)
            for file in unfinished.rglob("*"):
                if file.is_file():
                    with file.open("rb") as content:
                        os.fsync(content.fileno())
            if folder.exists():
                os.replace(folder, before)
            os.replace(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(before, ignore_errors=True)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Errors of the disk in the block become one line that names `path`.

    Raises:
        TrainingError: from an OSError, or what torch and safetensors make of one.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or (str(error).splitlines() or ["failed"])[0]
        raise TrainingError(
            f"{path}: cannot be written ({reason}); the training state before it stays: put it "
            "right, and run the same command again"
        ) from error


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
