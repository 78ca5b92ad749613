"""The one way frames become network input. A change here is a new version of every metric that uses it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError

if TYPE_CHECKING:
    import torch

VERSION = 1


@dataclass(frozen=True)
class Preprocessing:
    """RGB / 255 in float32, then the short side to `resize` (bicubic, antialiased, clamped to [0, 1]; left alone if it
    has that length already), the central `crop` x `crop` pixels, and (x - mean) / std.

    The resize is torch's, on floats: PIL's rounds to 8 bit and gives slightly other features. The same function treats
    the input image and the frames.
    """

    resize: int
    crop: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def describe(self) -> str:
        """One line that says everything, for the fingerprint."""
        return (
            f"preprocessing {VERSION}: rgb/255 float32, short side {self.resize} bicubic antialias clamp, "
            f"centre crop {self.crop}, mean {self.mean}, std {self.std}"
        )

    def apply(self, frames: npt.NDArray[np.uint8], device: str = "cpu") -> "torch.Tensor":
        """Frames as network input.

        Args:
            frames: uint8 (N, H, W, 3), RGB.
            device: torch device of the result.

        Returns:
            float32 (N, 3, crop, crop).

        Raises:
            EvalError: another shape or dtype.
        """
        import torch
        from torch.nn import functional

        check_frames(frames)
        pixels = torch.from_numpy(np.ascontiguousarray(frames)).to(device).permute(0, 3, 1, 2).float() / 255
        height, width = pixels.shape[2:]
        short = min(height, width)
        if short != self.resize:
            size = (
                max(self.crop, round(height * self.resize / short)),
                max(self.crop, round(width * self.resize / short)),
            )
            pixels = functional.interpolate(pixels, size, mode="bicubic", antialias=True, align_corners=False).clamp(
                0, 1
            )
        top, left = (pixels.shape[2] - self.crop) // 2, (pixels.shape[3] - self.crop) // 2
        pixels = pixels[:, :, top : top + self.crop, left : left + self.crop]
        mean, std = (torch.tensor(value, device=device).view(1, 3, 1, 1) for value in (self.mean, self.std))
        return (pixels - mean) / std


def check_frames(frames: npt.NDArray[np.uint8], *, axes: int = 4) -> None:
    """Raises EvalError unless frames are uint8 with `axes` axes, none empty, and three channels last."""
    if frames.dtype != np.uint8 or frames.ndim != axes or frames.shape[-1] != 3 or min(frames.shape) < 1:
        wanted = "(N, H, W, 3)" if axes == 4 else "(N, F, H, W, 3)"
        raise EvalError(
            f"encoder: frames must be uint8 {wanted} with no empty axis, got {frames.dtype} {frames.shape}."
        )


GLYPH_64 = Preprocessing(64, 64, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
"""The glyph world's judges: [-1, 1] at 64 px."""

DINO_224 = Preprocessing(256, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""DINO as DreamBooth and FreeInit use it: 256, crop 224, ImageNet mean and deviation."""

CLIP_224 = Preprocessing(224, 224, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
"""OpenAI CLIP: 224, its own mean and deviation."""
