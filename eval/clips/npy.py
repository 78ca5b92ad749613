"""Clips as .npy arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from i2v_adapter.media.errors import MediaError
from i2v_adapter.media.file_checks import check_regular


def open_array(path: Path, most_pixels: int) -> NDArray:
    """The array of a file, mapped into memory, not read: (F, H, W, 3), uint8 or floating point.

    Raises:
        MediaError: no whole .npy file of shape (F, H, W, 3), over the limit, or values of another
            type.
    """
    check_regular(path)
    shape, dtype, start = _header(path)
    if len(shape) != 4 or shape[3] != 3 or min(shape) < 1:
        raise MediaError(f"an array of shape {shape}; it must be (F, H, W, 3), RGB")
    if math.prod(shape[:3]) > most_pixels:
        raise MediaError(
            f"{shape[0]} frames of {shape[2]} x {shape[1]} px are over the limit of "
            f"{most_pixels:,} pixels a clip; shorten or reduce it"
        )
    if dtype != np.uint8 and not np.issubdtype(dtype, np.floating):
        raise MediaError(f"values of type {dtype}; give uint8, or floating point in [0, 1]")
    if path.stat().st_size < start + math.prod(shape) * dtype.itemsize:
        raise MediaError("not a readable .npy array (too few bytes); is the file cut short?")
    return np.load(path, mmap_mode="r", allow_pickle=False)


def array_frames(array: NDArray) -> Iterator[NDArray[np.uint8]]:
    """The frames one after another, uint8 (H, W, 3).

    Raises:
        MediaError: floating-point values outside [0, 1].
    """
    for number, frame in enumerate(array):
        if array.dtype == np.uint8:
            yield np.array(frame)
            continue
        values = np.asarray(frame, np.float64)
        if not np.isfinite(values).all():
            raise MediaError(f"frame {number} holds values that are not finite")
        if values.min() < 0 or values.max() > 1:
            raise MediaError(
                f"frame {number} has values from {values.min():g} to {values.max():g}; give [0, 1]"
            )
        yield np.rint(values * 255).astype(np.uint8)


def _header(path: Path) -> tuple[tuple[int, ...], np.dtype, int]:
    """Shape, type and where the values start, without trusting any of them."""
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }.get(version, np.lib.format.read_array_header_2_0)
            shape, _, dtype = read(file)
            start = file.tell()
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise MediaError(f"not a readable .npy array ({reason}); is the file cut short?") from error
    if dtype.hasobject:
        raise MediaError("not a readable .npy array (it holds Python objects)")
    return shape, dtype, start
