"""Values that a user wrote, validated by a pydantic model; the first failure becomes one line."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from eval.errors import EvalError, nearest

Model = TypeVar("Model", bound=BaseModel)


def validated(
    model: type[Model],
    values: Mapping[Any, Any],
    *,
    where: str,
    context: Mapping[str, Any] | None = None,
) -> Model:
    """Validates ``values``, and turns the first failure into one line.

    Args:
        model: the pydantic model.
        values: what the user wrote.
        where: prefix of the message, e.g. ``suite.yaml: methods[0].settings``.
        context: pydantic's validation context.

    Raises:
        EvalError: naming key, value and what is allowed.
    """
    try:
        return model.model_validate(dict(values), context=dict(context or {}))
    except ValidationError as error:
        raise EvalError(_line(model, error, where)) from error


def _line(model: type[BaseModel], error: ValidationError, where: str) -> str:
    errors = error.errors(include_url=False)
    first = next((item for item in errors if item["type"] == "extra_forbidden"), errors[0])
    location = first["loc"]
    prefix = where + (": " if ": " not in where and where.endswith((".yaml", ".yml")) else ".")
    key = _dotted(location)
    name = f"{prefix}{key}" if key else where
    if first["type"] == "extra_forbidden":
        allowed = _fields_at(model, location[:-1])
        listed = ", ".join(allowed) if allowed else "no settings"
        unknown = _short(str(location[-1]))
        return f"{name}: unknown key '{unknown}'. Allowed: {listed}.{nearest(unknown, allowed)}"
    if first["type"] == "missing":
        return f"{name}: the key is missing"
    reason = first["msg"].removeprefix("Value error, ")
    return f"{name}: {_shown(first['input'])} is not allowed: {reason[:1].lower()}{reason[1:]}"


def _dotted(location: tuple[int | str, ...]) -> str:
    text = "".join(
        f"[{part}]" if isinstance(part, int) else f".{_short(part)}" for part in location
    )
    return text.removeprefix(".")


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            annotation = model.model_fields[part].annotation
            inner = [
                found for found in (annotation, *get_args(annotation)) if inspect.isclass(found)
            ]
            model = next((found for found in inner if issubclass(found, BaseModel)), model)
    return list(model.model_fields)


def _shown(value: object) -> str:
    return _short(repr(value))


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


def check_values(document: Any, where: str) -> None:
    """Refuses texts with half characters and numbers that are not finite, anywhere in a document.

    Raises:
        EvalError: naming the place.
    """
    for place, value in _values(document, ""):
        if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise EvalError(f"{where}: {place}: the text holds half a character; write it whole")
        if isinstance(value, float) and not math.isfinite(value):
            raise EvalError(f"{where}: {place}: {value} is not allowed: a finite number is needed")


def _values(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{place}.key" if place else "key", key
            yield from _values(inner, f"{place}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _values(inner, f"{place}[{index}]")
    else:
        yield place, value
