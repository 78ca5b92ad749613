"""How frames become network input. Any change here needs a new version of every metric that uses
it.
"""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from eval.device import to_device
from eval.errors import EvalError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Preprocessing:
    """RGB / 255 in float32, then the short side to `resize` (bicubic, antialiased, clamped to [0,
    1]; left alone if it has that length already), the central `crop` x `crop` pixels, and (x -
    mean) / std.

    The resize is torch's, on floats: PIL's rounds to 8 bit and gives slightly other features. The
    same function treats the input image and the frames, but for `apply_to_image`.

    Attributes:
        resize: length of the short side, px.
        crop: side of the central square; None for no crop.
        mean: of each channel, in [0, 1].
        std: of each channel.
        filter: of the resize.
        antialias: whether the resize filters before it shrinks.
        squash: both sides to `resize`, whatever the aspect ratio, instead of the short side.
        long_side: how the length of the long side, resize * long / short, becomes whole: ``floor``
            as torchvision, ``ceil``, or ``nearest``.
        margin: how half the margin left of and above the crop becomes whole: ``even`` as
            torchvision, where halves go to the even number, or ``floor``.
        clamp: whether bicubic overshoot is cut off.
        scale: what a value of 255 becomes; 255 for values that stay as they are.
        scale_last: resize values of 0 to 255 and scale afterwards.
        image_8bit: the input image is resized by PIL, to 8 bit and always antialiased.
        frames_8bit: frames are, too.
    """

    resize: int
    crop: int | None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    filter: Literal["bicubic", "bilinear"] = "bicubic"
    antialias: bool = True
    squash: bool = False
    long_side: Literal["floor", "ceil", "nearest"] = "floor"
    margin: Literal["even", "floor"] = "even"
    clamp: bool = True
    scale: float = 1.0
    scale_last: bool = False
    image_8bit: bool = False
    frames_8bit: bool = False

    def describe(self) -> str:
        """One line that says everything, for the fingerprint."""
        sides = "both sides" if self.squash else "short side"
        antialias = "antialias" if self.antialias else "no antialias"
        clamp = " clamp" if self.clamp else ""
        crop = "no crop" if self.crop is None else f"centre crop {self.crop}"
        whole = f", long side {self.long_side}"
        margin = f" margin {self.margin}"
        version, start = 2, "rgb" if self.scale == 255 else "rgb/255"
        if self.squash or self.crop is None or self.long_side == "nearest":
            version, whole, margin = 1, "", ""  # said as before there was a choice
        order = " after the resize" if self.scale_last and self.scale != 255 else ""
        image = ", input image resized by PIL to 8 bit" if self.image_8bit else ""
        if self.frames_8bit:
            antialias, clamp, image = "antialias", "", ", resized by PIL to 8 bit"
        return (
            f"preprocessing {version}: {start} float32{order}, {sides} {self.resize} {self.filter} "
            f"{antialias}{clamp}{whole}, "
            f"{crop}{margin}, mean {self.mean}, std {self.std}{image}"
        )

    def seen_as(self, view: str) -> "Preprocessing":
        """This preprocessing in a view of `eval.metrics.views.View`.

        Raises:
            EvalError: a view that images do not have.

        Source: VBench, `subject_consistency.py` (uncropped) and `i2v_subject.py` of its
        image-to-video suite, where torchvision antialiases tensors from 0.17 on and did not before;
        EvalCrafter, `Scores_with_CLIP.py`; OpenAI CLIP's `preprocess`, as AIGCBench calls it (pil).
        """
        side = self.crop or self.resize
        vbench = replace(
            self,
            long_side="floor",
            margin="even",
            clamp=False,
            scale_last=True,
            image_8bit=True,
        )
        views = {
            "standard": self,
            "uncropped": replace(self, resize=side, crop=None, filter="bilinear", antialias=False),
            "vbench": vbench,
            "vbench_noaa": replace(vbench, antialias=False),
            "evalcrafter": replace(
                self,
                resize=side,
                crop=None,
                squash=True,
                filter="bilinear",
                mean=(0.0, 0.0, 0.0),
                std=(1.0, 1.0, 1.0),
                scale=255.0,
                scale_last=True,
                clamp=False,
            ),
            "pil": replace(
                self, long_side="floor", margin="even", image_8bit=True, frames_8bit=True
            ),
        }
        if view not in views:
            raise EvalError(f"preprocessing: no view {view!r} of images; have {', '.join(views)}.")
        return views[view]

    def apply(self, frames: npt.NDArray[np.uint8], device: str = "cpu") -> "torch.Tensor":
        """Frames as network input.

        Args:
            frames: uint8 (N, H, W, 3), RGB.
            device: torch device of the result.

        Returns:
            float32 (N, 3, crop, crop); without a crop (N, 3, h, w).

        Raises:
            EvalError: another shape or dtype.
        """
        import torch
        from torch.nn import functional

        check_frames(frames)
        if self.frames_8bit:
            return torch.cat([self.apply_to_image(frame, device) for frame in frames])
        pixels = to_device(frames, device).permute(0, 3, 1, 2).float()
        if not self.scale_last:
            pixels = pixels / 255 * self.scale
        size = self.size(*pixels.shape[2:])
        if size != tuple(pixels.shape[2:]):
            pixels = functional.interpolate(
                pixels, size, mode=self.filter, antialias=self.antialias, align_corners=False
            )
            if self.clamp:
                pixels = pixels.clamp(0, 255 if self.scale_last else self.scale)
        return self._finished(pixels)

    def apply_to_image(self, image: npt.NDArray[np.uint8], device: str = "cpu") -> "torch.Tensor":
        """The input image as network input: `apply`, but for `image_8bit`.

        Args:
            image: uint8 (H, W, 3), RGB.
            device: torch device of the result.

        Returns:
            float32 (1, 3, ., .).
        """

        if not self.image_8bit:
            return self.apply(image[None], device)
        from PIL import Image

        check_frames(image[None])
        height, width = self.size(*image.shape[:2])
        filters = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
        resized = Image.fromarray(image)
        if resized.size != (width, height):
            resized = resized.resize((width, height), filters[self.filter])
        pixels = to_device(np.array(resized), device).permute(2, 0, 1)[None].float()
        return self._finished(pixels if self.scale_last else pixels / 255 * self.scale)

    def _finished(self, pixels: "torch.Tensor") -> "torch.Tensor":
        """Crop, scale and normalise."""
        import torch

        if self.crop is not None:
            top, left = (self._margin(side) for side in pixels.shape[2:])
            pixels = pixels[:, :, top : top + self.crop, left : left + self.crop]
        if self.scale_last and self.scale != 255:
            pixels = pixels / 255 * self.scale
        mean, std = (
            torch.tensor(value, device=pixels.device).view(1, 3, 1, 1)
            for value in (self.mean, self.std)
        )
        return (pixels - mean) / std

    def _margin(self, side: int) -> int:
        margin = side - (self.crop or side)
        return margin // 2 if self.margin == "floor" else round(margin / 2)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width after the resize of a frame of this height and width."""
        short = min(height, width)
        if self.squash:
            return self.resize, self.resize
        if self.long_side == "ceil":  # in floats, as the published wrapper
            long = math.ceil(max(height, width) * (self.resize / short))
            return (self.resize, long) if height < width else (long, self.resize)
        if short == self.resize:
            return height, width
        sides = (self._length(height, short), self._length(width, short))
        least = self.crop or 1
        return max(least, sides[0]), max(least, sides[1])

    def _length(self, side: int, short: int) -> int:
        if self.long_side == "nearest" and self.crop is not None:
            return round(side * self.resize / short)
        return side * self.resize // short


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


