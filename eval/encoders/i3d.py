"""Video features of the published FVD: the Kinetics-400 I3D network, as its TorchScript port."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from eval.device import to_device
from eval.encoders.preprocessing import Preprocessing, check_frames
from eval.encoders.weights import Location
from eval.errors import EvalError, WeightsMissingError

if TYPE_CHECKING:
    import torch

FRAMES = 16
"""Consecutive frames that are read."""

LOGITS = 400
BATCH = 4


def protocol() -> str:
    """What the features are, apart from the preprocessing."""
    return f"i3d 1: first {FRAMES} consecutive frames, {LOGITS} logits before the softmax"


class I3DEncoder:
    """TorchScript I3D; clips to float32 (N, 400) logits.

    The file is called as ``module(videos, rescale=False, resize=False, return_features=True)`` with
    float32 (N, 3, 16, 224, 224) in [-1, 1]; without a preprocessing as StyleGAN-V calls it, with
    ``rescale=True, resize=True`` and uint8 (N, 3, 16, H, W), which the file scales and squashes
    itself. The published FVDs differ in this.

    Source: Carreira and Zisserman 2017 (I3D); Unterthiner et al. 2018 (FVD); the TorchScript port
    of the StyleGAN-V authors, which differs from the TensorFlow original by 0.1 % (151.256 against
    151.392 for zeros against ones).
    """

    kind = "video"

    def __init__(
        self, id: str, model: Any, preprocessing: Preprocessing | None, device: str = "cpu"
    ) -> None:
        self.id = id
        self.fingerprint = ""
        self.frames = FRAMES
        self._model = model
        self._preprocessing = preprocessing
        self._device = device

    def encode_clips(self, clips: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 (N, F, H, W, 3) -> float32 (N, 400). Works through fixed batches of 4 clips.

        Raises:
            EvalError: another shape or dtype, fewer than 16 frames, or a file that does not
                give 400 logits.
        """
        import torch

        check_frames(clips, axes=5)
        if clips.shape[1] < FRAMES:
            raise EvalError(
                f"encoder {self.id!r}: the clip has {clips.shape[1]} frames; {FRAMES} or more are "
                "needed."
            )
        features = []
        for start in range(0, len(clips), BATCH):
            batch = clips[start : start + BATCH, :FRAMES]
            own = self._preprocessing is None
            with torch.inference_mode():
                logits = self._model(
                    self._videos(batch), rescale=own, resize=own, return_features=True
                )
            if tuple(logits.shape) != (len(batch), LOGITS):
                shape = tuple(logits.shape)
                raise EvalError(
                    f"encoder {self.id!r}: the file gives {shape}, not ({len(batch)}, {LOGITS}) "
                    "logits."
                )
            features.append(np.asarray(logits.float().cpu().numpy(), dtype=np.float32))
        return np.concatenate(features)

    def _videos(self, batch: npt.NDArray[np.uint8]) -> "torch.Tensor":
        """uint8 (N, F, H, W, 3) -> (N, 3, F, ., .)."""
        if self._preprocessing is None:
            return to_device(batch, self._device).permute(0, 4, 1, 2, 3).contiguous()
        pixels = self._preprocessing.apply(batch.reshape(-1, *batch.shape[2:]), self._device)
        return pixels.unflatten(0, batch.shape[:2]).transpose(1, 2)


TRUST = "I2V_EVAL_TRUST_TORCHSCRIPT"
"""Environment variable: 1 says that the I3D file is trusted."""


def require_trust(id: str, location: Location) -> None:
    """Refuses a TorchScript file unless its user has said that it is trusted.

    Raises:
        WeightsMissingError: the variable is not set.
    """
    if os.environ.get(TRUST) != "1":
        [path] = location.files.values()
        raise WeightsMissingError(
            f"encoder {id!r}: {path} is a TorchScript file. Such a file is a program, which could "
            f"do anything on this machine; if you trust where it comes from, add "
            f"--trust-torchscript or set {TRUST}=1"
        )


def load(
    id: str, location: Location, preprocessing: Preprocessing | None, device: str, dtype: str
) -> I3DEncoder:
    """Reads the TorchScript file, which is code.

    Raises:
        EvalError: the file is not a TorchScript module, or its user has not said that it is
            trusted.
    """
    import torch

    [path] = location.files.values()
    require_trust(id, location)
    try:
        model = torch.jit.load(path, map_location=device)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise EvalError(f"encoder {id!r}: {path} is not a TorchScript module: {reason}") from error
    return I3DEncoder(id, model.eval(), preprocessing, device)
