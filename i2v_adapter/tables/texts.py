"""Texts and JSON values as they enter: of the right type, and storable."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any, Literal

Kind = Literal["text", "name", "whole", "value"]
"""What JSON may hold in a column: text alone; text or a whole number; a whole number, also as text;
text or any finite number. CSV holds text alone.
"""

_KINDS: dict[Kind, tuple[tuple[type, ...], str]] = {
    "text": ((str,), "text"),
    "name": ((str, int), "text or a whole number"),
    "whole": ((str, int), "a whole number"),
    "value": ((str, int, float), "text or a number"),
}


class RowError(ValueError):
    """A table, or a value in one, that cannot be used; one line that says why."""


def parse_json(content: bytes | str) -> Any:
    """The value of a JSON text, strictly: no key twice in an object, no NaN or infinity.

    Raises:
        RowError: what is wrong, without the name of the file.
    """
    try:
        text = content.decode("utf-8") if isinstance(content, bytes) else content
        return json.loads(text, object_pairs_hook=_once, parse_constant=_Constant)
    except UnicodeDecodeError as error:
        raise RowError(f"not UTF-8 text (byte 0x{error.object[error.start]:02x})") from error
    except json.JSONDecodeError as error:
        raise RowError(f"not JSON ({error.msg}, column {error.colno})") from error
    except RecursionError as error:
        raise RowError("not JSON (nested too deeply)") from error
    except RowError:
        raise
    except ValueError as error:  # a number of thousands of digits
        raise RowError(f"not JSON ({str(error).split(';')[0]})") from error


class _Constant(str):
    """NaN or an infinity, which JSON does not have."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise RowError(f"key {shown(repeated([name for name, _ in pairs]))} is given twice")
    return found


def repeated(names: Iterable[str]) -> str:
    """The first name that is there twice, or ""."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return ""


def text_of(value: Any, kind: Kind = "text") -> str:
    """A JSON value as text, if its type is allowed.

    Raises:
        RowError: "is a list, not text" and the like, to be put after the column's name.
    """
    types, wanted = _KINDS[kind]
    if isinstance(value, _Constant):
        raise RowError(f"is {value}, not {wanted}")
    if isinstance(value, float) and not math.isfinite(value):
        raise RowError(f"is too large a number, not {wanted}")
    if isinstance(value, bool) or not isinstance(value, types):
        raise RowError(f"is {_kind(value)}, not {wanted}")
    text = str(value)
    check_text(text)
    return text


def check_text(text: str) -> None:
    """Refuses lone surrogates: halves of characters, which no file and no terminal can hold.

    Raises:
        RowError: "holds half a character ...", to be put after the name of what holds it.
    """
    half = next((letter for letter in text if "\ud800" <= letter <= "\udfff"), None)
    if half is not None:
        raise RowError(f"holds half a character (\\u{ord(half):04x}); write it whole")


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"the number {shorten(str(value))}"
    names: dict[type, str] = {list: "a list", dict: "an object", str: "text"}
    return names.get(type(value), type(value).__name__)


def shown(name: str) -> str:
    """A name in quotes, shortened, for a message."""
    return f"'{shorten(name.encode('utf-8', 'backslashreplace').decode())}'"


def shorten(text: str) -> str:
    """At most 60 characters."""
    return text if len(text) <= 60 else f"{text[:57]}..."
