"""Text, JSON and CSV files: UTF-8, ``\\n`` line ends, written whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from eval.errors import EvalError
from eval.io.files import write_whole


def write_text(path: Path, text: str) -> None:
    """Writes a text file.

    Raises:
        StoreError: naming the file, if it cannot be written.
    """
    write_whole(path, text.encode())


def write_json(path: Path, content: Any, *, indent: int = 1) -> None:
    """Writes a JSON file; numbers that are not finite become null.

    Raises:
        StoreError: naming the file, if it cannot be written.
    """
    text = json.dumps(finite(content), indent=indent, ensure_ascii=False, allow_nan=False)
    write_text(path, f"{text}\n")


def finite(value: Any) -> Any:
    """The same with None for numbers that are not finite, which JSON does not have."""
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, or an empty one if there is no such file.

    Raises:
        EvalError: naming the file, if it is not a JSON object.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise EvalError(f"{path}: nested too deeply; remove it and run again") from error
    except OSError as error:
        raise EvalError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        reason = str(error).split(";")[0]
        raise EvalError(f"{path}: not valid JSON ({reason}); remove it and run again") from error
    if not isinstance(content, dict):
        raise EvalError(f"{path}: not a JSON object; remove it and run again")
    return content


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as CSV; None is an empty field."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return table.getvalue()


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Writes a table as CSV; None is an empty field.

    Raises:
        StoreError: naming the file, if it cannot be written.
    """
    write_text(path, csv_text(header, rows))
