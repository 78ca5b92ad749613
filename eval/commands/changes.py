"""``--set KEY=VALUE``, ``--device`` and ``--dtype``: keys of a suite, from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.errors import EvalError


def changed_keys(settings: Sequence[str], **options: str | None) -> dict[str, Any]:
    """Key -> value in place of the suite's; values are YAML, and a file that a base names is
    looked for in the working directory.

    Raises:
        EvalError: what is not KEY=VALUE, or no YAML.
    """
    import yaml

    changes: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not (key.strip() and equals):
            raise EvalError(f"--set {setting}: write KEY=VALUE, such as base=my-base.yaml")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise EvalError(f"--set {setting}: the value is not YAML") from error
        if key.strip() == "base" and isinstance(value, str) and Path(value).expanduser().exists():
            value = str(Path(value).expanduser().resolve())
        changes[key.strip()] = value
    return changes | {key: value for key, value in options.items() if value is not None}
