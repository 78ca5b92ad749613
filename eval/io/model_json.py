"""The JSON files of models, which come from elsewhere: a damaged one is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from eval.errors import EvalError


def read_object(who: str, file: Path) -> dict[str, Any]:
    """The object in a model's ``config.json``, ``model_index.json`` or the like.

    Args:
        who: asks, for messages: a key of the suite, or an encoder.
        file: to read.

    Raises:
        EvalError: the file cannot be read, is torn, is not UTF-8 or holds no object.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise EvalError(
            f"{who}: {file} cannot be read ({reason}); copy or download it again"
        ) from error
    if not isinstance(content, dict):
        raise EvalError(f"{who}: {file} holds no JSON object; copy or download it again")
    return content
