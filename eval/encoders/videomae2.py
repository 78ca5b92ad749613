"""VideoMAE-v2 ViT-g, fine-tuned on Something-Something-v2: the video features of cd-fvd."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from eval.encoders.preprocessing import Preprocessing
from eval.encoders.pretrained import from_pretrained
from eval.encoders.video import VideoMAEEncoder
from eval.encoders.weights import Location
from eval.errors import EvalError

if TYPE_CHECKING:
    import torch

BATCH = 8

SHAPE: Mapping[str, Any] = {
    "hidden_size": 1408,
    "num_hidden_layers": 40,
    "num_attention_heads": 16,
    "intermediate_size": 6144,
    "patch_size": 14,
    "image_size": 224,
    "num_frames": 16,
    "tubelet_size": 2,
    "num_labels": 174,
}
"""Of ViT-g/14 as the published file holds it."""

EPS = 1e-6
"""Of every layer norm."""


def protocol() -> str:
    """What the features are, apart from the preprocessing."""
    return (
        "videomae2 1: ViT-g/14, first 16 consecutive frames; mean of the last hidden states, then "
        f"fc_norm with eps {EPS:g}"
    )


def config() -> Any:
    """transformers' configuration of the published network."""
    from transformers import VideoMAEConfig

    found = VideoMAEConfig(**SHAPE, use_mean_pooling=True, layer_norm_eps=EPS)
    for name in ("qkv_bias", "qv_bias"):  # transformers has had both names
        if hasattr(found, name):
            setattr(found, name, True)
    return found


_RENAMED = (
    (r"^patch_embed\.proj\.", "videomae.embeddings.patch_embeddings.projection."),
    (r"^blocks\.(\d+)\.norm1\.", r"videomae.encoder.layer.\1.layernorm_before."),
    (r"^blocks\.(\d+)\.norm2\.", r"videomae.encoder.layer.\1.layernorm_after."),
    (r"^blocks\.(\d+)\.attn\.proj\.", r"videomae.encoder.layer.\1.attention.output.dense."),
    (r"^blocks\.(\d+)\.mlp\.fc1\.", r"videomae.encoder.layer.\1.intermediate.dense."),
    (r"^blocks\.(\d+)\.mlp\.fc2\.", r"videomae.encoder.layer.\1.output.dense."),
    (r"^head\.", "classifier."),
)
"""Published name -> name in transformers; fc_norm is called the same."""


def converted(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A published VideoMAE-v2 state dict under the names of transformers'
    `VideoMAEForVideoClassification`.

    The joint projection ``attn.qkv`` is split in three. Queries and values have a bias and keys
    have none, which here is a bias of zeros: the same function.
    """
    import torch

    found: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        inner = re.match(r"blocks\.(\d+)\.attn\.(qkv\.weight|q_bias|v_bias)$", name)
        if inner is None:
            for pattern, replacement in _RENAMED:
                name = re.sub(pattern, replacement, name)
            found[name] = value
            continue
        start = f"videomae.encoder.layer.{inner.group(1)}.attention.attention."
        if inner.group(2) == "qkv.weight":
            parts = zip(("query", "key", "value"), value.chunk(3), strict=True)
            found |= {f"{start}{part}.weight": one.contiguous() for part, one in parts}
        else:
            part = "query" if inner.group(2) == "q_bias" else "value"
            found[f"{start}{part}.bias"] = value
            found[f"{start}key.bias"] = torch.zeros_like(value)
    return found


def load(
    id: str, location: Location, preprocessing: Preprocessing, device: str, dtype: str
) -> VideoMAEEncoder:
    """Reads the published ``.pth`` and builds transformers' model of it, strictly.

    Source: Wang et al. 2023 (VideoMAE V2); Ge et al. 2024, "On the Content Bias in Fréchet Video
    Distance".

    Raises:
        EvalError: an unreadable file, or weights that do not fit.
    """
    import torch
    from transformers import VideoMAEForVideoClassification

    from eval.encoders.video import renamed_biases

    [path] = location.files.values()
    given = _published_state(id, path)
    with torch.device("meta"):
        wanted = VideoMAEForVideoClassification(config()).state_dict().keys()
    state = renamed_biases(converted(given), wanted)
    unknown = sorted(set(state) - set(wanted))
    if unknown:
        raise EvalError(
            f"encoder {id!r}: {path} has {len(unknown)} tensors that ViT-g does not have, for "
            f"example {unknown[0]}"
        )
    model = from_pretrained(
        VideoMAEForVideoClassification, id, location, device, dtype, config=config(), state=state
    )
    model.fc_norm.eps = EPS  # transformers builds it with 1e-5
    return VideoMAEEncoder(id, model, preprocessing, device)


def _published_state(id: str, path: Any) -> dict[str, torch.Tensor]:
    """The tensors below ``model`` or ``module``, or the file's own."""
    from eval.encoders.pretrained import read_state

    state: Any = read_state(id, path)
    for key in ("model", "module"):
        if isinstance(state.get(key), Mapping):
            return dict(state[key])
    return dict(state)
