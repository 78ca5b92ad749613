"""The JSON files of a model's folder, read so that a damaged one is named."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.errors import EvalError


def read_configuration(key: str, file: Path) -> dict[str, Any]:
    """The object in a model's ``config.json``, ``model_index.json`` or the like.

    Args:
        key: of the suite that names the model, such as ``base.model``.
        file: to read.

    Raises:
        EvalError: the file cannot be read, is torn, is not UTF-8 or holds no object.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise EvalError(
            f"{key}: {file} cannot be read ({reason}); copy or download it again"
        ) from error
    if not isinstance(content, dict):
        raise EvalError(f"{key}: {file} holds no JSON object; copy or download it again")
    return content


def class_in(key: str, folder: Path, classes: Sequence[str] = ()) -> str:
    """Name of the class that a model's ``config.json`` states.

    Args:
        key: as in `read_configuration`.
        folder: with the ``config.json``.
        classes: those that will do; any, if empty.

    Raises:
        EvalError: as `read_configuration`, or a model of another class.
    """
    kind = read_configuration(key, folder / "config.json").get("_class_name")
    if not isinstance(kind, str) or not kind or (classes and kind not in classes):
        held = f"a model of the class {kind}" if kind else "no model of diffusers"
        wanted = f"; {' or '.join(classes)} is needed" if classes else ""
        raise EvalError(f"{key}: {folder} holds {held}{wanted}")
    return kind
