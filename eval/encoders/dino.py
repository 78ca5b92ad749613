"""DINO: what a frame shows, as the class token of a self-distilled vision transformer."""

from typing import Any

import numpy as np
import numpy.typing as npt

from eval.encoders.preprocessing import Preprocessing
from eval.encoders.pretrained import from_pretrained, unit_rows
from eval.encoders.weights import Location

BATCH = 32


def protocol() -> str:
    """What the features are, apart from the preprocessing."""
    return "dino 1: class token of the last hidden state after the final norm, length 1"


class DinoEncoder:
    """transformers `ViTModel`; features float32 (N, D) of length 1.

    Source: Caron et al. 2021, "Emerging Properties in Self-Supervised Vision Transformers".
    """

    kind = "image"

    def __init__(self, id: str, model: Any, preprocessing: Preprocessing, device: str = "cpu") -> None:
        self.id = id
        self.fingerprint = ""
        self._model = model
        self._preprocessing = preprocessing
        self._device = device

    def encode_frames(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 (N, H, W, 3) RGB -> float32 (N, D). Works through fixed batches of 32 frames.

        Raises:
            EvalError: another shape or dtype.
        """
        import torch

        features = []
        for start in range(0, max(1, len(frames)), BATCH):
            pixels = self._preprocessing.apply(frames[start : start + BATCH], self._device)
            with torch.inference_mode():
                features.append(unit_rows(self._model(pixel_values=pixels).last_hidden_state[:, 0]))
        return np.concatenate(features)


def load(id: str, location: Location, preprocessing: Preprocessing, device: str) -> DinoEncoder:
    """Reads ``config.json`` and the weights of a saved `ViTModel`.

    Raises:
        EvalError: weights that do not fit the configuration.
    """
    from transformers import ViTModel

    model = from_pretrained(ViTModel, id, location, device, add_pooling_layer=False)
    return DinoEncoder(id, model, preprocessing, device)
