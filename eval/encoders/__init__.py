"""Encoders: frames to features. They are the only part of a metric that needs a network.

`load_encoder` builds one from its weights; `encoder_fingerprint` names the weights and the
preprocessing without loading anything heavy, so that a finished run can be checked in moments.
Weights are never downloaded here: see `eval.encoders.weights` for where they are looked for.
"""

import importlib
from collections.abc import Callable
from typing import Any, cast, get_args

from eval.encoders import weights
from eval.encoders.kinds import Encoder as Encoder
from eval.encoders.kinds import FlowEncoder as FlowEncoder
from eval.encoders.kinds import FrameScoreEncoder as FrameScoreEncoder
from eval.encoders.kinds import ImageEncoder as ImageEncoder
from eval.encoders.kinds import ImageTextEncoder as ImageTextEncoder
from eval.encoders.kinds import InterpolationEncoder as InterpolationEncoder
from eval.encoders.kinds import PerceptualEncoder as PerceptualEncoder
from eval.encoders.kinds import QualityEncoder as QualityEncoder
from eval.encoders.kinds import StyleEncoder as StyleEncoder
from eval.encoders.kinds import TracksEncoder as TracksEncoder
from eval.encoders.kinds import VideoEncoder as VideoEncoder
from eval.encoders.table import DTYPES, EMBEDDED, ENCODERS, SCHEMES, EncoderEntry
from eval.errors import EvalError, nearest
from eval.io.arrays import Float32Array, UInt8Array
from eval.io.loading import loading
from eval.io.registry import Found, Registry, is_reference
from eval.metrics.definitions import EncoderKind

__all__ = [
    "DTYPES",
    "EMBEDDED",
    "ENCODERS",
    "SCHEMES",
    "EncoderEntry",
    "encoder",
    "encoder_change",
    "encoder_entry",
    "encoder_fingerprint",
    "encoder_kind",
    "encoder_protocol",
    "encoder_revision",
    "load_encoder",
    "named_encoders",
]

_OWN = Registry("encoder", "i2v_eval.encoders", {})


def encoder(name: str) -> Callable[[Found], Found]:
    """A class decorator that makes an encoder of one's own, an `eval.encoders.kinds.OwnEncoder`,
    known by a plain name in this process. A metric id can also name a class as ``module:Class``; no
    decorator is needed for that.

    Args:
        name: what a metric id names as its encoder, without ``.``.

    Raises:
        EvalError: the name stands for another encoder already.

    Examples:
        >>> import numpy as np
        >>> @encoder("mean_colour")
        ... class MeanColour:
        ...     kind = "image"
        ...     protocol = "mean colour of the frame, unit length; v1"
        ...     def __init__(self, location, device):
        ...         pass
        ...     def encode_frames(self, frames, *, view="standard"):
        ...         means = frames.mean(axis=(1, 2)).astype(np.float32) + 1
        ...         return means / np.linalg.norm(means, axis=1, keepdims=True)
        >>> from eval import parse_metric
        >>> parse_metric("identity.mean_colour.v1").encoder
        'mean_colour'
    """
    if name in ENCODERS or "." in name:
        raise EvalError(
            f"encoder {name!r}: choose a name without '.', other than {', '.join(ENCODERS)}"
        )
    return _OWN.named(name)


def named_encoders() -> dict[str, EncoderEntry]:
    """All encoders with a name: those of this package, of installed ones and of this process."""
    return {**ENCODERS, **{name: _own_entry(name) for name in _OWN.names()}}


def _own_entry(name: str) -> EncoderEntry:
    found: Any = _OWN.find(name)
    for attribute in ("kind", "protocol"):
        if not isinstance(getattr(found, attribute, None), str):
            raise EvalError(
                f"encoder {name!r}: it has no text '{attribute}'; "
                "eval.encoders.kinds.OwnEncoder lists what an encoder needs"
            )
    if found.kind not in get_args(EncoderKind):
        raise EvalError(
            f"encoder {name!r}: kind is {found.kind!r}; allowed: "
            f"{', '.join(get_args(EncoderKind))}.{nearest(found.kind, get_args(EncoderKind))}"
        )
    return EncoderEntry(found.kind, "", source=getattr(found, "source", None), own=found)


def encoder_entry(id: str) -> EncoderEntry:
    """How the encoder of this name, of this scheme and place, or ``module:Class``, is found and
    built.

    Raises:
        EvalError: neither a name, nor a scheme of `SCHEMES` with something behind its colon, nor a
            class that is an encoder.
    """
    scheme, _, name = id.partition(":")
    if scheme in SCHEMES and name:
        return SCHEMES[scheme].entry(name)
    if id in ENCODERS:
        return ENCODERS[id]
    if is_reference(id) or id in _OWN.names():
        return _own_entry(id)
    known = [*ENCODERS, *_OWN.names()]
    raise EvalError(f"unknown encoder {id!r}; allowed: {', '.join(known)}.{nearest(id, known)}")


