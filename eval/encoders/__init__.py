"""Encoders: frames to features. They are the only part of a metric that needs a network.

`load_encoder` builds one from its weights; `encoder_fingerprint` names the weights and the preprocessing without
loading anything heavy, so that a finished run can be checked in moments. Weights are never downloaded here: see
`eval.encoders.weights` for where they are looked for.
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, cast

import numpy as np
import numpy.typing as npt

from eval.encoders import weights
from eval.encoders.preprocessing import CLIP_224, DINO_224, GLYPH_64, Preprocessing
from eval.errors import EvalError, nearest

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
EncoderKind = Literal["image", "image-text", "flow", "video"]


class Encoder(Protocol):
    """What every encoder has; the four kinds below add how it is called.

    Attributes:
        id: name in `ENCODERS`, part of the ids of the metrics that use it.
        kind: what it looks at.
        fingerprint: sha256 hex over weights and preprocessing.
    """

    id: str
    kind: EncoderKind
    fingerprint: str


class ImageEncoder(Encoder, Protocol):
    """Frames to appearance features."""

    def encode_frames(self, frames: UInt8Array) -> Float32Array:
        """uint8 (N, H, W, 3) RGB -> float32 (N, D), rows of length 1."""
        ...


class ImageTextEncoder(ImageEncoder, Protocol):
    """Frames and prompts to features of one joint space."""

    def encode_text(self, prompts: Sequence[str]) -> Float32Array:
        """N prompts -> float32 (N, D), rows of length 1."""
        ...

    def truncated(self, prompt: str) -> bool:
        """Whether the tokenizer drops words of the prompt (the end token always stays)."""
        ...


class FlowEncoder(Encoder, Protocol):
    """Pairs of frames to optical flow."""

    def encode_pairs(self, first: UInt8Array, second: UInt8Array) -> Float32Array:
        """uint8 (N, H, W, 3) twice -> float32 (N, H, W, 2): (dx, dy) in px of each pixel of `first`."""
        ...


class VideoEncoder(Encoder, Protocol):
    """Clips to features of what happens in them."""

    def encode_clips(self, clips: UInt8Array) -> Float32Array:
        """uint8 (N, F, H, W, 3) -> float32 (N, D)."""
        ...


@dataclass(frozen=True)
class EncoderEntry:
    """How an encoder is found and built: ``module.load(id, location, protocol, device)``.

    Attributes:
        kind: what it looks at.
        module: module below this package with the `load` function.
        protocol: frozen preprocessing; its text is part of the fingerprint.
        source: where its weights are looked for; None for an encoder without weights.
    """

    kind: EncoderKind
    module: str
    protocol: Preprocessing | None = None
    source: weights.Source | None = None


_SAFETENSORS = ("config.json", "model.safetensors")
_TRANSFORMERS = ("config.json", "model.safetensors|pytorch_model.bin")

ENCODERS: Mapping[str, EncoderEntry] = {
    "dino_glyph": EncoderEntry("image", "dino", GLYPH_64, weights.Source(_SAFETENSORS, embedded="dino")),
    "dino_vits16": EncoderEntry("image", "dino", DINO_224, weights.Source(_TRANSFORMERS, hub="facebook/dino-vits16")),
    "dino_vitb16": EncoderEntry("image", "dino", DINO_224, weights.Source(_TRANSFORMERS, hub="facebook/dino-vitb16")),
    "clip_glyph": EncoderEntry(
        "image-text",
        "clip",
        GLYPH_64,
        weights.Source(("open_clip_config.json", "model.safetensors", "vocab.json"), embedded="clip"),
    ),
    "clip_vitb32_openai": EncoderEntry(
        "image-text",
        "clip",
        CLIP_224,
        weights.Source(
            ("open_clip_config.json", "open_clip_model.safetensors|model.safetensors"),
            hub="timm/vit_base_patch32_clip_224.openai",
        ),
    ),
    "flow_dis": EncoderEntry("flow", "flow"),
    "raft_large": EncoderEntry(
        "flow",
        "raft",
        source=weights.Source(("raft_large_C_T_SKHT_V2-ff5fadd5.pth|model.safetensors",), torch_hub=True),
    ),
    "videomae_glyph": EncoderEntry("video", "video", GLYPH_64, weights.Source(_SAFETENSORS, embedded="videomae")),
}
"""All encoders by id. The modules they name are imported when one is asked for."""


def _entry(id: str) -> EncoderEntry:
    if id not in ENCODERS:
        raise EvalError(f"unknown encoder {id!r}; allowed: {', '.join(ENCODERS)}.{nearest(id, list(ENCODERS))}")
    return ENCODERS[id]


def _protocol(entry: EncoderEntry) -> str:
    module = importlib.import_module(f"eval.encoders.{entry.module}")
    stated = str(module.protocol())
    return f"{stated}; {entry.protocol.describe()}" if entry.protocol else stated


def load_encoder(id: str, *, device: str = "cpu") -> Encoder:
    """Builds the encoder with its weights.

    Args:
        id: key of `ENCODERS`.
        device: torch device that networks run on.

    Raises:
        EvalError: unknown id, or weights that do not fit the model.
        WeightsMissingError: no weights in the local folder or cache; the message names id, option and folders.
    """
    entry = _entry(id)
    location = weights.find(id, entry.source) if entry.source else None
    module = importlib.import_module(f"eval.encoders.{entry.module}")
    encoder = cast(Encoder, module.load(id, location, entry.protocol, device))
    encoder.fingerprint = encoder_fingerprint(id)
    return encoder


def encoder_fingerprint(id: str) -> str:
    """sha256 hex over the encoder's files and its preprocessing, without importing torch.

    Any change of a weight, of the model's configuration, of the vocabulary or of the preprocessing changes it. Library
    versions do not: they are recorded with the run.

    Args:
        id: key of `ENCODERS`.

    Raises:
        EvalError: unknown id.
        WeightsMissingError: as `load_encoder`.
    """
    entry = _entry(id)
    location = weights.find(id, entry.source) if entry.source else None
    return weights.fingerprint(_protocol(entry), location)
