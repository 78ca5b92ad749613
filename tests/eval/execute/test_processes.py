"""In worker processes a run leaves the files and records of a run in one process, also where a
method ends its process or cannot be interrupted.
"""

import io
import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from eval.errors import EvalError
from eval.execute.events import EventLog
from eval.execute.options import Options
from eval.execute.pool import Pool
from eval.execute.run import Outcome, run
from eval.execute.time_limits import OVERRUN
from eval.store.store import Store
from tests.eval.execute.test_torture import results

STUBBORN = """
import ctypes, os, signal, time
from toy_method import Toy, ToySettings

class Settings(ToySettings):
    do: str = ""

class Stubborn(Toy):
    Settings = Settings

    def generate(self, samples, seeds):
        if "s3" in [sample.id for sample in samples]:
            eval(self.settings.do)
        return super().generate(samples, seeds)

def swallow():
    while True:
        try:
            time.sleep(600)
        except BaseException:
            pass

def block():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    ctypes.CDLL(None).sleep(600)
"""
DEADLY = {
    "os._exit(0)": "SystemExit: os._exit(0)",
    "os.kill(os.getpid(), signal.SIGKILL)": "its worker died 3 times (its process ended with "
    "SIGKILL)",
    "os.abort()": "its worker died 3 times (its process ended with SIGABRT)",
    "os.execv('/bin/true', ['true'])": "its worker died 3 times (its process ended with exit "
    "code 0)",
}
ENDLESS = ["swallow()", "block()"]
if "TORTURE_KILLS" not in os.environ:  # `nox -s torture` tries all
    DEADLY = dict(list(DEADLY.items())[:2])
POOL = Pool(1, kind="processes")
Go = Callable[..., Outcome]


ELSEWHERE = """
from toy_method import Toy, ToyEvaluator

class Elsewhere(Toy):
    "On a device of which the driver knows nothing."

    takes_device = True

    def to(self, device, dtype):
        pass

    @property
    def device(self):
        import os
        return f"device-of-{os.getpid()}"

class Evaluator(ToyEvaluator):
    device = Elsewhere.device
"""


@pytest.fixture
def go(write_suite: Any, toy_evaluator: Any, toy_folder: Path, tmp_path: Path) -> Go:
    (toy_folder / "stubborn.py").write_text(textwrap.dedent(STUBBORN))
    sys.modules.pop("stubborn", None)

    def call(content: dict[str, Any], folder: str, **options: Any) -> Outcome:
        console = Console(file=io.StringIO())
        path, where = str(write_suite(content)), tmp_path / folder
        return run(
            path, where, console=console, evaluator=toy_evaluator, options=Options(**options)
        )

    return call


def stubborn(content: dict[str, Any], do: str) -> dict[str, Any]:
    bad = {"method": "stubborn:Stubborn", "label": "bad", "settings": {"do": do}}
    return content | {"methods": [bad], "reference": None, "seeds": [0]}


@pytest.mark.parametrize("workers", [2])
def test_processes_leave_what_one_process_leaves(
    workers: int, go: Go, suite_content: dict[str, Any], tmp_path: Path
) -> None:
    suite_content["methods"] += [
        {"method": "toy_method:Toy", "label": "bad", "settings": {"fail_on": "s3"}},
    ]
    log = tmp_path / "log"
    pool = Pool(workers, kind="processes")
    apart = go(suite_content, "apart", pool=pool, log=EventLog(log), timeout=60)
    here = go(suite_content, "here")
    assert (apart.made, apart.measured) == (here.made, here.measured)
    assert apart.failures == here.failures
    assert results(apart.folder) == results(here.folder)
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert events.count("worker") == workers


@pytest.mark.parametrize("do", DEADLY)
def test_a_method_that_ends_its_process_fails_its_own_clip(
    do: str, go: Go, suite_content: dict[str, Any]
) -> None:
    outcome = go(stubborn(suite_content, do), "out", pool=Pool(1, kind="processes"))
    assert [failure[:5] for failure in outcome.failures] == [("bad", "s3", 0, "make", DEADLY[do])]
    assert (outcome.made, outcome.measured) == (5, 5)


@pytest.mark.parametrize("do", ENDLESS)
def test_a_timeout_that_a_method_does_not_keep_ends_its_process(
    do: str, go: Go, suite_content: dict[str, Any]
) -> None:
    start = time.monotonic()
    suite_content["batch_size"] = 1
    pool = Pool(1, kind="processes")
    outcome = go(stubborn(suite_content, do), "out", pool=pool, timeout=1.5)
    reason = "took longer than 1.5 s, and its worker process was ended"
    assert [failure[:5] for failure in outcome.failures] == [("bad", "s3", 0, "make", reason)]
    assert (outcome.made, outcome.measured) == (5, 5)
    assert time.monotonic() - start < 300


