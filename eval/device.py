"""Where models run and in which precision: one choice of a run, obeyed by methods and encoders.

Importing this loads no torch.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from eval.errors import EvalError

if TYPE_CHECKING:
    import numpy as np
    import torch

NAMES = "auto, cpu, cuda, cuda:INDEX, mps"
"""What a device may be called."""

Dtype = Literal["float32", "bfloat16", "float16"]


def known_device(device: str) -> str:
    """The name, if a device may be called so. Raises ValueError."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device, re.ASCII):
        raise ValueError(f"give one of {NAMES}")
    return device


def resolve(device: str) -> str:
    """The torch device that a name stands for; ``auto`` is the first GPU, else the CPU.

    >>> resolve("cpu")
    'cpu'

    Raises:
        EvalError: a device that this machine, or this build of torch, does not have.
    """
    if device == "cpu" or (device == "auto" and not _may_have_gpu()):
        return "cpu"
    import torch

    kind, _, index = device.partition(":")
    if kind == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0:
            raise EvalError(
                f"device '{device}': torch {torch.__version__} finds no CUDA GPU here; use "
                "--device cpu, or auto to take a GPU where there is one"
            )
        if int(index or 0) >= count:
            raise EvalError(f"device '{device}': this machine has {count} GPUs, counted from 0")
    elif kind == "mps" and not torch.backends.mps.is_available():
        raise EvalError(f"device '{device}': torch finds no Apple GPU here; use --device cpu")
    elif kind not in ("cuda", "mps"):
        raise EvalError(f"device '{device}' is not one of {NAMES}")
    return device


def _may_have_gpu() -> bool:
    """False where torch can find no GPU, known without loading torch: Linux without the device
    files of a GPU's driver (NVIDIA, Jetson, WSL, ROCm).
    """
    if not sys.platform.startswith("linux"):
        return True
    files = ("nvidia*", "nvhost*", "nvmap", "dxg", "kfd")
    return any(found for pattern in files for found in Path("/dev").glob(pattern))


def check_dtype(device: str, dtype: str) -> None:
    """Raises EvalError for float16 on a CPU, where most layers cannot compute in it."""
    if device == "cpu" and dtype == "float16":
        raise EvalError(
            "dtype float16 needs a GPU, and the device is the CPU; use float32 (or bfloat16), or "
            "--device cuda"
        )


def check(device: str, dtype: str) -> None:
    """Raises EvalError for a device that is not here, and for float16 on a CPU, without loading
    torch where neither is in question.
    """
    if dtype not in get_args(Dtype):
        raise EvalError(f"dtype '{dtype}' is not one of {', '.join(get_args(Dtype))}")
    if device not in ("auto", "cpu") or dtype == "float16":
        check_dtype(resolve(device), dtype)


def describe(device: str) -> str:
    """A resolved device with the name of its hardware, for people and for provenance."""
    if device.startswith("cuda"):
        import torch

        return f"{device} ({torch.cuda.get_device_name(device)})"
    return device


def to_device(array: np.ndarray, device: str) -> torch.Tensor:
    """A numpy array on a torch device. To a CUDA GPU it is copied from pinned memory, while kernels
    that are queued already run.
    """
    import numpy as np
    import torch

    tensor = torch.from_numpy(np.require(array, requirements=["C", "W"]))
    if device.startswith("cuda"):
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


@contextmanager
def full_precision() -> Iterator[None]:
    """Within the block, float32 on a GPU is float32: TF32 is off for convolutions and products."""
    import torch

    cudnn = torch.backends.cudnn
    settings: tuple[Any, ...] = (torch.backends.cuda.matmul, cudnn.conv)
    before = [setting.fp32_precision for setting in settings]
    for setting in settings:
        setting.fp32_precision = "ieee"
    try:
        yield
    finally:
        for setting, precision in zip(settings, before, strict=True):
            setting.fp32_precision = precision


GENERATORS = ("base", "glyph-world", "diffusers")
"""Holders of models that make clips; ``encoders`` holds those that measure them."""

_HELD: dict[str, Callable[[], bool]] = {}


def holds(name: str, release: Callable[[], bool]) -> None:
    """Registers what lets loaded models go, and says whether there were any: see
    :func:`release`."""
    _HELD[name] = release


def release(*names: str) -> bool:
    """Lets the models go that these holders keep loaded (all, if none is named), with the GPU
    memory they had. They are loaded again when they are needed. Returns whether there were any.
    """
    found = [_HELD[name]() for name in names or tuple(_HELD) if name in _HELD]
    free_memory()
    return any(found)


def free_memory() -> None:
    """Returns unused GPU memory to the system."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        import gc

        gc.collect()
        torch.cuda.empty_cache()
