"""What every family that loads models of diffusers shares: errors that name the part, and placement
on a device. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eval import device as devices
from eval.errors import EvalError, WeightsMissingError, one_line
from eval.methods.configurations import class_in

_LONGEST = 300
"""Characters of a library's message that are shown."""


@contextmanager
def part_errors(key: str, path: object) -> Iterator[None]:
    """Whatever a library raises in the block becomes an EvalError with the part's key and path."""
    try:
        yield
    except (EvalError, MemoryError):
        raise
    except Exception as error:  # every library has its own
        if type(error).__name__ == "OutOfMemoryError":
            raise  # whoever called can make room and try again
        reason = one_line(str(error)) or type(error).__name__
        reason = reason.partition(" If you want to instead overwrite randomly")[0]
        reason = reason if len(reason) <= _LONGEST else f"{reason[: _LONGEST - 3]}..."
        raise EvalError(f"{key}: {path} cannot be used: {reason}") from error


_FAILED: dict[tuple[Hashable, ...], EvalError] = {}


@contextmanager
def failing_once(*made_of: Hashable) -> Iterator[None]:
    """A load that failed fails at once when it is tried again, for every further clip of a cell.

    Args:
        made_of: all that decides what is loaded, file contents included: after a change it is
            tried again.

    Raises:
        EvalError: what the block raised, now or the first time.
    """
    if made_of in _FAILED:
        raise EvalError(str(_FAILED[made_of])) from _FAILED[made_of]
    try:
        yield
    except EvalError as error:
        _FAILED[made_of] = error
        raise


def load_model(key: str, folder: Path, dtype: Any, classes: Sequence[str] = ()) -> Any:
    """A model of diffusers from its folder.

    Args:
        key: who asks, for messages.
        folder: with a ``config.json``.
        dtype: of torch.
        classes: names of those that will do; any of diffusers, if empty.

    Raises:
        WeightsMissingError: the folder holds no model.
        EvalError: a model of another class, or one that cannot be loaded.
    """
    import diffusers

    if not (folder / "config.json").is_file():
        raise WeightsMissingError(f"{key}: {folder} has no config.json, so it is no model")
    kind = class_in(key, folder, classes)
    if not hasattr(diffusers, kind):
        raise EvalError(f"{key}: {folder} holds a {kind}, which is no model of diffusers")
    with part_errors(key, folder):
        return getattr(diffusers, kind).from_pretrained(folder, dtype=dtype, local_files_only=True)


def check_placement(device: str, dtype: str, offload: str) -> None:
    """Whether models can be placed so on this machine; before any is loaded.

    Args:
        device: as it is asked for, ``auto`` too.
        dtype: of `eval.device.Dtype`.
        offload: see :func:`place`.

    Raises:
        EvalError: a device that is not here, float16 or `offload` on the CPU.
    """
    devices.check(device, dtype)
    if offload != "none" and devices.resolve(device) == "cpu":
        raise EvalError(
            f"offload: {offload} moves parts from the CPU to a GPU, and the device is the CPU; "
            "remove it, or use --device cuda"
        )


def place(pipeline: Any, device: str, offload: str) -> None:
    """Puts a pipeline on a resolved device, or has its parts moved there as they are needed.

    Args:
        pipeline: of diffusers.
        device: see `eval.device.resolve`.
        offload: ``none``, ``model`` (whole models) or ``sequential`` (layer by layer).

    Raises:
        EvalError: `offload` on the CPU.
    """
    check_placement(device, "float32", offload)
    if offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    elif offload == "sequential":
        pipeline.enable_sequential_cpu_offload(device=device)
    else:
        pipeline.to(device)
