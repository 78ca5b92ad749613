"""Strict loading of transformers models, and the normalisation all encoders share."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from eval.encoders.weights import Location
from eval.errors import EvalError

if TYPE_CHECKING:
    import torch


def from_pretrained(
    model_class: Any,
    id: str,
    location: Location,
    device: str,
    dtype: str,
    *,
    state: Mapping[str, "torch.Tensor"] | None = None,
    **arguments: Any,
) -> Any:
    """A transformers model from a local folder, in evaluation mode.

    transformers fills weights that a file lacks with random numbers; here that is an error.

    Args:
        model_class: the transformers class.
        id: encoder id, for messages.
        location: folder with ``config.json`` and the weights.
        device: torch device.
        dtype: name of a torch dtype.
        state: weights to load in place of those in the folder's file, under the names of this
            version of transformers; `arguments` then hold the ``config``.
        arguments: passed on to the class.

    Raises:
        EvalError: an unreadable file, weights missing from it, or of another shape.
    """
    import torch
    from safetensors import SafetensorError
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model, report = model_class.from_pretrained(
            location.folder if state is None else None,
            **({} if state is None else {"state_dict": dict(state)}),
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # reported below, with names and shapes
            dtype=getattr(torch, dtype),
            **arguments,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise EvalError(
            f"encoder {id!r}: the weights in {location.folder} cannot be loaded: {reason}"
        ) from error
    finally:
        if shown:
            logging.enable_progress_bar()
    misfits = sorted(report["mismatched_keys"])
    if misfits:
        name, found, expected = misfits[0]
        raise EvalError(
            f"encoder {id!r}: {len(misfits)} tensors in {location.folder} have another shape than "
            "config.json asks "
            f"for, for example {name} {tuple(found)}, not {tuple(expected)}."
        )
    missing = sorted(report["missing_keys"])
    if missing:
        raise EvalError(
            f"encoder {id!r}: the weights in {location.folder} lack {len(missing)} tensors of the "
            "model, "
            f"for example {missing[0]}; the file does not belong to this configuration."
        )
    return model.to(device).eval()


def read_state(id: str, path: Path, *, mmap: bool = False) -> "dict[str, torch.Tensor]":
    """The tensors of a ``.safetensors`` file or of a pickled state dict, on the CPU.

    Args:
        id: encoder id, for messages.
        path: the file.
        mmap: read tensors of a pickle when they are used, for checkpoints that hold far more.

    Raises:
        EvalError: an unreadable file, or one that holds more than tensors.
    """
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        return dict(torch.load(path, "cpu", weights_only=True, mmap=mmap))
    except (
        OSError,
        RuntimeError,
        SafetensorError,
        pickle.UnpicklingError,
        TypeError,
        ValueError,
        EOFError,
    ) as error:
        reason = " ".join(str(error).split())[:200]
        raise EvalError(f"encoder {id!r}: {path} cannot be read: {reason}") from error


def unit_rows(features: "torch.Tensor") -> npt.NDArray[np.float32]:
    """Features (N, D) divided by their lengths, as a float32 array on the host."""
    from torch.nn import functional

    return np.asarray(
        functional.normalize(features.float(), dim=-1).cpu().numpy(), dtype=np.float32
    )
