"""Any model of open_clip with any of its pretrained tags: ``open_clip:<model>/<tag>``."""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from eval.encoders.clip import BATCH as BATCH
from eval.encoders.clip import ClipEncoder
from eval.encoders.clip import protocol as protocol
from eval.encoders.preprocessing import Preprocessing
from eval.encoders.weights import Location, Source
from eval.errors import EvalError, nearest

FILES = "open_clip_model.safetensors|open_clip_pytorch_model.bin|model.safetensors"


def _parts(name: str) -> tuple[str, str, dict[str, Any]]:
    """Model, tag and open_clip's own description of the tag.

    Raises:
        EvalError: a model or a tag that open_clip does not know.
    """
    import open_clip

    model, _, tag = name.rpartition("/")
    models = open_clip.list_models()
    if model not in models:
        raise EvalError(
            f"encoder 'open_clip:{name}': open_clip has no model {model!r}.{nearest(model, models)}"
        )
    tags = open_clip.list_pretrained_tags_by_model(model)
    if tag not in tags:
        raise EvalError(
            f"encoder 'open_clip:{name}': {model} has the tags "
            f"{', '.join(tags)}.{nearest(tag, tags)}"
        )
    return model, tag, open_clip.get_pretrained_cfg(model, tag)


def describe(name: str) -> tuple[Preprocessing, Source]:
    """Preprocessing and place of the weights of ``<model>/<tag>``, as open_clip states them.

    Raises:
        EvalError: an unknown model or tag, or a way of resizing that is not supported.
    """
    import open_clip

    model, _, stated = _parts(name)
    if stated["resize_mode"] not in ("shortest", "squash") or stated["interpolation"] not in (
        "bicubic",
        "bilinear",
    ):
        way = f"{stated['resize_mode']}, {stated['interpolation']}"
        raise EvalError(
            f"encoder 'open_clip:{name}': resizes by {way}; supported: shortest or squash, by a "
            "(bi)linear one."
        )
    size = stated.get("size") or open_clip.get_model_config(model)["vision_cfg"]["image_size"]
    side = int(size if isinstance(size, int) else size[-1])
    preprocessing = Preprocessing(
        side,
        side,
        tuple(stated["mean"]),
        tuple(stated["std"]),
        filter=stated["interpolation"],
        squash=stated["resize_mode"] == "squash",
    )
    hub = stated.get("hf_hub") or ""
    file = PurePosixPath(hub).name if hub and not hub.endswith("/") else ""
    repository = hub.removesuffix(file).strip("/") or None
    return preprocessing, Source((f"{file}|{FILES}" if file else FILES,), hub=repository)


def load(
    id: str, location: Location, preprocessing: Preprocessing, device: str, dtype: str
) -> ClipEncoder:
    """Builds the model that open_clip describes and loads the file strictly.

    Raises:
        EvalError: weights that do not fit, or a tokenizer whose files are not in the local cache.
    """
    import open_clip
    import torch
    from safetensors import SafetensorError

    name, _, stated = _parts(id.partition(":")[2])
    [path] = location.files.values()
    try:
        model = open_clip.create_model(
            name,
            pretrained=str(path),
            force_quick_gelu=bool(stated.get("quick_gelu")),
            weights_only=True,
        )
    except (RuntimeError, SafetensorError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise EvalError(
            f"encoder {id!r}: {path} does not hold the weights of {name}: {reason}"
        ) from error
    try:
        tokenize = open_clip.get_tokenizer(name)
    except OSError as error:
        reason = " ".join(str(error).split())[:200]
        raise EvalError(
            f"encoder {id!r}: the tokenizer of {name} is not in the local cache: {reason}"
        ) from error
    model = model.to(device, getattr(torch, dtype)).eval()
    return ClipEncoder(id, model, tokenize, _truncation(tokenize), preprocessing, device)


def _truncation(tokenize: Any) -> Callable[[str], bool]:
    if hasattr(tokenize, "encode"):
        return lambda prompt: len(tokenize.encode(prompt)) + 2 > tokenize.context_length
    return lambda prompt: len(tokenize.tokenizer(prompt).input_ids) > tokenize.context_length
