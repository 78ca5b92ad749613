"""Settings of one cell of a sweep; ``call.strength`` sweeps a value within a setting."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from eval.errors import EvalError


def with_swept(settings: Mapping[str, Any], swept: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The settings with the swept values in their places.

    Args:
        settings: of the entry; left as they are.
        swept: name of a setting -> its value in this cell. A dot reaches into a mapping or a list:
            ``call.strength``, ``loras.0.scale``.
        where: prefix of messages.

    Raises:
        EvalError: the place is no mapping or list.

    Examples:
        >>> with_swept({"call": {"eta": 1}}, {"call.strength": 0.5, "steps": 4}, "methods[0]")
        {'call': {'eta': 1, 'strength': 0.5}, 'steps': 4}
    """
    merged = deepcopy(dict(settings))
    for key, value in swept.items():
        *outer, last = key.split(".")
        place: Any = merged
        for name in outer:
            if isinstance(place, dict):
                place = place.setdefault(name, {})
            else:
                place = _element(place, name, key, where)
        if isinstance(place, dict):
            place[last] = value
        else:
            _element(place, last, key, where)
            place[int(last)] = value
    return merged


def _element(place: Any, name: str, key: str, where: str) -> Any:
    if not isinstance(place, list) or not name.isdecimal() or int(name) >= len(place):
        raise EvalError(f"{where}: sweep of '{key}': settings have no place '{name}' there")
    return place[int(name)]


def value_of(settings: Mapping[str, Any], key: str) -> Any:
    """The value of a swept setting among those of a cell."""
    value: Any = settings
    for name in key.split("."):
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value


def is_given(settings: Mapping[str, Any], key: str) -> bool:
    """Whether the settings say what a sweep of this name would set."""
    try:
        value_of(settings, key)
    except (KeyError, IndexError, TypeError, ValueError):
        return False
    return True
