"""How frames are drawn, as a ViT classifier sees it."""

from typing import Any

import numpy as np
import numpy.typing as npt

from eval.encoders.preprocessing import Preprocessing, check_frames
from eval.encoders.pretrained import from_pretrained
from eval.encoders.weights import Location


def protocol() -> str:
    """What the features are, apart from the preprocessing."""
    return "style 1: logits of a ViT classifier, frame by frame"


class StyleEncoder:
    """transformers `ViTForImageClassification`; `styles` are the labels of its configuration, in their order."""

    kind = "style"

    def __init__(self, id: str, model: Any, preprocessing: Preprocessing, device: str = "cpu") -> None:
        self.id = id
        self.fingerprint = ""
        self.styles = [model.config.id2label[index] for index in range(model.config.num_labels)]
        self._model = model
        self._preprocessing = preprocessing
        self._device = device

    def encode_styles(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 (N, H, W, 3) RGB -> logits, float32 (N, styles).

        Raises:
            EvalError: another shape or dtype.
        """
        import torch

        check_frames(frames)
        pixels = self._preprocessing.apply(frames, self._device).to(self._model.dtype)
        with torch.inference_mode():
            logits = self._model(pixels).logits
        return np.asarray(logits.float().cpu().numpy(), dtype=np.float32)


def load(id: str, location: Location, preprocessing: Preprocessing, device: str, dtype: str) -> StyleEncoder:
    """Reads ``config.json`` and the weights of a saved `ViTForImageClassification`.

    Raises:
        EvalError: weights that do not fit the configuration.
    """
    from transformers import ViTForImageClassification

    return StyleEncoder(
        id, from_pretrained(ViTForImageClassification, id, location, device, dtype), preprocessing, device
    )
