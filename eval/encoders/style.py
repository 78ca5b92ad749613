"""Style: how a frame is drawn, by a classifier of frames."""

from typing import Any

import numpy as np
import numpy.typing as npt

from eval.encoders.preprocessing import Preprocessing
from eval.encoders.pretrained import from_pretrained
from eval.encoders.weights import Location

BATCH = 32


def protocol() -> str:
    """What the features are, apart from the preprocessing."""
    return "style 1: logits of a frame classifier"


class StyleEncoder:
    """transformers `ResNetForImageClassification`.

    Attributes:
        styles: name of each label, from ``config.json``.
    """

    kind = "style"

    def __init__(
        self, id: str, model: Any, preprocessing: Preprocessing, device: str = "cpu"
    ) -> None:
        self.id = id
        self.fingerprint = ""
        self.styles = [model.config.id2label[index] for index in range(model.config.num_labels)]
        self._model = model
        self._preprocessing = preprocessing
        self._device = device

    def encode_styles(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 (N, H, W, 3) RGB -> logits float32 (N, styles). Works through fixed batches of 32
        frames.

        Raises:
            EvalError: another shape or dtype.
        """
        import torch

        found = []
        for start in range(0, max(1, len(frames)), BATCH):
            pixels = self._preprocessing.apply(frames[start : start + BATCH], self._device)
            with torch.inference_mode():
                logits = self._model(pixel_values=pixels.to(self._model.dtype)).logits
            found.append(logits.float().cpu().numpy())
        return np.concatenate(found)


def load(
    id: str, location: Location, preprocessing: Preprocessing, device: str, dtype: str
) -> StyleEncoder:
    """Reads ``config.json`` and the weights of a saved classifier.

    Raises:
        EvalError: weights that do not fit the configuration.
    """
    from transformers import ResNetForImageClassification

    model = from_pretrained(ResNetForImageClassification, id, location, device, dtype)
    return StyleEncoder(id, model, preprocessing, device)