def test_a_plan_that_cannot_be_sent_is_refused(
    go: Go, suite_content: dict[str, Any], toy_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "stubborn", raising=False)
    (toy_folder / "stubborn.py").write_text(
        "from toy_method import Toy\n"
        "class Stubborn(Toy):\n"
        "    def __init__(self, settings):\n"
        "        super().__init__(settings)\n"
        "        self.own = lambda: None\n"
    )
    suite_content |= {"methods": [{"method": "stubborn:Stubborn"}], "reference": None}
    with pytest.raises(EvalError, match="cannot be sent to another process"):
        go(suite_content, "out", pool=Pool(1, kind="processes"))
    sys.modules.pop("stubborn")


def test_no_worker_outlives_its_driver(go: Go, suite_content: dict[str, Any]) -> None:
    go(suite_content, "out", pool=Pool(2, kind="processes"))
    listed = [Path(f"/proc/{number}/cmdline") for number in os.listdir("/proc") if number.isdigit()]
    mine = []
    for path in listed:
        try:
            text = path.read_bytes()
            status = (path.parent / "status").read_text()
        except OSError:
            continue
        if b"eval.execute.process_worker" in text and f"PPid:\t{os.getpid()}\n" in status:
            mine.append(text)
    assert mine == []


COMMAND = """
from eval.cli import main
from eval.execute import run, time_limits
from toy_method import ToyEvaluator
time_limits.COMMAND_GRACE = 0.5
run.default_evaluator = lambda metrics, folder: ToyEvaluator(metrics)
main()
"""


def test_a_command_does_not_hang_with_a_call_that_cannot_be_interrupted(
    go: Go, write_suite: Any, suite_content: dict[str, Any], toy_folder: Path, tmp_path: Path
) -> None:
    """In one process; what is stored stays, and without the fault the same command finishes."""
    content = stubborn(suite_content | {"batch_size": 1}, "block()")
    path, out = write_suite(content), tmp_path / "out"
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "run", str(path), "--out", str(out), "--timeout", "1.5"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(toy_folder), root])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == OVERRUN, done.stderr
    said = done.stderr.splitlines()[-1]
    assert said.startswith(
        "error: the clip of cell bad, sample s3, seed 0 took longer than 1.5 s and cannot be "
        "interrupted, so this process ends; what is stored stays."
    )
    assert "--executor processes" in said
    with Store(out, read_only=True) as store:
        assert len(store.clip_keys("bad")) == 3
    cured = go(
        stubborn(suite_content | {"batch_size": 1}, "block()"), "out", pool=POOL, timeout=1.5
    )
    assert (cured.made, cured.measured, len(cured.failures)) == (2, 5, 1)


def test_the_worker_says_on_which_device_each_record_came_about(
    write_suite, suite_content, toy_folder, tmp_path
):
    import csv
    import importlib

    from eval.summary.export import export

    (toy_folder / "elsewhere.py").write_text(textwrap.dedent(ELSEWHERE))
    sys.modules.pop("elsewhere", None)
    methods = [{"method": "elsewhere:Elsewhere", "label": "gpu"}, {"method": "still-image"}]
    content = suite_content | {"methods": methods, "reference": "gpu", "seeds": [0]}
    content["metrics"] = ["motion.flow_dis.v1"]
    evaluator = importlib.import_module("elsewhere").Evaluator
    options = Options(pool=Pool(1, kind="processes"))
    outcome = run(str(write_suite(content)), tmp_path / "run", evaluator=evaluator, options=options)
    assert outcome.made == 12
    found = json.loads((tmp_path / "run" / "run.json").read_text())["devices"]
    [worker] = found["measure"]
    assert worker.startswith("device-of-")
    assert worker != f"device-of-{os.getpid()}"
    assert found == {"make": {"cpu": 6, worker: 6}, "measure": {worker: 12}}
    export(tmp_path / "run", tmp_path / "records.csv", "csv")
    with (tmp_path / "records.csv").open() as file:
        rows = [(row["cell"], row["made_on"], row["measured_on"]) for row in csv.DictReader(file)]
    assert set(rows) == {("gpu", worker, worker), ("still-image", "cpu", worker)}
