"""Perceived quality by DOVER's technical head. The model is not part of this package: the user
names a loader.
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from eval.encoders.loaders import named_class, stated_fingerprint
from eval.encoders.weights import Location

OPTION = "I2V_EVAL_DOVER"
"""Environment variable: ``module:Class`` of the loader."""


class QualityModel(Protocol):
    """What the class that `OPTION` names must offer. Its only argument is the device."""

    def __init__(self, *, device: str) -> None: ...

    @staticmethod
    def fingerprint() -> str:
        """Text that changes with the weights and the preprocessing; must load no network."""
        ...

    def score(self, frames: npt.NDArray[np.uint8], fps: float) -> float:
        """uint8 (F, H, W, 3) RGB -> the raw technical score, higher is better."""
        ...


class QualityEncoder:
    """Asks a `QualityModel`.

    Source: Wu et al. 2023, "Exploring Video Quality Assessment on User Generated Contents" (DOVER).
    """

    kind = "quality"

    def __init__(self, id: str, model: QualityModel) -> None:
        self.id = id
        self.fingerprint = ""
        self._model = model

    def encode_quality(self, frames: npt.NDArray[np.uint8], fps: float) -> npt.NDArray[np.float32]:
        """uint8 (F, H, W, 3) -> float32 (1,), the raw score."""
        return np.array([self._model.score(frames, fps)], dtype=np.float32)


def protocol() -> str:
    """The loader's fingerprint."""
    return f"quality 1: {stated_fingerprint('dover_technical', OPTION, _model_class())}"


def _model_class() -> type[QualityModel]:
    found: type[QualityModel] = named_class(
        "dover_technical",
        OPTION,
        "DOVER does not come with this package; eval.encoders.quality.QualityModel says what its "
        "loader must offer",
    )
    return found


def load(
    id: str, location: Location | None, preprocessing: None, device: str, dtype: str
) -> QualityEncoder:
    """Makes the loader's model."""
    return QualityEncoder(id, _model_class()(device=device))
