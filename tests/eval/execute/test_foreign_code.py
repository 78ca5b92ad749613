"""Whatever a method does, one clip fails, and the process is afterwards what it was."""

import csv
import io
import os
import random
import signal
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from eval.clips.lossless import Clip
from eval.errors import ClipTimeoutError, EvalError, Stop, reason_of, traceback_of
from eval.execute import time_limits as limits
from eval.execute.isolation import Failed, isolate
from eval.execute.options import Options
from eval.execute.run import Outcome, run
from eval.execute.time_limits import HalfImportedError, time_limit
from eval.methods.guard import guarded
from tests.eval.execute.test_torture import results

HOSTILE = """
import os, sys, signal
import numpy as np
from pydantic import BaseModel
from eval.clips.lossless import Clip
from toy_method import Toy, ToySettings


class Unprintable(Exception):
    def __str__(self):
        raise SystemExit(0)


class Settings(ToySettings):
    do: str = ""


class Hostile(Toy):
    Settings = Settings

    def generate(self, samples, seeds):
        clips = super().generate(samples, seeds)
        if "s3" in [sample.id for sample in samples]:
            changed = eval(self.settings.do, globals() | {"clips": clips})
            clips = changed if isinstance(changed, list) else clips
        return clips


def throw(error):
    raise error


def swallow():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        pass


def fork():
    child = os.fork()
    if child:
        os.waitpid(child, 0)
"""
FAILING = {
    "sys.exit(0)": "SystemExit: 0",
    "sys.exit('x')": "SystemExit: x",
    "os._exit(0)": "SystemExit: os._exit(0)",
    "throw(GeneratorExit())": "GeneratorExit: (no message)",
    "throw(KeyboardInterrupt('text'))": "KeyboardInterrupt: text",
    "throw(KeyboardInterrupt())": "KeyboardInterrupt: (no message)",
    "throw(Unprintable())": "Unprintable: (no message: printing it raises SystemExit)",
    "throw(ValueError('\\ud800 lone'))": r"ValueError: \ud800 lone",
    "throw(ValueError('a\\x1b[31m\\x00'))": "ValueError: a?[31m?",
    "throw(ValueError('x' * 10**7))": "ValueError: " + "x" * 985 + "...",
    "[Clip(clip.frames, 1e300) for clip in clips]": "clip fps must be between 0.01 and 1000 "
    "frames per second, not 1e+300",
    "[Clip(clip.frames, '8') for clip in clips]": "clip fps must be a number, not str",
    "[Clip(clip.frames, True) for clip in clips]": "clip fps must be a number, not bool",
    "[Clip(np.zeros((1, 1, 5000000, 3), np.uint8), 8.0) for clip in clips]": "a clip of shape "
    "(1, 1, 5000000, 3) cannot be encoded",
    "'not a list'": None,
}
HARMLESS = [
    "os.chdir('/')",
    "os.environ.clear()",
    "os.umask(0o777)",
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "np.random.seed(0)",
    "np.seterr(all='raise')",
    "fork()",
    "setattr(sys, 'stderr', None)",
    "sys.path.clear()",
    "[Clip(clip.frames, np.float32(clip.fps)) for clip in clips]",
]
Go = Callable[..., Outcome]


@pytest.fixture
def go(write_suite: Any, toy_evaluator: Any, toy_folder: Path, tmp_path: Path) -> Go:
    (toy_folder / "hostile.py").write_text(textwrap.dedent(HOSTILE))
    sys.modules.pop("hostile", None)

    def call(content: dict[str, Any], do: str, folder: str, **options: Any) -> Outcome:
        bad = {"method": "hostile:Hostile", "label": "bad", "settings": {"do": do}}
        content = content | {"methods": [bad, {"method": "still-image"}], "reference": None}
        console = Console(file=io.StringIO())
        path = str(write_suite(content))
        where = tmp_path / folder
        return run(
            path, where, console=console, evaluator=toy_evaluator, options=Options(**options)
        )

    return call


@pytest.mark.parametrize("do", FAILING)
def test_a_method_that_leaves_or_spoils_the_call_fails_its_own_clips(
    do: str, go: Go, suite_content: dict[str, Any]
) -> None:
    outcome = go(suite_content, do, "out")
    failed = [(failure.cell, failure.sample, failure.seed) for failure in outcome.failures]
    reason = FAILING[do]
    assert failed == ([("bad", "s3", 0), ("bad", "s3", 1)] if reason else [])
    with (outcome.folder / "failures.csv").open(newline="", encoding="utf-8") as file:
        reasons = {row["reason"] for row in csv.DictReader(file)}
    assert all(found.startswith(str(reason)) and len(found) <= 1000 for found in reasons)


