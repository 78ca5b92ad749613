"""Arrays in ``.npy`` files, written whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval.errors import EvalError
from eval.io.files import write_whole

UInt8Array = NDArray[np.uint8]
Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
Frames = UInt8Array | Float32Array
"""Frames (F, H, W, 3): uint8, or float32 in [0, 1]."""


def read_array(path: Path) -> NDArray[np.float32]:
    """Reads a file of :func:`write_array`.

    Raises:
        EvalError: naming the file, if it is none.
    """
    try:
        loaded: NDArray[np.float32] = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise EvalError(
            f"{path}: not a stored feature ({error}); delete it and run again"
        ) from error
    return loaded


def write_array(path: Path, array: NDArray[np.float32]) -> None:
    """Writes an ``.npy`` file, whole or not at all."""
    content = io.BytesIO()
    np.save(content, array)
    write_whole(path, content.getvalue())
