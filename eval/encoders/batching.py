"""Encoders on a GPU: padded batches of one fixed size, and float32 without TF32."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from eval.device import full_precision

_ROWS = {
    "encode_frames": (0,),
    "encode_image": (),
    "encode_text": (0,),
    "encode_pairs": (0, 1),
    "encode_clips": (0,),
    "encode_styles": (0,),
    "encode_distances": (1,),
    "encode_quality": (),
    "encode_scores": (0,),
    "encode_interpolation": (),
}
"""Method -> which of its arguments have a row for each result."""
_AT_ONCE = {"encode_frames": 2, "encode_clips": 2}
"""Method -> batches that are begun at a time, 1 where it is not named: while the GPU computes one,
the CPU prepares the next and takes the results of the one before. RAFT keeps state between its
layers, so its pairs go one batch at a time."""


def on_gpu(encoder: Any, size: int) -> Any:
    """The encoder, whose methods now work through batches of exactly `size` rows, the last one
    filled up by its last row, with TF32 off.

    So one kernel computes every row, and a feature does not depend on how many rows are encoded
    with it.
    """
    for name, rows in _ROWS.items():
        method = getattr(encoder, name, None)
        if method is not None:
            setattr(encoder, name, _padded(method, rows, size, _AT_ONCE.get(name, 1)))
    return encoder


def _padded(
    method: Callable[..., Any], rows: tuple[int, ...], size: int, at_once: int
) -> Callable[..., Any]:
    @functools.wraps(method)
    def called(*arguments: Any, **options: Any) -> Any:
        count = min((len(arguments[row]) for row in rows), default=0)

        def batch(start: int) -> Any:
            part = list(arguments)
            for row in rows:
                part[row] = _filled(arguments[row][start : start + size], size)
            return method(*part, **options)[: count - start]

        with full_precision():  # a setting of the whole process: around all threads
            if count == 0:
                return method(*arguments, **options)
            starts = range(0, count, size)
            if at_once == 1 or len(starts) == 1:
                return np.concatenate([batch(start) for start in starts])
            with ThreadPoolExecutor(at_once) as pool:
                return np.concatenate(list(pool.map(batch, starts)))

    return called


def _filled(rows: Any, size: int) -> Any:
    missing = size - len(rows)
    if missing <= 0:
        return rows
    if isinstance(rows, np.ndarray):
        return np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)])
    return [*rows, *[rows[-1]] * missing]


def together(
    frames: Sequence[np.ndarray], encode: Callable[[np.ndarray], np.ndarray]
) -> list[np.ndarray]:
    """A feature for each array, those of one shape encoded in one call."""
    found: list[Any] = [None] * len(frames)
    shapes: dict[tuple[int, ...], list[int]] = {}
    for index, frame in enumerate(frames):
        shapes.setdefault(frame.shape, []).append(index)
    for indices in shapes.values():
        features = encode(np.stack([frames[index] for index in indices]))
        for index, feature in zip(indices, features, strict=True):
            found[index] = feature
    return found
