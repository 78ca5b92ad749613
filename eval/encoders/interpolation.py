"""Encoders of kind ``interpolation``: how far every other frame is from what an interpolator makes
of its neighbours. The interpolator is brought by its user.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from eval.encoders.loaders import named_class, stated_fingerprint
from eval.encoders.preprocessing import check_frames
from eval.encoders.weights import Location
from eval.errors import EvalError
from eval.io.arrays import Float32Array, UInt8Array

OPTION = "I2V_EVAL_AMT"
"""Environment variable: ``module:Class`` of a loader of AMT-S."""

MULTIPLE = 16
"""Both sides are padded to multiples of this."""


class Interpolator(Protocol):
    """What the class that `OPTION` names must offer. It is made without arguments but the
    device."""

    def __init__(self, *, device: str) -> None: ...

    @staticmethod
    def fingerprint() -> str:
        """Text that changes with the weights; must load no network."""
        ...

    def interpolate(self, first: Float32Array, last: Float32Array) -> Float32Array:
        """Two RGB frames, float32 (H, W, 3) in [0, 1], H and W multiples of 16 -> the frame
        half-way between them, of the same shape and scale. Values outside [0, 1] are cut off."""
        ...


def protocol() -> str:
    """What the errors are."""
    found = named_class(
        "amt_s",
        OPTION,
        "AMT-S (weights amt-s.pth, about 12 MB, CC-BY-NC-4.0, and its research code) does not come "
        "with this package; eval.encoders.interpolation.Interpolator says what its loader must "
        "offer",
    )
    return (
        "interpolation 1: frames 0, 2, 4, ... in [0, 1], edges repeated to multiples of "
        f"{MULTIPLE}; the frame between each two, cut to 8 bit, against the true one; "
        f"{stated_fingerprint('amt_s', OPTION, found)}"
    )


class InterpolationEncoder:
    """Errors of an `Interpolator`, float32 (P,)."""

    kind = "interpolation"

    def __init__(self, id: str, model: Interpolator) -> None:
        self.id = id
        self.fingerprint = ""
        self._model = model

    def encode_interpolation(self, frames: UInt8Array) -> Float32Array:
        """uint8 (F, H, W, 3) RGB, F >= 3 -> float32 (P,): mean absolute error, in 8-bit steps, of
        frames 1, 3, ... that have a frame behind them; P = (F - 1) // 2.

        Raises:
            EvalError: another shape or dtype, fewer than three frames, or an interpolator that
                gives another shape or values that are not finite.
        """
        check_frames(frames)
        if len(frames) < 3:
            raise EvalError(
                f"encoder {self.id!r}: the clip has {len(frames)} frames; 3 or more are needed."
            )
        errors = []
        for index in range(1, len(frames) - 1, 2):
            made = self._between(frames[index - 1], frames[index + 1])
            errors.append(np.abs(made.astype(np.int16) - frames[index]).mean())
        return np.array(errors, dtype=np.float32)

    def _between(self, first: UInt8Array, last: UInt8Array) -> UInt8Array:
        height, width = first.shape[:2]
        top, left = (-side % MULTIPLE // 2 for side in (height, width))
        margins = ((top, -height % MULTIPLE - top), (left, -width % MULTIPLE - left), (0, 0))

        def padded(frame: UInt8Array) -> Float32Array:
            pixels: Float32Array = frame.astype(np.float32) / np.float32(255)
            return np.pad(pixels, margins, mode="edge")

        one, two = padded(first), padded(last)
        made: npt.NDArray[np.float32] = np.asarray(self._model.interpolate(one, two))
        if made.shape != one.shape:
            raise EvalError(
                f"encoder {self.id!r}: the interpolator gives {made.shape} for {one.shape}"
            )
        if not np.isfinite(made).all():
            raise EvalError(
                f"encoder {self.id!r}: the interpolator gives values that are not finite for "
                f"frames of {height} x {width} px; AMT-S needs sides of about 128 px or more"
            )
        made = made[top : top + height, left : left + width]
        return np.clip(made * np.float32(255), 0, 255).astype(np.uint8)


def load(
    id: str, location: Location | None, preprocessing: None, device: str, dtype: str
) -> InterpolationEncoder:
    """Makes the loader's model."""
    found = named_class(id, OPTION, "no loader")
    return InterpolationEncoder(id, found(device=device))
