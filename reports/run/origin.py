"""Where a run comes from: versions, weights, commit, machine, and in what two runs differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.run.folder import RunFolder

_ELSEWHERE = ("suite", "cells", "judge_cards", "warnings", "seconds_per_clip")
"""Parts of run.json that the report shows in sections of their own."""
_NEVER_EQUAL = (
    "created",
    "finished",
    "counts",
    "cells",
    "judge_cards",
    "warnings",
    "seconds_per_clip",
)


def provenance(run: RunFolder) -> list[tuple[str, list[tuple[str, str]]]]:
    """Tables of (name, value), by title."""
    sections: list[tuple[str, list[tuple[str, str]]]] = [("Run", [])]
    for key, value in run.run.items():
        if key in _ELSEWHERE:
            continue
        if isinstance(value, Mapping):
            sections.append(
                (key.replace("_", " ").capitalize(), [(str(k), _text(v)) for k, v in value.items()])
            )
        else:
            sections[0][1].append((key, _text(value)))
    return [(title, pairs) for title, pairs in sections if pairs]


def differences(documents: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """(name, one value a document) of all in which documents like run.json differ; "–" where one is
    silent.

    What can never be equal (times) and what follows from the rest (warnings, cards, counts) is left
    out.
    """
    flat = [
        dict(_flat({k: v for k, v in one.items() if k not in _NEVER_EQUAL})) for one in documents
    ]
    names = dict.fromkeys(name for one in flat for name in one)
    rows = [(name, [one.get(name, "–") for one in flat]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, list) and any(isinstance(part, Mapping) for part in value):
        value = {str(number): part for number, part in enumerate(value, 1)}
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _flat(part, f"{name}.{key}" if name else str(key))
    else:
        yield name, _text(value)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
