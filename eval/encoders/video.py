"""Video features: what happens in a clip, as a VideoMAE classifier sees it."""

from typing import Any

import numpy as np
import numpy.typing as npt

from eval.encoders.preprocessing import Preprocessing, check_frames
from eval.encoders.pretrained import from_pretrained
from eval.encoders.weights import Location
from eval.errors import EvalError

BATCH = 8


def protocol() -> str:
    """What the features are, apart from the preprocessing."""
    return (
        "videomae 1: first num_frames consecutive frames; mean of the last hidden states, then "
        "fc_norm if there is one"
    )


class VideoMAEEncoder:
    """transformers `VideoMAEForVideoClassification`; clips to the input of its classifier, float32
    (N, D), any length.

    Source: Tong et al. 2022 (VideoMAE); Ge et al. 2024, "On the Content Bias in Fréchet Video
    Distance" (why not I3D).
    """

    kind = "video"

    def __init__(
        self, id: str, model: Any, preprocessing: Preprocessing, device: str = "cpu"
    ) -> None:
        self.id = id
        self.fingerprint = ""
        self.frames = int(model.config.num_frames)
        self._model = model
        self._preprocessing = preprocessing
        self._device = device

    def encode_clips(self, clips: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 (N, F, H, W, 3) -> float32 (N, D). Works through fixed batches of 8 clips.

        Of a longer clip the first `frames` frames are read, at the clip's own rate.

        Raises:
            EvalError: another shape or dtype, or fewer frames than the model reads.
        """
        import torch

        check_frames(clips, axes=5)
        if clips.shape[1] < self.frames:
            raise EvalError(
                f"encoder {self.id!r}: the clip has {clips.shape[1]} frames; {self.frames} or more "
                "are needed."
            )
        features = []
        for start in range(0, len(clips), BATCH):
            batch = clips[start : start + BATCH, : self.frames]
            pixels = self._preprocessing.apply(
                batch.reshape(-1, *batch.shape[2:]), self._device
            ).to(self._model.dtype)
            with torch.inference_mode():
                hidden = self._model.videomae(
                    pixels.unflatten(0, batch.shape[:2])
                ).last_hidden_state.mean(dim=1)
                hidden = hidden if self._model.fc_norm is None else self._model.fc_norm(hidden)
            features.append(np.asarray(hidden.float().cpu().numpy(), dtype=np.float32))
        return np.concatenate(features)


def load(
    id: str, location: Location, preprocessing: Preprocessing, device: str, dtype: str
) -> VideoMAEEncoder:
    """Reads ``config.json`` and the weights of a saved `VideoMAEForVideoClassification`.

    Raises:
        EvalError: weights that do not fit the configuration.
    """
    from transformers import VideoMAEForVideoClassification

    return VideoMAEEncoder(
        id,
        from_pretrained(VideoMAEForVideoClassification, id, location, device, dtype),
        preprocessing,
        device,
    )
