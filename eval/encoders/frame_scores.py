"""Encoders of kind ``frame-score``: one score for each frame, by a network that was trained on
people's ratings of images.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from eval.encoders.preprocessing import check_frames
from eval.io.arrays import Float32Array, UInt8Array


class FrameScoreEncoder:
    """Scores of frames, float32 (N,), in fixed batches.

    Args:
        id: of the encoder.
        score: uint8 (n, H, W, 3) RGB, n at most `batch` -> float32 (n,).
        batch: frames that are scored together.
    """

    kind = "frame-score"

    def __init__(self, id: str, score: Callable[[UInt8Array], Float32Array], batch: int) -> None:
        self.id = id
        self.fingerprint = ""
        self._score = score
        self._batch = batch

    def encode_scores(self, frames: UInt8Array) -> Float32Array:
        """uint8 (N, H, W, 3) RGB -> float32 (N,).

        Raises:
            EvalError: another shape or dtype.
        """
        check_frames(frames)
        starts = range(0, len(frames), self._batch)
        scores = [self._score(frames[start : start + self._batch]) for start in starts]
        return np.concatenate(scores).astype(np.float32)
