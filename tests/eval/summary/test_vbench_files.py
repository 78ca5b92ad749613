"""VBench's result files: written, read again, and added up as its script adds them up."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.errors import EvalError
from eval.summary.vbench_files import (
    CAMERA_CLASSES,
    DimensionResult,
    aggregates,
    read_results,
    write_results,
)
from eval.summary.vbench_scores import DIMENSIONS, vbench_scores

VALUES = dict(
    zip(
        DIMENSIONS,
        (0.5085, 0.9839, 0.99, 0.9396, 0.9674, 0.9868, 0.6821, 0.6474, 0.6971),
        strict=True,
    )
)


def whole(rows: int = 2) -> dict[str, DimensionResult]:
    def result(name: str) -> DimensionResult:
        value: Any = np.float32(VALUES[name])
        if name == "dynamic_degree":
            value = np.bool_(True)
        if name == "imaging_quality":
            value = np.float64(69.71)
        listed = [{"video_path": f"a, b-{k}.mp4", "video_results": value} for k in range(rows)]
        classes = dict.fromkeys(CAMERA_CLASSES, math.nan) | {"zoom_in": np.float64(0.5)}
        return DimensionResult(VALUES[name], listed, classes if name == "camera_motion" else {})

    return {name: result(name) for name in DIMENSIONS}


def test_a_written_file_gives_the_same_dimensions_and_total(tmp_path: Path) -> None:
    path = tmp_path / "toy_eval_results.json"
    assert write_results(path, whole()) == ()
    results = read_results(path)
    assert aggregates(results) == VALUES
    assert [row["video_path"] for row in results["i2v_subject"].rows] == [
        "a, b-0.mp4",
        "a, b-1.mp4",
    ]
    assert results["i2v_subject"].rows[0]["video_results"] == float(np.float32(0.9839))
    assert results["dynamic_degree"].rows[0]["video_results"] is True
    assert results["camera_motion"].classes["zoom_in"] == 0.5
    assert math.isnan(results["camera_motion"].classes["static"])
    total = vbench_scores(aggregates(results)).total
    assert total is not None
    assert round(100 * total, 2) == 89.28  # MAGI-1, as published


def test_its_form_is_that_of_vbench(tmp_path: Path) -> None:
    path = tmp_path / "toy_eval_results.json"
    write_results(path, whole(rows=1))
    text = path.read_text(encoding="utf-8")
    content = json.loads(text)
    assert list(content) == list(DIMENSIONS)
    assert text.startswith('{\n    "camera_motion": [\n        0.5085,\n        {\n')
    assert list(content["camera_motion"][1]) == list(CAMERA_CLASSES)
    assert content["imaging_quality"] == [
        0.6971,
        [{"video_path": "a, b-0.mp4", "video_results": 69.71}],
    ]
    assert text.count("NaN") == 6


def test_missing_dimensions_are_named_and_unscored_ones_left_out(tmp_path: Path) -> None:
    path = tmp_path / "toy_eval_results.json"
    some = {name: result for name, result in whole().items() if name != "i2v_background"}
    some["temporal_flickering"] = DimensionResult(0.9, [])
    assert write_results(path, some) == ("i2v_background",)
    results = read_results(path)
    assert "temporal_flickering" not in results
    assert vbench_scores(aggregates(results)).total is None


ROW = {"video_path": "a-0.mp4", "video_results": 0.5}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"i2v_subjects": [0.5, []]}, "Did you mean 'i2v_subject'"),
        ({"i2v_subject": [0.5]}, r"must be \[aggregate, rows\]"),
        ({"camera_motion": [0.5, [ROW]]}, r"must be \[aggregate, classes, rows\]"),
        ({"camera_motion": [0.5, {"static": 1.0}, [ROW]]}, "the class table must have pan_left"),
        ({"i2v_subject": [math.nan, [ROW]]}, "aggregate: nan is not a finite number"),
        ({"i2v_subject": ["0.5", [ROW]]}, "aggregate: '0.5' is not a finite number"),
        ({"i2v_subject": [0.5, {}]}, "rows must be a list"),
        ({"i2v_subject": [0.5, [{"video_results": 1.0}]]}, "row 0: must be an object with"),
        ({"i2v_subject": [0.5, [ROW, {"video_path": "b"}]]}, "row 1: has no video_results"),
        ({"i2v_subject": [0.5, [ROW | {"video_results": None}]]}, r"row 0 \(a-0.mp4\): None is"),
    ],
)
def test_malformed_files_are_refused_by_place(
    tmp_path: Path, content: dict[str, Any], words: str
) -> None:
    path = tmp_path / "toy_eval_results.json"
    path.write_text(json.dumps(content))
    with pytest.raises(EvalError, match=words):
        read_results(path)


def test_nothing_else_is_written(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=r"ends in _eval_results\.json"):
        write_results(tmp_path / "toy.json", whole())
    bad = {"i2v_subject": DimensionResult(float("inf"), [])}
    with pytest.raises(EvalError, match="inf is not a finite number"):
        write_results(tmp_path / "toy_eval_results.json", bad)
    with pytest.raises(EvalError, match="no such file"):
        read_results(tmp_path / "none_eval_results.json")
    assert list(tmp_path.iterdir()) == []
