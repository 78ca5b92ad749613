"""The one way frames become network input. A change here is a new version of every metric that uses
it.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError

if TYPE_CHECKING:
    import torch

VERSION = 1


@dataclass(frozen=True)
class Preprocessing:
    """RGB / 255 in float32, then the short side to `resize` (bicubic, antialiased, clamped to [0,
    1]; left alone if it has that length already), the central `crop` x `crop` pixels, and (x -
    mean) / std.

    The resize is torch's, on floats: PIL's rounds to 8 bit and gives slightly other features. The
    same function treats the input image and the frames.

    Attributes:
        resize: length of the short side, px.
        crop: side of the central square; None for no crop.
        mean: of each channel, in [0, 1].
        std: of each channel.
        filter: of the resize.
        antialias: whether the resize filters before it shrinks.
        squash: both sides to `resize`, whatever the aspect ratio, instead of the short side.
    """

    resize: int
    crop: int | None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    filter: Literal["bicubic", "bilinear"] = "bicubic"
    antialias: bool = True
    squash: bool = False

    def describe(self) -> str:
        """One line that says everything, for the fingerprint."""
        sides = "both sides" if self.squash else "short side"
        antialias = "antialias" if self.antialias else "no antialias"
        crop = "no crop" if self.crop is None else f"centre crop {self.crop}"
        return (
            f"preprocessing {VERSION}: rgb/255 float32, {sides} {self.resize} {self.filter} "
            f"{antialias} clamp, "
            f"{crop}, mean {self.mean}, std {self.std}"
        )

    def uncropped(self) -> "Preprocessing":
        """VBench's way for subject consistency: short side to the network's size, bilinear, no
        antialiasing, no crop."""
        return replace(
            self, resize=self.crop or self.resize, crop=None, filter="bilinear", antialias=False
        )

    def apply(self, frames: npt.NDArray[np.uint8], device: str = "cpu") -> "torch.Tensor":
        """Frames as network input.

        Args:
            frames: uint8 (N, H, W, 3), RGB.
            device: torch device of the result.

        Returns:
            float32 (N, 3, crop, crop); without a crop (N, 3, h, w), the longer side rounded down.

        Raises:
            EvalError: another shape or dtype.
        """
        import torch
        from torch.nn import functional

        check_frames(frames)
        pixels = (
            torch.from_numpy(np.ascontiguousarray(frames)).to(device).permute(0, 3, 1, 2).float()
            / 255
        )
        size = self._size(*pixels.shape[2:])
        if size != tuple(pixels.shape[2:]):
            pixels = functional.interpolate(
                pixels, size, mode=self.filter, antialias=self.antialias, align_corners=False
            ).clamp(0, 1)
        if self.crop is not None:
            top, left = (pixels.shape[2] - self.crop) // 2, (pixels.shape[3] - self.crop) // 2
            pixels = pixels[:, :, top : top + self.crop, left : left + self.crop]
        mean, std = (
            torch.tensor(value, device=device).view(1, 3, 1, 1) for value in (self.mean, self.std)
        )
        return (pixels - mean) / std

    def _size(self, height: int, width: int) -> tuple[int, int]:
        short = min(height, width)
        if self.squash:
            return self.resize, self.resize
        if short == self.resize:
            return height, width
        if self.crop is None:
            return height * self.resize // short, width * self.resize // short
        return (
            max(self.crop, round(height * self.resize / short)),
            max(self.crop, round(width * self.resize / short)),
        )


def check_frames(frames: npt.NDArray[np.uint8], *, axes: int = 4) -> None:
    """Raises EvalError unless frames are uint8 with `axes` axes, none empty, and three channels
    last.
    """
    if (
        frames.dtype != np.uint8
        or frames.ndim != axes
        or frames.shape[-1] != 3
        or min(frames.shape) < 1
    ):
        wanted = "(N, H, W, 3)" if axes == 4 else "(N, F, H, W, 3)"
        raise EvalError(
            f"encoder: frames must be uint8 {wanted} with no empty axis, got {frames.dtype} "
            f"{frames.shape}."
        )


GLYPH_64 = Preprocessing(64, 64, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
"""The glyph world's judges: [-1, 1] at 64 px."""

DINO_224 = Preprocessing(256, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""DINO as DreamBooth and FreeInit use it: 256, crop 224, ImageNet mean and deviation."""

CLIP_224 = Preprocessing(
    224, 224, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
)
"""OpenAI CLIP: 224, its own mean and deviation."""

VIDEOMAE_224 = Preprocessing(
    224, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), filter="bilinear"
)
"""VideoMAE's own: 224, ImageNet mean and deviation."""

I3D_224 = Preprocessing(
    224, 224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), filter="bilinear", antialias=False
)
"""The published FVD: short side 224 bilinear without antialiasing, crop 224, [-1, 1]."""
