"""Video features: what happens in a clip, as a VideoMAE classifier sees it."""

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from eval.encoders.preprocessing import Preprocessing
from eval.encoders.pretrained import from_pretrained, read_state
from eval.encoders.video_batches import clip_features
from eval.encoders.weights import Location
from eval.errors import EvalError
from eval.io.arrays import Float32Array, UInt8Array

if TYPE_CHECKING:
    import torch

BATCH = 8


def protocol() -> str:
    """What the features are, apart from the preprocessing."""
    return (
        "videomae 1: first num_frames consecutive frames; mean of the last hidden states, then "
        "fc_norm if there is one"
    )


class VideoMAEEncoder:
    """transformers `VideoMAEForVideoClassification`; clips to float32 (N, D), any length.

    Features are the mean of the last hidden states, after `fc_norm` where the model has one. That
    is the input of its classifier if it pools by the mean; one that does not (`use_mean_pooling`
    false) reads its first token instead.

    Source: Tong et al. 2022 (VideoMAE). Ge et al. 2024, "On the Content Bias in Fréchet Video
    Distance", show why not I3D; their network is VideoMAE-v2, not this one.
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

    def encode_clips(self, clips: UInt8Array) -> Float32Array:
        """uint8 (N, F, H, W, 3) -> float32 (N, D). Works through fixed batches of 8 clips.

        Of a longer clip the first `frames` frames are read, at the clip's own rate.

        Raises:
            EvalError: another shape or dtype, or fewer frames than the model reads.
        """

        def features(pixels: Any) -> Any:
            hidden = self._model.videomae(pixels.to(self._model.dtype)).last_hidden_state
            mean = hidden.mean(dim=1)
            return mean if self._model.fc_norm is None else self._model.fc_norm(mean)

        return clip_features(
            self.id, clips, self.frames, BATCH, self._preprocessing, self._device, features
        )


def load(
    id: str, location: Location, preprocessing: Preprocessing, device: str, dtype: str
) -> VideoMAEEncoder:
    """Reads ``config.json`` and the weights of a saved `VideoMAEForVideoClassification`.

    Raises:
        EvalError: weights that do not fit the configuration.
    """
    import torch
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification

    try:
        config = VideoMAEConfig.from_pretrained(location.folder, local_files_only=True)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise EvalError(
            f"encoder {id!r}: the weights in {location.folder} cannot be loaded: {reason}"
        ) from error
    if "qv_bias" in config.to_dict() and hasattr(config, "qkv_bias"):
        config.qkv_bias = config.qv_bias
    [path] = [file for entry, file in location.files.items() if entry != "config.json"]
    with torch.device("meta"):
        wanted = VideoMAEForVideoClassification(config).state_dict().keys()
    state = renamed_biases(read_state(id, path), wanted)
    model = from_pretrained(
        VideoMAEForVideoClassification, id, location, device, dtype, config=config, state=state
    )
    return VideoMAEEncoder(id, model, preprocessing, device)


_BIAS = re.compile(r"(.*\.attention\.attention\.)(q_bias|v_bias|(?:query|key|value)\.bias)")


def renamed_biases(
    state: "Mapping[str, torch.Tensor]", wanted: Collection[str]
) -> "dict[str, torch.Tensor]":
    """Attention biases under the names that the installed transformers uses.

    A VideoMAE has biases of queries and values and none of keys. Files hold them as ``q_bias`` and
    ``v_bias``, or as ``query.bias`` and ``value.bias``, the latter with or without a ``key.bias``
    of zeros; transformers has had all three layouts since 5.0.

    Args:
        state: tensors of a file, by name.
        wanted: names of the model's tensors.

    Returns:
        The same tensors; biases of keys are left out or added as zeros, as the model has them.
    """
    result: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        found = _BIAS.fullmatch(name)
        if found is None:
            result[name] = tensor
            continue
        prefix, bias = found.groups()
        if bias == "key.bias":
            if name in wanted:  # adding one vector to all keys changes no attention weight
                result[name] = tensor
            continue
        names = (
            f"{prefix}{bias[0]}_bias",
            f"{prefix}{'query' if bias[0] == 'q' else 'value'}.bias",
        )
        result[next((new for new in names if new in wanted), name)] = tensor
        key = f"{prefix}key.bias"
        if key in wanted and key not in state:
            result[key] = tensor * 0
    return result
