"""An anchor between the still image and a generated clip: the image itself, panned and zoomed by a
known amount.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from eval.clips.lossless import Clip
from eval.methods import FirstFrame
from eval.methods.anchors import StillImageSettings, length_and_rate
from eval.samples import Sample


class PanZoomSettings(StillImageSettings):
    """Length and rate as for the still image; `pan` in px and `zoom` as a factor, both from frame
    to frame.
    """

    pan: float = Field(default=1.0, ge=0.0, le=64.0, allow_inf_nan=False)
    zoom: float = Field(default=1.01, ge=0.5, le=2.0, allow_inf_nan=False)


class PanZoom:
    """The input image moved at a constant speed, in a direction drawn from the seed, and scaled
    about its own centre.

    Frame 0 is the image. Every frame is drawn from the image, so blur does not add up; what comes
    into view is the image mirrored at its border. Perfect content, motion that no prompt asked for,
    and an exactly known flow.
    """

    Settings: ClassVar[type[PanZoomSettings]] = PanZoomSettings
    first_frame: ClassVar[FirstFrame] = "input"

    def __init__(self, settings: PanZoomSettings) -> None:
        self.settings = settings

    def fingerprint(self) -> str:
        return hashlib.sha256(b"pan-zoom.v1").hexdigest()

    def generate(self, samples: Sequence[Sample], seeds: Sequence[int]) -> list[Clip]:
        """Raises EvalError, naming the sample, if length or rate are left to a true clip that it
        does not have.
        """
        return [self._clip(sample, seed) for sample, seed in zip(samples, seeds, strict=True)]

    def flow(self, size: tuple[int, int], frames: int, seed: int) -> NDArray[np.float64]:
        """Exact displacement of every pixel from each frame to the next.

        Args:
            size: height and width in px.
            frames: F, at least 1.
            seed: as :meth:`generate` was given.

        Returns:
            (F - 1, H, W, 2), px, (dx, dy).
        """
        velocity, growth = self._velocity(seed), self.settings.zoom - 1.0
        centre = (np.asarray([size[1], size[0]]) - 1) / 2.0
        here = np.stack(np.meshgrid(np.arange(size[1]), np.arange(size[0])), axis=-1).astype(
            np.float64
        )
        fields = [
            growth * (here - centre - index * velocity) + velocity for index in range(frames - 1)
        ]
        return np.stack(fields) if fields else np.zeros((0, *size, 2))

    def _velocity(self, seed: int) -> NDArray[np.float64]:
        """(dx, dy) in px per frame."""
        angle = np.random.default_rng(seed).uniform(0.0, 2.0 * np.pi)
        return self.settings.pan * np.asarray([np.cos(angle), np.sin(angle)])

    def _clip(self, sample: Sample, seed: int) -> Clip:
        import cv2

        frames, fps = length_and_rate(sample, self.settings)
        height, width = sample.image.shape[:2]
        velocity = self._velocity(seed)
        centre = (np.asarray([width, height]) - 1) / 2.0
        drawn = [sample.image]
        for index in range(1, frames):
            scale = self.settings.zoom**index
            shift = centre - scale * centre + index * velocity
            matrix = np.asarray([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])
            moved = cv2.warpAffine(
                sample.image,
                matrix,
                (width, height),
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REFLECT_101,
            )
            drawn.append(moved.astype(np.uint8))
        return Clip(np.stack(drawn), fps)
