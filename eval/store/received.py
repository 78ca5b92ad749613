"""run.json as it is read: it may come from anywhere, so types are checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from eval.io.documents import read_json
from eval.io.validation import check_values, validated


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class _Cell(_Part):
    id: str
    method: str = ""
    settings: dict[str, Any] = {}
    clips: int | None = None
    first_frame: str | None = None


class _Suite(_Part):
    name: str | None = None
    samples: dict[str, Any] = {}
    seeds: list[int] = []
    metrics: list[str] = []
    methods: list[dict[str, Any]] = []
    reference: str | None = None


class _Run(_Part):
    suite: _Suite = _Suite()
    cells: list[_Cell] = []
    seeds: list[int] = []
    encoders: dict[str, str] = {}
    foreign_encoders: list[str] = []
    versions: dict[str, str] = {}
    machine: dict[str, Any] = {}
    counts: dict[str, Any] = {}
    warnings: list[Any] = []
    weights: dict[str, str] = {}
    judge_cards: dict[str, dict[str, Any]] = {}
    seconds_per_clip: dict[str, float] = {}
    commit: str | None = None
    dirty: bool | None = None
    created: str | None = None
    finished: str | None = None
    storage: str | None = None


def read_run(folder: Path) -> dict[str, Any]:
    """The document of a run folder, or an empty one if there is none.

    Raises:
        EvalError: it is unreadable, or a value has another type than `run` writes; the message
            names the place.
    """
    path = folder / "run.json"
    content = read_json(path)
    check_values(content, str(path))
    validated(_Run, content, where=str(path))
    return content
