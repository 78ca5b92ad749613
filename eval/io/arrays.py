"""Arrays in ``.npy`` files, written whole or not at all, and sealed: a file that was damaged, or
lies under another's name, is not taken for what it should be.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval.errors import EvalError
from eval.io.files import write_whole

UInt8Array = NDArray[np.uint8]
Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
FeatureArray = Float32Array | Float64Array
"""Features, one row each."""
Frames = UInt8Array | Float32Array
"""Frames (F, H, W, 3): uint8, or float32 in [0, 1]."""

_SEAL = b"\nsha256:"
_LENGTH = len(_SEAL) + 32


def read_array(path: Path, name: str | None = None) -> NDArray[np.float32]:
    """Reads a file of :func:`write_array`.

    Args:
        path: or a ``upath.UPath``.
        name: as it was written with; None: a file from before there were seals.

    Returns:
        float32, one or more axes, all values finite.

    Raises:
        EvalError: naming the file, if it is missing, damaged, or was written under another name.
    """
    try:
        content = path.read_bytes()
        if name is not None:
            content, seal = content[:-_LENGTH], content[-_LENGTH:]
            if seal != _sealed(content, name):
                raise ValueError("it is damaged, or belongs to another clip or other weights")
        loaded: NDArray[np.float32] = np.load(io.BytesIO(content), allow_pickle=False)
        if not isinstance(loaded, np.ndarray) or loaded.dtype != np.float32:
            raise ValueError("it holds no float32 array")
        if not np.isfinite(loaded).all():
            raise ValueError("it holds values that are not finite")
    except FileNotFoundError as error:
        raise EvalError(f"{path}: no such feature file; run again") from error
    except Exception as error:  # numpy's header parser raises whatever it likes
        raise EvalError(
            f"{path}: not a stored feature ({error}); delete it and run again"
        ) from error
    return loaded


def write_array(path: Path, array: NDArray[np.float32], name: str) -> None:
    """Writes an ``.npy`` file, whole or not at all; after numpy's own content, which other readers
    see alone, follows a seal.

    Args:
        path: or a ``upath.UPath``.
        array: float32, finite.
        name: what the array is of and what it was made with; :func:`read_array` asks for the same.
    """
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array, dtype=np.float32))
    content = buffer.getvalue()
    write_whole(path, content + _sealed(content, name), durable=False)


def feature_name(fingerprint: str, key: str) -> str:
    """What :func:`write_array` seals a clip's features with: the weights, the
    clip."""
    return f"{fingerprint}|{key}"


def _sealed(content: bytes, name: str) -> bytes:
    return _SEAL + hashlib.sha256(content + name.encode()).digest()
