"""A run begins in a new folder and goes on in its own; one without a single value has tables."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from eval.errors import EvalError
from eval.execute.finished import score
from eval.execute.run import Outcome
from tests.eval.execute.finished.clip_files import FRAMES, video

Run = Callable[..., Outcome]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_folder_of_other_files_is_no_run_folder(
    run_toy: Run, suite_content: dict[str, Any], tmp_path: Path
) -> None:
    photos = tmp_path / "run"
    photos.mkdir()
    Image.new("RGB", (8, 8)).save(photos / "cat.png")
    before = contents(photos)
    with pytest.raises(EvalError, match=r"run: it holds 1 files of something else, .*'cat\.png'"):
        run_toy(suite_content, folder="run")
    assert contents(photos) == before
    (photos / "cat.png").unlink()
    (photos / ".DS_Store").touch()
    assert run_toy(suite_content, folder="run").made == 72


def test_another_suite_takes_another_folder(run_toy: Run, suite_content: dict[str, Any]) -> None:
    first = run_toy(suite_content)
    before = contents(first.folder)
    with pytest.raises(EvalError, match="holds the run of suite 'toy', and this one is 'other'"):
        run_toy(suite_content | {"name": "other"})
    assert contents(first.folder) == before


def test_finished_clips_and_a_suite_do_not_share_a_folder(
    run_toy: Run, suite_content: dict[str, Any], tmp_path: Path, toy_evaluator: Any
) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    video(clips / "a.mkv", FRAMES)
    suite = run_toy(suite_content)
    how: dict[str, Any] = {"encoders": ["pixels"], "evaluator": toy_evaluator}
    with pytest.raises(EvalError, match="it holds the run of a suite, 'toy'; give another --out"):
        score(clips, None, suite.folder, **how)
    assert run_toy(suite_content).made == 0
    out = tmp_path / "scored"
    score(clips, None, out, **how)
    shutil.copytree(clips, tmp_path / "moved")
    score(tmp_path / "moved", None, out, **how)  # the same clips elsewhere
    with pytest.raises(EvalError, match="it holds the run of finished clips, 'moved'"):
        run_toy(suite_content, folder="scored")


def test_a_run_in_which_every_clip_fails_has_its_tables(
    run_toy: Run, suite_content: dict[str, Any], toy_evaluator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite_content["metrics"] = ["motion.flow_dis.v1"]
    nothing = {"motion.flow_dis.v1": float("nan")}
    monkeypatch.setattr(toy_evaluator, "_values", lambda *args: nothing)
    outcome = run_toy(suite_content)
    assert (outcome.made, len(outcome.failures)) == (72, 72)
    for name in ("summary.csv", "comparisons.csv", "failures.csv", "run.json"):
        assert (outcome.folder / name).is_file()
