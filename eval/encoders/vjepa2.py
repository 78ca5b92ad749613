"""V-JEPA 2 with an attentive probe, by transformers."""

from __future__ import annotations

from typing import Any

from eval.encoders.preprocessing import Preprocessing
from eval.encoders.pretrained import from_pretrained
from eval.encoders.video_batches import clip_features
from eval.encoders.weights import Location
from eval.errors import EvalError
from eval.io.arrays import Float32Array, UInt8Array

BATCH = 2


def protocol() -> str:
    """What the features are, apart from the preprocessing."""
    return (
        "vjepa2 1: first frames_per_clip consecutive frames, attentive pooler of the probe, before "
        "its linear layer"
    )


class VJepa2Encoder:
    """transformers `VJEPA2ForVideoClassification`; clips to float32 (N, D).

    Source: Assran et al. 2025, "V-JEPA 2: Self-Supervised Video Models Enable Understanding,
    Prediction and Planning".
    """

    kind = "video"

    def __init__(
        self, id: str, model: Any, preprocessing: Preprocessing, device: str = "cpu"
    ) -> None:
        self.id = id
        self.fingerprint = ""
        self.frames = int(model.config.frames_per_clip)
        self._model = model
        self._preprocessing = preprocessing
        self._device = device

    def encode_clips(self, clips: UInt8Array) -> Float32Array:
        """uint8 (N, F, H, W, 3) -> float32 (N, D). Works through fixed batches of 2 clips.

        Raises:
            EvalError: another shape or dtype, or fewer frames than the model reads.
        """

        def features(pixels: Any) -> Any:
            tokens = self._model.vjepa2.get_vision_features(pixels.to(self._model.dtype))
            return self._model.pooler(tokens)

        return clip_features(
            self.id, clips, self.frames, BATCH, self._preprocessing, self._device, features
        )


def load(
    id: str, location: Location, preprocessing: Preprocessing, device: str, dtype: str
) -> VJepa2Encoder:
    """Reads ``config.json`` and the weights of a saved `VJEPA2ForVideoClassification`.

    Raises:
        EvalError: weights that do not fit the configuration, or of another crop size.
    """
    from transformers import VJEPA2ForVideoClassification

    model = from_pretrained(VJEPA2ForVideoClassification, id, location, device, dtype)
    if model.config.crop_size != preprocessing.crop:
        raise EvalError(
            f"encoder {id!r}: {location.folder} states a crop of {model.config.crop_size} px; the "
            f"encoder is defined with {preprocessing.crop}"
        )
    return VJepa2Encoder(id, model, preprocessing, device)
