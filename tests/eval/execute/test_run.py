"""A whole run: what is made again and what is not, what fails how, what the folder holds."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.clips.lossless import read_clip
from eval.errors import EvalError
from eval.execute.run import Outcome
from eval.samples.seeds import derive_seed

TABLES = ("records.csv", "summary.csv", "comparisons.csv", "samples.csv", "failures.csv")
Run = Callable[..., Outcome]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_first_run_makes_everything_and_the_second_nothing(
    run_toy: Run, suite_content: dict[str, Any]
) -> None:
    first = run_toy(suite_content)
    before = {
        path: path.read_bytes()
        for path in first.folder.rglob("*")
        if path.name in (*TABLES, "run.json")
    }
    stamps = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*.mkv")}
    second = run_toy(suite_content)
    assert (first.made, first.measured, second.made, second.measured) == (72, 72, 0, 0)
    assert (first.decoded, second.decoded) == (
        72,
        0,
    )  # one decode a clip, whatever the number of metrics
    assert {path: path.read_bytes() for path in before} == before
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


def test_a_new_cell_or_metric_adds_only_itself(run_toy: Run, suite_content: dict[str, Any]) -> None:
    run_toy(suite_content)
    suite_content["methods"][0]["sweep"]["t0"] = [0.5, 0.75, 1.0]
    assert run_toy(suite_content).made == 2 * 12
    suite_content["metrics"].append("motion_top5.flow_dis.v1")
    again = run_toy(suite_content)
    assert (again.made, again.measured) == (0, 8 * 12)
    suite_content["methods"] = suite_content["methods"][:1]
    fewer = run_toy(suite_content)
    assert fewer.made == 0
    assert {row["cell"] for row in table(fewer.folder / "records.csv")} == {
        f"toy[t0={t0},p={p}]" for t0 in (0.5, 0.75, 1.0) for p in (0.0, 0.5)
    }


def test_other_weights_make_all_clips_of_that_method_again(
    run_toy: Run, suite_content: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_toy(suite_content)
    monkeypatch.setenv("TOY_WEIGHTS", "better")
    assert run_toy(suite_content).made == 4 * 12


def test_a_lost_clip_file_is_made_again_and_nothing_changes(
    run_toy: Run, suite_content: dict[str, Any]
) -> None:
    first = run_toy(suite_content)
    before = (first.folder / "records.csv").read_bytes()
    next((first.folder / "clips").rglob("*.mkv")).unlink()
    assert 1 <= run_toy(suite_content).made <= 8
    assert (first.folder / "records.csv").read_bytes() == before


def test_values_do_not_depend_on_the_batch_size(
    run_toy: Run, suite_content: dict[str, Any]
) -> None:
    one = run_toy(suite_content, "one")
    other = run_toy(suite_content | {"batch_size": 3}, "other")
    for name in TABLES:
        assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes()


def test_seeds_are_shared_between_cells_and_differ_between_samples(
    run_toy: Run, suite_content: dict[str, Any]
) -> None:
    folder = run_toy(suite_content).folder
    key = {
        (r["cell"], r["sample"], r["seed"]): r["clip_key"] for r in table(folder / "records.csv")
    }
    image = read_clip(folder / "samples/s1/true.mkv").frames[0].astype(int)

    def noise(cell: str, sample: str, seed: str) -> Any:
        name = key[cell, sample, seed]
        return read_clip(folder / "clips" / name[:2] / f"{name}.mkv").frames[0].astype(int) - image

    mine = noise("toy[t0=1.0,p=0.5]", "s1", "0")
    assert np.array_equal(mine, noise("toy[t0=0.5,p=0.5]", "s1", "0"))
    assert not np.array_equal(mine, noise("toy[t0=1.0,p=0.5]", "s1", "1"))
    draw = np.random.default_rng(derive_seed("s1", 0)).integers(-9, 10, (4, *image.shape))[0] * 0.5
    assert np.array_equal(mine, np.clip(image + draw, 0, 255).astype(np.uint8).astype(int) - image)


def test_run_json_says_what_was_asked_and_by_what(
    run_toy: Run, suite_content: dict[str, Any]
) -> None:
    outcome = run_toy(suite_content)
    document = json.loads((outcome.folder / "run.json").read_text())
    assert set(document["seconds_per_clip"]) == {cell["id"] for cell in document["cells"]}
    assert all(seconds > 0 for seconds in document["seconds_per_clip"].values())
    assert document["suite"]["name"] == "toy"
    assert document["cells"][0]["settings"] == {"t0": 0.5, "p": 0.0, "fail_on": ""}
    assert document["counts"] == {
        "samples": 6,
        "cells": 6,
        "clips": 72,
        "records": 144,
        "failed": 0,
    }
    assert document["encoders"]["flow_dis"] == "weights of flow_dis"
    assert document["finished"] >= document["created"]
    assert "prompt_truncated: 1 samples" in document["warnings"]
    assert "prompt_truncated: 1 samples" in outcome.warnings
    assert any(
        warning.startswith("fvd.videomae_glyph.v1: n = 6 is") for warning in outcome.warnings
    )


def test_samples_csv_is_a_manifest_of_the_same_samples(
    run_toy: Run, suite_content: dict[str, Any]
) -> None:
    first = run_toy(suite_content, "first")
    suite_content["samples"]["path"] = str(first.folder / "samples.csv")
    second = run_toy(suite_content, "second")
    for name in TABLES:
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()


def test_a_second_process_on_the_folder_is_told_who_holds_it(
    run_toy: Run, suite_content: dict[str, Any], tmp_path: Path
) -> None:
    code = (
        "import sys, pathlib\nfrom eval.store.store import Store\n"
        "with Store(pathlib.Path(sys.argv[1])):\n    print(1, flush=True)\n    input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "out")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(
            EvalError,
            match=rf"out: in use by process {other.pid} on .+ since 2.+; wait for it with --wait",
        ):
            run_toy(suite_content)
        other.kill()
    assert run_toy(suite_content).made == 72


def test_run_folder_can_be_moved(
    run_toy: Run, suite_content: dict[str, Any], tmp_path: Path
) -> None:
    first = run_toy(suite_content)
    shutil.move(first.folder, tmp_path / "moved")
    assert run_toy(suite_content, "moved").made == 0


def test_nothing_to_do_loads_no_network(write_suite: Any, tmp_path: Path) -> None:
    suite = {
        "name": "light",
        "samples": {"source": "glyph-world", "seen": 2, "unseen": 1},
        "methods": [{"method": "still-image"}, {"method": "true-clip"}],
        "metrics": ["motion.flow_dis.v1"],
    }
    code = (
        "import pathlib, sys\nfrom eval.execute.run import run\n"
        "outcome = run(sys.argv[1], pathlib.Path(sys.argv[2]))\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'open_clip'} & set(sys.modules)\n"
        "print(outcome.made, outcome.measured, *sorted(heavy))"
    )
    command = [sys.executable, "-c", code, str(write_suite(suite)), str(tmp_path / "out")]
    said = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        for _ in range(2)
    ]
    assert said[0][:2] == ["6", "6"]
    assert said[1] == ["0", "0"]
    motion = {
        row["cell"]: float(row["mean"])
        for row in table(tmp_path / "out/summary.csv")
        if row["group"] == "all"
    }
    assert motion["still-image"] == pytest.approx(0, abs=1e-3)
    assert motion["true-clip"] > 0
