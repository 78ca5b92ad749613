"""Networks that this package does not bring: a class that an environment variable names."""

from __future__ import annotations

import importlib
import os
from typing import Any

from eval.errors import EvalError, WeightsMissingError


def named_class(encoder: str, option: str, needs: str) -> Any:
    """The class that an environment variable names as ``module:Class``.

    Args:
        encoder: id of the encoder, for messages.
        option: name of the environment variable.
        needs: what the network is and what the class must offer, for the message.

    Raises:
        WeightsMissingError: the variable names nothing.
        EvalError: the module cannot be imported or has no such class.
    """
    target = os.environ.get(option, "")
    module, _, name = target.partition(":")
    if not (module and name):
        raise WeightsMissingError(
            f"encoder {encoder!r}: {needs}; set {option} to module:Class of a loader (now "
            f"{repr(target) if target else 'not set'})."
        )
    try:
        found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise EvalError(f"encoder {encoder!r}: {option}={target}: {error}") from error
    return found


def stated_fingerprint(encoder: str, option: str, found: Any) -> str:
    """What the class says of its weights and preprocessing.

    Raises:
        EvalError: it has no ``fingerprint()``, or that fails or gives no text.
    """
    try:
        stated = found.fingerprint()
    except Exception as error:
        raise EvalError(
            f"encoder {encoder!r}: fingerprint() of {option}={os.environ.get(option)} fails: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(stated, str) or not stated:
        raise EvalError(
            f"encoder {encoder!r}: fingerprint() of {option}={os.environ.get(option)} gives "
            f"{stated!r}, not a text"
        )
    return stated
