"""What a model's folder says that it holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eval.errors import EvalError
from eval.io.model_json import read_object


def class_in(key: str, folder: Path, classes: Sequence[str] = ()) -> str:
    """Name of the class that a model's ``config.json`` states.

    Args:
        key: who asks, for messages.
        folder: with the ``config.json``.
        classes: those that will do; any, if empty.

    Raises:
        EvalError: as `eval.io.model_json.read_object`, or a model of another class.
    """
    kind = read_object(key, folder / "config.json").get("_class_name")
    if not isinstance(kind, str) or not kind or (classes and kind not in classes):
        held = f"a model of the class {kind}" if kind else "no model of diffusers"
        wanted = f"; {' or '.join(classes)} is needed" if classes else ""
        raise EvalError(f"{key}: {folder} holds {held}{wanted}")
    return kind
