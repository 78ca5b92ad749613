"""A first suite, a look before the leap, silence, and a log for machines."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from eval.cli import app

Invoke = Callable[..., Any]


@pytest.fixture
def invoke(toy_folder: Path, toy_evaluator: Any, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.setattr(
        "eval.execute.run.default_evaluator", lambda metrics, folder: toy_evaluator(metrics)
    )
    monkeypatch.setattr(
        "eval.execute.forecast.default_evaluator", lambda metrics, folder: toy_evaluator(metrics)
    )
    monkeypatch.chdir(toy_folder)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_suite_of_init_runs_and_is_not_overwritten(invoke: Invoke, toy_folder: Path) -> None:
    said = invoke("init", "my own.yaml", "--method", "toy_method:Toy", "--samples", "samples.csv")
    assert said.stdout == "my own.yaml: now: i2v-eval run 'my own.yaml' --dry-run\n"
    text = (toy_folder / "my own.yaml").read_text()
    assert text.count("\n#") > 10
    assert yaml.safe_load(text)["name"] == "my-own"
    assert invoke("run", "my own.yaml", "--out", "out").stdout.startswith("12 clips made")
    again = invoke("init", "my own.yaml")
    assert (again.exit_code, "there already" in again.stderr) == (2, True)
    assert (toy_folder / "my own.yaml").read_text() == text


def test_the_suite_of_init_names_what_is_missing(invoke: Invoke) -> None:
    said = invoke("init", "--method", "my_model:MyModel")
    assert "first: write my_model.py with the class MyModel here; then: i2v-eval" in said.stdout
    result = invoke("run", "my-suite.yaml")
    assert result.exit_code == 2
    assert "method 'my_model:MyModel': no module 'my_model'" in result.stderr


def test_a_dry_run_counts_and_makes_nothing(
    invoke: Invoke, write_suite: Any, suite_content: dict[str, Any], toy_folder: Path
) -> None:
    path = write_suite(suite_content)
    before = sorted(toy_folder.rglob("*"))
    result = invoke("run", path, "--out", "out", "--dry-run")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[1].split()[:6] == [
        "toy[t0=0.5,p=0.0]",
        "12",
        "12",
        "12",
        "unknown",
        "0.0",
    ]
    raw = (
        12 * 4 * 10 * 3 * (5 * 8 + 12) / 6 * 6
    )  # clips of a cell, frames, width, channels, mean height, cells
    assert result.stdout.splitlines()[-1] == (
        "out: 6 samples, 2 seeds, 4 metrics; 72 of 72 clips to make, 72 to measure; "
        f"72 clips of unknown time, at most about {raw / 2**20:.1f} MiB"
    )
    assert sorted(toy_folder.rglob("*")) == before

    suite_content["methods"][0]["sweep"]["p"] = [0.0]
    assert (
        invoke("run", write_suite(suite_content | {"reference": None}), "--out", "out").exit_code
        == 0
    )
    suite_content["methods"][0]["sweep"]["p"] = [0.0, 0.5]
    next((toy_folder / "out" / "clips").rglob("*.mkv")).unlink()
    stored = sorted((toy_folder / "out").rglob("*"))
    result = invoke("run", write_suite(suite_content), "--out", "out", "--dry-run")
    made = re.search(
        r"; (\d+) of 72 clips to make, \1 to measure; 0 s and 24 clips of unknown", result.stdout
    )
    assert made is not None, result.stdout
    assert 24 < int(made[1]) <= 24 + 8
    assert sorted((toy_folder / "out").rglob("*")) == stored


def test_quiet_is_quiet_and_the_log_tells_all(
    invoke: Invoke, write_suite: Any, suite_content: dict[str, Any], toy_folder: Path
) -> None:
    suite_content["methods"][0] = {
        "method": "toy_method:Toy",
        "label": "toy",
        "settings": {"fail_on": "s3"},
    }
    path = write_suite(suite_content | {"reference": None})
    result = invoke("run", path, "--out", "out", "--quiet", "--log", "logs/run.jsonl")
    assert (result.exit_code, result.stdout, result.stderr) == (3, "", "")
    events = [json.loads(line) for line in (toy_folder / "logs/run.jsonl").read_text().splitlines()]
    assert (events[0]["event"], events[0]["make"], events[0]["measure"]) == ("started", 36, 36)
    assert events[-1] | {"time": ""} == {
        "time": "",
        "event": "finished",
        "made": 34,
        "measured": 34,
        "failed": 2,
    }
    for name in ("made", "measured"):
        assert sum(event["clips"] for event in events if event["event"] == name) == 34
    failed = [event for event in events if event["event"] == "failed"]
    assert [(event["sample"], event["seed"], event["stage"]) for event in failed] == [
        ("s3", 0, "make"),
        ("s3", 1, "make"),
    ]
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)
    error = invoke("run", path, "--out", "out", "--quiet", "--log", toy_folder)
    assert (error.exit_code, error.stderr.startswith("error: ")) == (2, True)


def test_a_shell_completes_commands() -> None:
    asked = {"_I2V_EVAL_COMPLETE": "complete_bash", "COMP_WORDS": "i2v-eval sa", "COMP_CWORD": "1"}
    assert CliRunner().invoke(app, [], prog_name="i2v-eval", env=asked).stdout.split() == [
        "salvage"
    ]


def test_the_options_of_workers_go_with_ray_which_may_be_missing(
    invoke: Invoke,
    write_suite: Any,
    suite_content: dict[str, Any],
    toy_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write_suite(suite_content)
    alone = invoke("run", path, "--out", "out", "--workers", 2, "--worker-cpus", 2)
    assert (alone.exit_code, alone.stderr) == (
        2,
        "error: --worker-cpus, --worker-gpus and --address go with --executor ray; add it\n",
    )
    assert not (toy_folder / "out").exists()
    monkeypatch.setitem(sys.modules, "ray", None)
    missing = invoke("run", path, "--out", "out", "--executor", "ray", "--workers", 2)
    assert missing.exit_code == 2
    assert missing.stderr == "error: --executor ray needs Ray: pip install 'i2v-adapter[ray]'\n"
