"""DINO: what a frame shows, as the class token of a self-distilled vision transformer."""

from typing import Any

import numpy as np
import numpy.typing as npt

from eval.encoders.frame_features import FrameEncoder
from eval.encoders.preprocessing import Preprocessing
from eval.encoders.pretrained import from_pretrained, unit_rows
from eval.encoders.weights import Location
from eval.errors import EvalError
from eval.io.model_json import read_object

BATCH = 32

CLASSES: dict[str, tuple[str, dict[str, Any]]] = {
    "vit": ("ViTModel", {"add_pooling_layer": False}),
    "dinov2": ("Dinov2Model", {}),
    "dinov2_with_registers": ("Dinov2WithRegistersModel", {}),
    "dinov3_vit": ("DINOv3ViTModel", {}),
}
"""`model_type` of ``config.json`` -> transformers class and its arguments."""


def protocol() -> str:
    """What the features are, apart from the preprocessing."""
    return "dino 1: class token of the last hidden state after the final norm, length 1"


class DinoEncoder(FrameEncoder):
    """transformers `ViTModel`, `Dinov2Model` (with registers or without) or `DINOv3ViTModel`;
    features float32 (N, D) of length 1.

    Source: Caron et al. 2021, "Emerging Properties in Self-Supervised Vision Transformers"; Oquab
    et al. 2023 (DINOv2); Siméoni et al. 2025 (DINOv3).
    """

    kind = "image"
    batch = BATCH

    def __init__(
        self, id: str, model: Any, preprocessing: Preprocessing, device: str = "cpu"
    ) -> None:
        super().__init__(id, preprocessing, device)
        self._model = model

    def _encode(self, pixels: Any) -> npt.NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            hidden = self._model(pixel_values=pixels.to(self._model.dtype), **self._size(pixels))
            return unit_rows(hidden.last_hidden_state[:, 0])

    def _size(self, pixels: Any) -> dict[str, bool]:
        """`ViTModel` takes frames of another size than its own only when told to; the other classes
        always do.
        """
        config = self._model.config
        other = config.model_type == "vit" and tuple(pixels.shape[2:]) != (
            config.image_size,
            config.image_size,
        )
        return {"interpolate_pos_encoding": True} if other else {}


def load(
    id: str, location: Location, preprocessing: Preprocessing, device: str, dtype: str
) -> DinoEncoder:
    """Reads ``config.json`` and the weights of a saved vision transformer.

    Raises:
        EvalError: a model of another type, or weights that do not fit the configuration.
    """
    import transformers

    config_file = location.files["config.json"]
    model_type = read_object(f"encoder {id!r}", config_file).get("model_type")
    if model_type not in CLASSES:
        raise EvalError(
            f"encoder {id!r}: {config_file} states model_type {model_type!r}; allowed: "
            f"{', '.join(CLASSES)}."
        )
    name, arguments = CLASSES[model_type]
    model = from_pretrained(getattr(transformers, name), id, location, device, dtype, **arguments)
    return DinoEncoder(id, model, preprocessing, device)