def encoder_kind(id: str) -> EncoderKind | None:
    """What the encoder of this name, of this scheme and place, or ``module:Class``, looks at; None
    if there is no such one. Unlike `encoder_entry` it needs no open_clip.

    Raises:
        EvalError: ``module:Class`` that cannot be imported or is no encoder.
    """
    scheme, _, name = id.partition(":")
    if scheme in SCHEMES and name:
        return SCHEMES[scheme].kind
    if id in ENCODERS:
        return ENCODERS[id].kind
    return _own_entry(id).kind if is_reference(id) or id in _OWN.names() else None


def encoder_revision(id: str) -> int:
    """`EncoderEntry.revision` of the encoder of this name, or of this scheme; 1 if there is no such
    one. Like `encoder_kind` it needs no open_clip."""
    found = SCHEMES.get(id.partition(":")[0]) or ENCODERS.get(id)
    return found.revision if found else 1


def encoder_change(id: str) -> str:
    """`EncoderEntry.change` of the encoder of this name, or of this scheme."""
    found = SCHEMES.get(id.partition(":")[0]) or ENCODERS.get(id)
    return found.change if found else ""


def encoder_protocol(id: str) -> str:
    """Everything but the weights that decides a feature, as text."""
    entry = encoder_entry(id)
    if entry.own:
        return entry.own.protocol
    stated = str(importlib.import_module(f"eval.encoders.{entry.module}").protocol())
    return f"{stated}; {entry.protocol.describe()}" if entry.protocol else stated


def _check_dtype(id: str, entry: EncoderEntry, dtype: str) -> None:
    if dtype not in entry.dtypes:
        raise EvalError(f"encoder {id!r}: computes in {', '.join(entry.dtypes)}, not in {dtype!r}.")


def load_encoder(id: str, *, device: str = "cpu", dtype: str = "float32") -> Encoder:
    """Builds the encoder with its weights.

    Args:
        id: key of `ENCODERS`, or scheme and place as in `SCHEMES`.
        device: torch device that networks run on.
        dtype: what the network computes in, one of the entry's dtypes; features are float32 in
            any case.

    Raises:
        EvalError: unknown id, a dtype the encoder does not have, or weights that do not fit the
            model.
        WeightsMissingError: no weights in the local folder or cache; the message names id,
            option and folders.
    """
    entry = encoder_entry(id)
    _check_dtype(id, entry, dtype)
    location = weights.find(id, entry.source) if entry.source else None
    encoder: Encoder
    if entry.own:
        encoder = cast(Any, entry.own)(location, device)
        encoder.id = id
        if entry.kind in ("image", "image-text") and not hasattr(encoder, "encode_image"):
            _add_encode_image(encoder)
    else:
        with loading():
            module = importlib.import_module(f"eval.encoders.{entry.module}")
            encoder = cast(Encoder, module.load(id, location, entry.protocol, device, dtype))
        if device != "cpu" and hasattr(module, "BATCH"):
            from eval.encoders.batching import on_gpu

            size = getattr(module, "GPU_BATCH", module.BATCH)
            encoder = cast(Encoder, on_gpu(encoder, size))
    encoder.fingerprint = encoder_fingerprint(id, dtype=dtype)
    return encoder


def _add_encode_image(encoder: Any) -> None:
    """The input image as a frame, for encoders of one's own that treat the two alike."""

    def encode_image(image: UInt8Array, *, view: str = "standard") -> Float32Array:
        features: Float32Array = encoder.encode_frames(image[None], view=view)[0]
        return features

    encoder.encode_image = encode_image


def encoder_fingerprint(id: str, *, dtype: str = "float32") -> str:
    """sha256 hex over the encoder's files and its preprocessing, without importing torch.

    Any change of a weight, of the model's configuration, of the vocabulary or of the preprocessing
    changes it. Library versions do not: they are recorded with the run.

    Args:
        id: key of `ENCODERS`, or scheme and place as in `SCHEMES`.
        dtype: what the network computes in.

    Raises:
        EvalError: unknown id, or a dtype the encoder does not have.
        WeightsMissingError: as `load_encoder`.
    """
    entry = encoder_entry(id)
    _check_dtype(id, entry, dtype)
    location = weights.find(id, entry.source) if entry.source else None
    if entry.module == "i3d" and location is not None:
        from eval.encoders.i3d import require_trust

        require_trust(id, location)
    protocol = (
        encoder_protocol(id) if dtype == entry.dtypes[0] else f"{encoder_protocol(id)}; {dtype}"
    )
    return weights.fingerprint(protocol, location)
