"""Reads and writes VBench-I2V's result files, ``{name}_eval_results.json``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from eval.errors import EvalError, nearest
from eval.io.documents import read_json, write_text
from eval.summary.vbench_scores import DIMENSIONS, UNSCORED

ENDING = "_eval_results.json"
CAMERA_CLASSES = (
    *("pan_left", "pan_right", "tilt_up", "tilt_down"),
    *("zoom_in", "zoom_out", "static"),
)
"""The classes of ``camera_motion``, in the order of VBench's files."""


@dataclass(frozen=True)
class DimensionResult:
    """What a result file holds of one dimension.

    Attributes:
        aggregate: the dimension's value over all videos, a fraction.
        rows: one object a video, with ``video_path`` and ``video_results``; further keys are kept.
            Rows of imaging_quality are from 0 to 100, rows of dynamic_degree are booleans.
        classes: ``camera_motion`` alone: class -> mean, NaN for a class without videos.
    """

    aggregate: float
    rows: list[dict[str, Any]]
    classes: dict[str, float] = field(default_factory=dict)


def read_results(path: Path) -> dict[str, DimensionResult]:
    """The dimensions of a result file, by VBench's names.

    Raises:
        EvalError: the file is missing or malformed; the message names the dimension and the row.
    """
    if not path.is_file():
        raise EvalError(f"{path}: no such file")
    return {name: _read(value, name, path) for name, value in read_json(path).items()}


def aggregates(results: Mapping[str, DimensionResult]) -> dict[str, float]:
    """What `eval.summary.vbench_scores.vbench_scores` needs of a result file."""
    return {name: result.aggregate for name, result in results.items()}


def write_results(path: Path, results: Mapping[str, DimensionResult]) -> tuple[str, ...]:
    """Writes a result file that VBench's own script adds up: plain JSON numbers, and NaN for a
    camera class without videos, as VBench writes it. Dimensions outside the scores are left out,
    because that script fails on them.

    Args:
        path: of the file, whose name must end in ``_eval_results.json``.
        results: dimension -> result.

    Returns:
        The scored dimensions that are missing. VBench's script counts each as 0.

    Raises:
        EvalError: another file name, an unknown dimension, a number that is not finite, or a row
            without its keys.
        StoreError: the file cannot be written.
    """
    if not path.name.endswith(ENDING):
        raise EvalError(f"{path}: the name of a VBench result file ends in {ENDING}")
    content: dict[str, list[Any]] = {}
    for name, result in results.items():
        parts = [result.aggregate, result.classes, result.rows]
        whole = _without_numpy(parts if name == "camera_motion" else parts[::2])
        _read(whole, name, path)
        if name not in UNSCORED:
            content[name] = whole
    write_text(path, json.dumps(content, indent=4, ensure_ascii=False) + "\n")
    return tuple(name for name in DIMENSIONS if name not in content)


def _read(value: Any, name: str, path: Path) -> DimensionResult:
    where = f"{path}: {name}"
    if name not in DIMENSIONS and name not in UNSCORED:
        raise EvalError(
            f"{where}: no dimension of VBench-I2V. Allowed: {', '.join(DIMENSIONS)}."
            f"{nearest(name, DIMENSIONS)}"
        )
    camera = name == "camera_motion"
    if not isinstance(value, list) or len(value) != (3 if camera else 2):
        form = "[aggregate, classes, rows]" if camera else "[aggregate, rows]"
        raise EvalError(f"{where}: must be {form}")
    rows = value[-1]
    if not isinstance(rows, list):
        raise EvalError(f"{where}: its rows must be a list")
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or not isinstance(row.get("video_path"), str):
            raise EvalError(f"{where}, row {number}: must be an object with a video_path")
        if "video_results" not in row:
            raise EvalError(f"{where}, row {number}: has no video_results")
        _finite(row["video_results"], f"{where}, row {number} ({row['video_path']})")
    aggregate = _finite(value[0], f"{where}, aggregate")
    return DimensionResult(float(aggregate), rows, _classes(value[1], where) if camera else {})


def _classes(value: Any, where: str) -> dict[str, float]:
    if not isinstance(value, dict) or set(value) != set(CAMERA_CLASSES):
        raise EvalError(f"{where}: the class table must have {', '.join(CAMERA_CLASSES)}")
    for name, mean in value.items():
        if not (isinstance(mean, float) and math.isnan(mean)):
            _finite(mean, f"{where}, class {name}")
    return {name: float(value[name]) for name in CAMERA_CLASSES}


def _finite(value: Any, where: str) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise EvalError(f"{where}: {value!r} is not a finite number")
    return value


def _without_numpy(value: Any) -> Any:
    """The same with numpy's numbers as Python's, which JSON can hold."""
    if isinstance(value, Mapping):
        return {str(key): _without_numpy(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_numpy(part) for part in value]
    return value.item() if isinstance(value, np.generic) else value
