"""What encoders of frames share: features of frames and of the input image, in fixed batches."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from eval.encoders.preprocessing import Preprocessing
from eval.io.arrays import Float32Array, UInt8Array


class FrameEncoder:
    """Prepares frames as a view asks and encodes them; a subclass defines `_encode`."""

    batch: ClassVar[int]
    """Frames that are encoded together."""

    def __init__(self, id: str, preprocessing: Preprocessing, device: str = "cpu") -> None:
        self.id = id
        self.fingerprint = ""
        self._preprocessing = preprocessing
        self._device = device

    def encode_frames(self, frames: UInt8Array, *, view: str = "standard") -> Float32Array:
        """uint8 (N, H, W, 3) RGB -> float32 (N, D). Works through fixed batches of `batch` frames.

        Args:
            frames: RGB.
            view: one of images (see `Preprocessing.seen_as`).

        Raises:
            EvalError: another shape or dtype.
        """
        preprocessing = self._preprocessing.seen_as(view)
        starts = range(0, max(1, len(frames)), self.batch)
        parts = (frames[start : start + self.batch] for start in starts)
        return np.concatenate(
            [self._encode(preprocessing.apply(part, self._device)) for part in parts]
        )

    def encode_image(self, image: UInt8Array, *, view: str = "standard") -> Float32Array:
        """The input image, uint8 (H, W, 3) RGB -> float32 (D,)."""
        preprocessing = self._preprocessing.seen_as(view)
        return self._encode(preprocessing.apply_to_image(image, self._device))[0]

    def _encode(self, pixels: Any) -> Float32Array:
        """float32 (N, 3, h, w), prepared, on the device -> float32 (N, D) of length 1."""
        raise NotImplementedError
