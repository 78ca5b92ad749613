"""Runs made by earlier versions of the suite are found finished: their clips are not made again.

The data was made by commit 967717c, before the modules moved into rooms.
"""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path

from rich.console import Console

from eval.calibration.grid import calibration_plan
from eval.execute.run import run
from eval.measure.selection import metrics_of

DATA = Path(__file__).parent / "data"


def test_a_run_folder_of_before_the_rooms_is_finished(tmp_path: Path) -> None:
    with zipfile.ZipFile(DATA / "run_of_967717c.zip") as archive:
        archive.extractall(tmp_path)
    names = ("records.csv", "samples.csv", "failures.csv")
    before = {name: (tmp_path / name).read_bytes() for name in names}
    numbers = _numbers(tmp_path)
    outcome = run(str(tmp_path / "suite.yaml"), tmp_path, console=Console(quiet=True))
    assert (outcome.made, outcome.measured, outcome.failures) == (0, 0, [])
    assert {name: (tmp_path / name).read_bytes() for name in names} == before
    assert _numbers(tmp_path) == numbers


def _numbers(folder: Path) -> list[list[str]]:
    """What the summary and the comparisons hold in every version of their columns."""
    kept = ("cell", "group", "metric", "mean", "difference", "low", "high", "n")
    found = []
    for name in ("summary.csv", "comparisons.csv"):
        with (folder / name).open(newline="", encoding="utf-8") as file:
            found += [[row[key] for key in kept if key in row] for row in csv.DictReader(file)]
    return found


def test_clip_keys_of_a_calibration_are_those_of_before_the_rooms() -> None:
    """They hold the path of the module that corrupts clips, `eval.calibration.corruptions`."""
    plan = calibration_plan(metrics_of(["pixels"]), 8)
    keys = {}
    for cell in plan.cells:
        sample, seed = plan.pairs(cell)[0]
        keys[f"{cell.id}/{sample.id}/{seed}"] = cell.clip_key(sample, seed)
    assert keys == json.loads((DATA / "calibration_keys_of_967717c.json").read_text())
