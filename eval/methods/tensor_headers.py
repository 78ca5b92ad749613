"""Names and shapes of the tensors in a file of weights; their data is not read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from eval.methods.model_files import CHECKPOINTS

Shapes = Mapping[str, tuple[int, ...]]
"""Name of a tensor -> its shape."""


def header(file: Path) -> Shapes:
    """Name -> shape of the tensors in a file; empty for a file that is missing or damaged. The
    names of nested mappings are joined by dots, and a mapping under ``state_dict`` is the file's.
    """
    return _known(file)[0]


def fault(file: Path) -> str:
    """What is wrong with a file of tensors, "" if nothing."""
    return _known(file)[1]


def _known(file: Path) -> tuple[Shapes, str]:
    if file.suffix not in CHECKPOINTS or not file.is_file():
        return {}, ""
    known = file.stat()
    return _read(file, known.st_size, known.st_mtime_ns)


@cache
def _read(file: Path, size: int, changed: int) -> tuple[Shapes, str]:
    """Shapes and fault of a file of this size and time of change."""
    try:
        return (_safetensors(file) if file.suffix == ".safetensors" else _pickle(file)), ""
    except Exception as error:  # a damaged file, in whatever way its reader says so
        return {}, " ".join(str(error).split())[:200] or type(error).__name__


def _safetensors(file: Path) -> Shapes:
    from safetensors import safe_open

    with safe_open(file, "numpy") as opened:
        return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118


def _pickle(file: Path) -> Shapes:
    """Of a file of torch; code in it is not run. Mapped, so that its data stays on the disk."""
    import zipfile

    import torch

    mapped = zipfile.is_zipfile(file)
    found = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    return dict(_shapes(found, ""))


def _shapes(value: Any, prefix: str) -> Any:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _shapes(inner, f"{prefix}.{name}" if prefix else str(name))
    elif hasattr(value, "shape"):
        yield prefix, tuple(value.shape)