GLYPH_64 = Preprocessing(
    64, 64, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), long_side="nearest", margin="floor"
)
"""The glyph world's encoders: [-1, 1] at 64 px."""

DINO_224 = Preprocessing(256, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""DINO as DreamBooth and FreeInit use it: 256, crop 224, ImageNet mean and deviation."""

CLIP_224 = Preprocessing(
    224, 224, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
)
"""OpenAI CLIP: 224, its own mean and deviation."""

CDFVD_224 = Preprocessing(
    224,
    None,
    (0.0, 0.0, 0.0),
    (1.0, 1.0, 1.0),
    filter="bilinear",
    antialias=False,
    squash=True,
)
"""cd-fvd's for VideoMAE-v2: squashed to 224 x 224 bilinear without antialiasing, and neither mean
nor deviation, unlike the network's training."""

VJEPA1_224 = Preprocessing(
    224, None, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), filter="bilinear", squash=True
)
"""V-JEPA: ImageNet mean and deviation; the squash to 224 x 224 is this suite's, JEDi resizes
nothing."""

VJEPA2_256 = Preprocessing(
    292, 256, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), filter="bilinear"
)
"""V-JEPA 2's own: short side 292, crop 256, ImageNet mean and deviation."""

DREAMSIM_224 = Preprocessing(224, None, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), squash=True)
"""DreamSim: squashed to 224 x 224; its networks normalise themselves."""

VIDEOMAE_224 = Preprocessing(
    224, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), filter="bilinear", margin="floor"
)
"""VideoMAE's own: 224, ImageNet mean and deviation; its processor floors half the margin."""

I3D_224 = Preprocessing(
    224,
    224,
    (0.5, 0.5, 0.5),
    (0.5, 0.5, 0.5),
    filter="bilinear",
    antialias=False,
    long_side="ceil",
    margin="floor",
)
"""One of the published ways to FVD: short side 224 bilinear without antialiasing, long side rounded
up, crop 224, [-1, 1], as in the wrapper of common_metrics_on_video_quality."""

I3D_SQUASH_224 = Preprocessing(
    224, 224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), filter="bilinear", antialias=False, squash=True
)
"""Another: squashed to 224 x 224 bilinear without antialiasing, [-1, 1]."""