@pytest.mark.parametrize("do", HARMLESS)
def test_a_method_that_changes_the_process_changes_no_result(
    do: str, go: Go, suite_content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = results(go(suite_content, "None", "undisturbed").folder)
    before = _state()
    outcome = go(suite_content, do, os.path.relpath(tmp_path / "out"))
    assert _state() == before
    found = results(tmp_path / "out")
    assert outcome.failures == []
    for name in ("summary.csv", "comparisons.csv"):
        assert found[name] == wanted[name]
    assert len(found["clips"]) == len(wanted["clips"])


def _state() -> list[Any]:
    mask = os.umask(0o22)
    os.umask(mask)
    return [
        os.getcwd(),
        dict(os.environ),
        mask,
        [signal.getsignal(number) for number in signal.valid_signals()],
        random.getstate(),
        np.random.get_state()[1].tolist(),  # type: ignore[index]  # noqa: NPY002
        np.geterr(),
        list(sys.path),
        (sys.stdin, sys.stdout, sys.stderr),
    ]


def test_torch_is_put_back_too() -> None:
    torch = pytest.importorskip("torch")
    before = (torch.get_rng_state().tolist(), torch.get_default_dtype(), torch.is_grad_enabled())
    with guarded():
        torch.manual_seed(5)
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        warnings.simplefilter("error")
    after = (torch.get_rng_state().tolist(), torch.get_default_dtype(), torch.is_grad_enabled())
    assert after == before


def test_our_own_stop_is_not_swallowed() -> None:
    def work(items: Any) -> Any:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except BaseException:
            return items
        return items

    with pytest.raises(Stop) as caught:
        isolate([1, 2], work)
    assert caught.value.args == (signal.SIGINT,)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_swallowed_timeout_is_a_timeout() -> None:
    def work(items: Any) -> Any:
        import time

        try:
            time.sleep(5)
        except BaseException:
            return items
        return items

    assert isolate([1], work, timeout=0.05) == [Failed("took longer than 0.05 s")]


@pytest.mark.parametrize("failing", [False, True])
def test_a_timeout_waits_for_an_import(
    failing: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_to_import.py").write_text("import time\ntime.sleep(0.4)\ndone = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "slow_to_import", raising=False)
    if failing:
        monkeypatch.setattr(limits, "LOADING_LIMIT", 0.1)

    def work(items: Any) -> Any:
        import slow_to_import  # type: ignore[import-not-found]

        return [slow_to_import.done for _ in items]

    if failing:
        with pytest.raises(HalfImportedError, match="half imported cannot be used"):
            isolate([1, 2], work, timeout=0.05)
    else:
        assert isolate([1, 2], work, timeout=0.05) == [1, 1]


def test_the_time_of_loading_is_not_the_time_of_a_call() -> None:
    import time

    from eval.io.loading import loading

    def work(items: Any) -> Any:
        with loading():
            time.sleep(0.3)
        return items

    assert isolate([1], work, timeout=0.1) == [1]
    with pytest.raises(ClipTimeoutError), time_limit(0.1):
        time.sleep(0.3)


def test_a_reason_is_one_printable_line_and_the_traceback_is_kept() -> None:
    def fail(error: BaseException) -> BaseException:
        try:
            raise error
        except BaseException as caught:
            return caught

    error = fail(ValueError("first\nsecond \ud800"))
    assert reason_of(error) == "ValueError: first"
    assert "raise error" in traceback_of(error)
    assert traceback_of(error).encode()
    assert len(traceback_of(fail(ValueError("x" * 10**6)))) < 21_000
    assert reason_of(EvalError("for the user")) == "for the user"


COMMAND = """
import os, sys
from importlib import import_module
from eval.cli import main
from toy_method import ToyEvaluator
import_module("eval.execute.run").default_evaluator = lambda metrics, folder: ToyEvaluator(metrics)
main()
"""


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("import sys; sys.exit(0)", 2, "importing it fails with SystemExit: 0"),
        (
            "from toy_method import Toy\nclass Own(Toy):\n def fingerprint(self): raise SystemExit",
            2,
            "its fingerprint fails with SystemExit",
        ),
        (
            "from toy_method import Toy\nclass Own(Toy):\n def __init__(self, s): raise SystemExit",
            2,
            "building it fails with SystemExit",
        ),
        (
            "import os\nfrom toy_method import Toy\nclass Own(Toy):\n"
            " def fingerprint(self): os.chdir('/'); return 'x'",
            0,
            "",
        ),
        (
            "import sys\nfrom toy_method import Toy\nclass Own(Toy):\n"
            " def generate(self, samples, seeds): sys.exit(0)",
            3,
            "12 failed",
        ),
    ],
)
def test_the_command_ends_well_only_where_it_finished(
    body: str, code: int, said: str, write_suite: Any, suite_content: Any, toy_folder: Path
) -> None:
    (toy_folder / "own.py").write_text(body + "\n")
    suite_content |= {"methods": [{"method": "own:Own"}, {"method": "still-image"}]}
    suite_content |= {"reference": None}
    write_suite(suite_content)
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "run", "suite.yaml", "--out", "here"],
        cwd=toy_folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(toy_folder), root])},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert (toy_folder / "here" / "records.csv").exists() == (code != 2)


@pytest.mark.parametrize("fps", [8, 8.0, np.float32(8), np.float64(8), np.int64(8)])
def test_a_rate_of_any_numeric_kind_is_a_float(fps: Any) -> None:
    clip = Clip(np.zeros((1, 2, 2, 3), np.uint8), fps)
    assert type(clip.fps) is float
    assert clip.fingerprint == Clip(clip.frames, 8.0).fingerprint
