"""Killed at any moment, a run goes on where it was and ends with the bytes of an undisturbed one.

`nox -s torture` kills a hundred times; the tests, a few.
"""

import importlib
import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from eval.execute.run import Outcome

KILLS = int(os.environ.get("TORTURE_KILLS", "3"))
SEED = int(os.environ.get("TORTURE_SEED", "0"))
TABLES = ("records.csv", "summary.csv", "comparisons.csv", "samples.csv", "failures.csv")
Run = Callable[..., Outcome]


@pytest.mark.parametrize(
    ("stage", "table_name"), [("TOY_DELAY", "clips"), ("TOY_EVALUATOR_DELAY", "records")]
)
def test_kill_and_run_again_gives_the_same_bytes(
    stage: str,
    table_name: str,
    run_toy: Run,
    write_suite: Any,
    suite_content: dict[str, Any],
    tmp_path: Path,
) -> None:
    undisturbed = run_toy(suite_content, "undisturbed").folder
    folder, log = tmp_path / "killed", tmp_path / "calls.txt"
    command = [sys.executable, "-c", _DRIVER, str(write_suite(suite_content)), str(folder)]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "toy"), str(Path(__file__).parents[3])]),
        "TOY_LOG": str(log),
        stage: "0.05",
    }
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        while _rows(folder, table_name) < 8 and process.poll() is None:
            time.sleep(0.005)
        process.kill()
    stored = _rows(folder, "clips")
    assert process.returncode == -9
    assert _rows(folder, table_name) < {"clips": 72, "records": 144}[table_name]
    assert not (folder / "records.csv").exists()

    log.unlink()
    environment[stage] = "0"
    subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)
    made_again = (
        sum(len(line.split()) for line in log.read_text().splitlines()) if log.exists() else 0
    )
    toy_clips = 4 * 12
    assert made_again == max(0, toy_clips - stored)
    for name in TABLES:
        assert (folder / name).read_bytes() == (undisturbed / name).read_bytes()
    assert not list(folder.rglob("*.partial"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_asked_to_stop_says_so_and_lets_the_folder_go(
    number: signal.Signals,
    run_toy: Run,
    write_suite: Any,
    suite_content: dict[str, Any],
    tmp_path: Path,
) -> None:
    suite_content |= {
        "methods": suite_content["methods"][:1],
        "metrics": ["motion.flow_dis.v1"],
        "reference": None,
    }
    folder = tmp_path / "stopped"
    command = [
        sys.executable,
        "-c",
        _COMMAND,
        "run",
        str(write_suite(suite_content)),
        "--out",
        str(folder),
    ]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "toy"), str(Path(__file__).parents[3])]),
        "TOY_DELAY": "0.05",
    }
    heard = partial(
        signal.signal, number, signal.SIG_DFL
    )  # background jobs ignore Ctrl-C, and so would their children
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heard
    ) as process:
        while _rows(folder, "clips") < 8 and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(number)
        out, error = process.communicate()
    assert process.returncode == 128 + number
    assert (out, error.decode().splitlines()[-1]) == (
        b"",
        f"stopped by {number.name}; what is stored stays, and the same command goes on",
    )
    assert b"Traceback" not in error
    assert not (folder / "run.lock.json").exists()
    assert not list(folder.rglob("*.partial"))
    assert results(run_toy(suite_content, "stopped").folder) == results(
        run_toy(suite_content, "undisturbed").folder
    )


_COMMAND = """
from importlib import import_module
from eval.cli import main
from toy_method import ToyEvaluator
import_module("eval.execute.run").default_evaluator = lambda metrics, folder: ToyEvaluator(metrics)
main()
"""

_DRIVER = """
import pathlib, sys
from eval.execute.run import run
from toy_method import ToyEvaluator
run(sys.argv[1], pathlib.Path(sys.argv[2]), evaluator=ToyEvaluator)
heavy = "torch diffusers transformers open_clip cv2 pandas matplotlib".split()
heavy = [name for name in heavy if name in sys.modules]
assert not heavy, heavy
"""


def _rows(folder: Path, name: str) -> int:
    if not (folder / "store.sqlite").exists():
        return 0
    with closing(sqlite3.connect(folder / "store.sqlite", timeout=5)) as database:
        try:
            return int(database.execute(f"SELECT count(*) FROM {name}").fetchone()[0])
        except sqlite3.OperationalError:  # the tables are not there yet
            return 0


RUNNER = """
import io, pathlib
from rich.console import Console
from eval.execute.run import run
from toy_method import ToyEvaluator

def carry_out(suite, folder):
    run(suite, pathlib.Path(folder), console=Console(file=io.StringIO()), evaluator=ToyEvaluator)
"""


def test_kills_at_random_moments_leave_no_trace(
    run_toy: Run, write_suite: Any, suite_content: dict[str, Any], toy_folder: Path, tmp_path: Path
) -> None:
    bad = {"method": "toy_method:Toy", "label": "bad", "settings": {"fail_on": "s3"}}
    sweep = {
        "method": "toy_method:Sweeper",
        "settings": {"fail_on": "s5 at 0.5"},
        "sweep": {"p": [0.0, 0.5, 1.0]},
    }
    suite_content |= {
        "methods": [{"method": "toy_method:Toy", "label": "good"}, bad, sweep],
        "reference": "good",
    }
    wanted = results(run_toy(suite_content, "undisturbed").folder)
    (toy_folder / "toy_runner.py").write_text(RUNNER)
    sys.modules.pop("toy_runner", None)
    target = importlib.import_module("toy_runner").carry_out
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["av", "eval.execute.run", "eval.samples.manifest", "eval.summary.statistics"]
    )
    suite, draw = str(write_suite(suite_content)), random.Random(SEED)

    def start(folder: Path) -> Any:
        process = context.Process(target=target, args=(suite, str(folder)))
        process.start()
        return process

    before = time.monotonic()
    whole = start(tmp_path / "timed")
    whole.join()
    length = time.monotonic() - before
    kills = rounds = 0
    while kills < KILLS:
        folder = tmp_path / f"round-{rounds}"
        rounds += 1
        code: int | None = -9
        while code == -9:
            process = start(folder)
            if kills < KILLS:
                process.join(draw.uniform(0, length))
                process.kill()
            process.join()
            code = process.exitcode
            kills += code == -9
        assert code == 0
        assert results(folder) == wanted
    print(f"{kills} kills in {rounds} runs")


def results(folder: Path) -> dict[str, bytes | list[Any]]:
    """All that a run gives but times: every file, and every row of the store."""
    found: dict[str, bytes | list[Any]] = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name not in ("run.json", "run.lock")
        and "store.sqlite" not in path.name
    }
    with closing(sqlite3.connect(folder / "store.sqlite")) as database:
        found["clips"] = database.execute(
            "SELECT cell, sample, seed, key FROM clips ORDER BY 1, 2, 3"
        ).fetchall()
        for name in ("meta", "records", "failures"):  # WITHOUT ROWID: in the order of their keys
            found[name] = database.execute(f"SELECT * FROM {name}").fetchall()
    return found
