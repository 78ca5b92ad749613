"""Values that a user wrote, validated by a pydantic model; the first failure becomes one line."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from eval.errors import EvalError, nearest

Model = TypeVar("Model", bound=BaseModel)


def validated(
    model: type[Model],
    values: Mapping[Any, Any],
    *,
    where: str,
    context: Mapping[str, Any] | None = None,
    places: Mapping[str, str] | None = None,
) -> Model:
    """Validates ``values``, and turns the first failure into one line.

    Args:
        model: the pydantic model.
        values: what the user wrote.
        where: prefix of the message, e.g. ``suite.yaml: methods[0].settings``.
        context: pydantic's validation context.
        places: key of ``values`` -> where it comes from, in place of ``where``.

    Raises:
        EvalError: naming key, value and what is allowed.
    """
    for key, location, value in _wrong_booleans(model, values):
        raise EvalError(
            f"{_name((key, *location), where, places)}: {_shown(value)} is not allowed: a number "
            "is needed (YAML reads yes, no, on and off as true and false)"
        )
    try:
        return model.model_validate(dict(values), context=dict(context or {}))
    except ValidationError as error:
        raise EvalError(_line(model, error, where, places)) from error


def _name(
    location: tuple[int | str, ...], where: str, places: Mapping[str, str] | None = None
) -> str:
    where = (places or {}).get(str(location[0]), where) if location else where
    prefix = where + (": " if ": " not in where and where.endswith((".yaml", ".yml")) else ".")
    key = _dotted(location)
    return f"{prefix}{key}" if key else where


def _line(
    model: type[BaseModel], error: ValidationError, where: str, places: Mapping[str, str] | None
) -> str:
    errors = error.errors(include_url=False)
    first = next((item for item in errors if item["type"] == "extra_forbidden"), errors[0])
    location = first["loc"]
    name = _name(location, where, places)
    if first["type"] == "extra_forbidden":
        allowed = _fields_at(model, location[:-1])
        listed = ", ".join(allowed) if allowed else "no settings"
        unknown = _short(str(location[-1]))
        return f"{name}: unknown key '{unknown}'. Allowed: {listed}.{nearest(unknown, allowed)}"
    if first["type"] == "missing":
        return f"{name}: the key is missing"
    reason = first["msg"].removeprefix("Value error, ")
    if first["type"] == "list_type":
        reason += ", such as [0, 1]"
    elif first["input"] is None and len(location) == 1:
        reason += "; leave the key out for its default"
    return f"{name}: {_shown(first['input'])} is not allowed: {reason[:1].lower()}{reason[1:]}"


def _wrong_booleans(
    model: type[BaseModel], values: Mapping[Any, Any]
) -> Iterator[tuple[str, tuple[int | str, ...], bool]]:
    """Key, place within it and value of every true or false where a number is needed, which
    pydantic would take for 1 or 0.
    """
    for key, value in values.items():
        if key in model.model_fields:
            for location, wrong in _booleans(model.model_fields[key].annotation, value):
                yield key, location, wrong


def _booleans(annotation: Any, value: Any) -> Iterator[tuple[tuple[int | str, ...], bool]]:
    kinds = list(_kinds(annotation))
    if isinstance(value, bool):
        if bool not in kinds and Any not in kinds and (int in kinds or float in kinds):
            yield (), value
    elif isinstance(value, list):
        for kind in kinds:
            if get_origin(kind) in (list, tuple, Sequence) and get_args(kind):
                for index, item in enumerate(value):
                    for location, wrong in _booleans(get_args(kind)[0], item):
                        yield (index, *location), wrong
    elif isinstance(value, Mapping):
        for kind in kinds:
            if inspect.isclass(kind) and issubclass(kind, BaseModel):
                for key, location, wrong in _wrong_booleans(kind, value):
                    yield (key, *location), wrong
            elif get_origin(kind) in (dict, Mapping) and len(get_args(kind)) == 2:
                for key, item in value.items():
                    for location, wrong in _booleans(get_args(kind)[1], item):
                        yield (str(key), *location), wrong


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types that an annotation allows, unions and `Annotated` taken apart."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        for inner in get_args(annotation):
            yield from _kinds(inner)
    elif origin is Annotated:
        yield from _kinds(get_args(annotation)[0])
    else:
        yield annotation


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
    """As YAML writes it, where Python writes it otherwise."""
    named = {None: "null", True: "true", False: "false"}
    plain = value is None or isinstance(value, bool)
    return named[value] if plain else _short(repr(value))  # type: ignore[index]


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
