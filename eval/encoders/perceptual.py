"""LPIPS: how far a frame looks from the input image, by torchmetrics."""

from typing import Any

import numpy as np
import numpy.typing as npt

from eval.device import to_device
from eval.encoders.preprocessing import check_frames
from eval.encoders.raft import load_state
from eval.encoders.weights import Location
from eval.errors import EvalError

SMALLEST = 64
"""Shorter side, px, below which the network's last layers have nothing left to see."""

BATCH = 8
PIXELS = 2 * 512 * 512
"""Most pixels of a batch's frames together, unless one frame has more. VGG holds 0.6 GiB of
activations for a frame of 512 x 512.
"""


def protocol() -> str:
    """What the distances are, apart from the backbone's weights."""
    return (
        "lpips 1: rgb/127.5-1 at the frames' own size, the image resized to it (bicubic "
        "antialias clamp), heads 0.1"
    )


class LpipsEncoder:
    """torchmetrics' LPIPS network; distances float32 (N,).

    The linear heads come with torchmetrics (version 0.1 of their authors); the backbone's weights
    are torchvision's.

    Source: Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual
    Metric".
    """

    kind = "perceptual"

    def __init__(self, id: str, model: Any, device: str = "cpu") -> None:
        self.id = id
        self.fingerprint = ""
        self._model = model
        self._device = device

    def encode_distances(
        self, image: npt.NDArray[np.uint8], frames: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.float32]:
        """uint8 (h, w, 3) and (N, H, W, 3) RGB -> float32 (N,), >= 0. Works through batches that
        the frames' size fixes, of 8 frames or fewer.

        Raises:
            EvalError: another shape or dtype, or frames smaller than 64 px.
        """
        import torch

        check_frames(image[None])
        check_frames(frames)
        if min(frames.shape[1:3]) < SMALLEST:
            size = f"{frames.shape[1]} x {frames.shape[2]}"
            raise EvalError(
                f"encoder {self.id!r}: frames of {size} px; {SMALLEST} px or more are needed."
            )
        reference = self._resized(self._pixels(image[None]), frames.shape[1:3])
        distances = []
        size = max(1, min(BATCH, PIXELS // (frames.shape[1] * frames.shape[2])))
        for start in range(0, len(frames), size):
            batch = self._pixels(frames[start : start + size])
            with torch.inference_mode():
                distances.append(
                    self._model(reference.expand_as(batch), batch).flatten().cpu().numpy()
                )
        return np.concatenate(distances).astype(np.float32)

    def _pixels(self, frames: npt.NDArray[np.uint8]) -> Any:
        return to_device(frames, self._device).permute(0, 3, 1, 2).float() / 127.5 - 1

    @staticmethod
    def _resized(pixels: Any, size: tuple[int, ...]) -> Any:
        from torch.nn import functional

        if tuple(pixels.shape[2:]) == tuple(size):
            return pixels
        return functional.interpolate(
            pixels, size, mode="bicubic", antialias=True, align_corners=False
        ).clamp(-1, 1)


def load(id: str, location: Location, preprocessing: None, device: str, dtype: str) -> LpipsEncoder:
    """Builds the network without a download: the heads from torchmetrics, the backbone from
    torchvision's state dict.

    Raises:
        EvalError: an unreadable file, or weights that do not fit.
    """
    import torch
    from torchmetrics.functional.image.lpips import _NoTrainLpips
    from torchvision import models

    [path] = location.files.values()
    small = id == "lpips_alex"
    with torch.device("meta"):  # its classifier, most of its weights, is not needed
        backbone = (models.alexnet if small else models.vgg16)(weights=None).features
    backbone.to_empty(device="cpu")
    load_state(backbone, id, path, "alexnet" if small else "vgg16", prefix="features.")
    network = _NoTrainLpips(net="alex" if small else "vgg", pnet_rand=True)
    layers = dict(backbone.named_children())
    for part in network.net.children():
        for position, layer in part.named_children():
            layer.load_state_dict(layers[position].state_dict())
    return LpipsEncoder(id, network.to(device).eval(), device)
