"""Text, JSON and CSV files: UTF-8, ``\\n`` line ends, written whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from eval.errors import EvalError
from eval.io.files import write_whole
from i2v_adapter.tables.texts import shorten


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


LARGEST = 2**28
"""Bytes of the largest JSON file that is read: a run folder may come from anywhere."""


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, or an empty one if there is no such file.

    Raises:
        EvalError: naming the file, if it is not a JSON object, or larger than `LARGEST`.
    """
    if not path.is_file():
        return {}
    try:
        if path.stat().st_size > LARGEST:
            raise EvalError(f"{path}: larger than {LARGEST:,} bytes; remove it and run again")
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


def read_table(path: Path, columns: Iterable[str]) -> Iterator[dict[str, str]]:
    """The rows of a table that `write_csv` wrote, read while they are asked for; none where there
    is no such file.

    Args:
        path: of the table.
        columns: that every row must have; others may be there.

    Raises:
        EvalError: naming the file, and the row as far as there is one: no CSV, not UTF-8, a
            column that is missing, a row of another length.
    """
    if not path.is_file():
        return
    number = 1
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            missing = [name for name in columns if name not in header]
            if missing:
                raise EvalError(f"{path}: no column '{missing[0]}'; run the suite again")
            for row in reader:
                number = reader.line_num
                if row and len(row) != len(header):
                    raise EvalError(
                        f"{path}:{number}: the row does not have the header's {len(header)} "
                        "values; run the suite again"
                    )
                if row:
                    yield dict(zip(header, row, strict=True))
    except OSError as error:
        raise EvalError(f"{path}: cannot be read ({error.strerror})") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise EvalError(f"{path}:{number}: not a table ({error}); run the suite again") from error


def number_of(row: Mapping[str, str], column: str, path: Path) -> float | None:
    """The finite number in a row of `read_table`; None where the field is empty.

    Raises:
        EvalError: naming file, column and text, if it is no finite number.
    """
    text = row[column]
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise EvalError(
            f"{path}: {column} is {shorten(text)!r}, not a finite number; run the suite again"
        )
    return value


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as CSV; None is an empty field.

    >>> csv_text(["a", "b"], [["one\\rfield", 1]])
    'a,b\\n"one\\rfield",1\\n'
    """
    return "".join(_csv_parts(chain([header], rows)))


_ROWS_AT_ONCE = 4096


def _csv_parts(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The text of a table, some rows at a time."""
    remaining = iter(rows)
    while block := list(islice(remaining, _ROWS_AT_ONCE)):
        # With "\n" as its line end the csv module would leave a lone "\r" unquoted, and readers
        # take that for the end of a row.
        file = io.StringIO(newline="")
        csv.writer(file, lineterminator="\r\n").writerows(block)
        text = file.getvalue()
        if text.count("\r") == len(block):
            yield text.replace("\r\n", "\n")
        elif len(block) == 1:
            yield text.removesuffix("\r\n") + "\n"
        else:  # a field holds "\r"
            yield from ("".join(_csv_parts([row])) for row in block)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Writes a table as CSV; None is an empty field. Rows are asked for while it is written, so a
    table may be larger than the memory.

    Raises:
        StoreError: naming the file, if it cannot be written.
    """
    write_whole(path, (part.encode() for part in _csv_parts(chain([header], rows))))
