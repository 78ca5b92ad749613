"""One clip's failure stays its own, is told with its reason, and is tried again."""

import csv
import io
import json
import signal
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from eval.errors import EvalError, Stop, StoreError
from eval.execute.isolation import Failed, isolate
from eval.execute.options import Options
from eval.execute.run import Outcome, run
from eval.plan.planning import make_plan

FAULTY = """
import time
from toy_method import Toy

class Slow(Toy):
    def generate(self, samples, seeds):
        if "s3" in [sample.id for sample in samples]:
            time.sleep(60)
        return super().generate(samples, seeds)

class Empty(Toy):
    def generate(self, samples, seeds):
        clips = super().generate(samples, seeds)
        return [None if sample.id == "s3" else clip for sample, clip in zip(samples, clips)]
"""
TABLES = ("records.csv", "summary.csv", "comparisons.csv", "failures.csv")
Go = Callable[..., Outcome]


@pytest.fixture
def go(write_suite: Any, toy_evaluator: Any, toy_folder: Path, tmp_path: Path) -> Go:
    (toy_folder / "faulty.py").write_text(textwrap.dedent(FAULTY))

    def call(content: dict[str, Any], folder: str = "out", **options: Any) -> Outcome:
        console = Console(file=io.StringIO())
        path = str(write_suite(content))
        return run(
            path,
            tmp_path / folder,
            console=console,
            evaluator=toy_evaluator,
            options=Options(**options),
        )

    return call


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def with_method(content: dict[str, Any], method: str, **settings: Any) -> dict[str, Any]:
    return content | {
        "methods": [*content["methods"], {"method": method, "label": "bad", "settings": settings}]
    }


@pytest.mark.parametrize(
    ("method", "settings", "reason"),
    [
        ("toy_method:Toy", {"fail_on": "s3"}, "ZeroDivisionError: no such luck"),
        ("faulty:Slow", {}, "took longer than 2 s"),
        ("faulty:Empty", {}, "the method gave 1 of NoneType for 1 samples, not a Clip each"),
    ],
)
def test_what_fails_is_left_out_and_nothing_else_changes(
    method: str,
    settings: dict[str, Any],
    reason: str,
    go: Go,
    suite_content: dict[str, Any],
    tmp_path: Path,
) -> None:
    suite_content["methods"] = suite_content["methods"][-1:]
    suite_content |= {"reference": "true-clip", "batch_size": 2}
    whole = go(with_method(suite_content, "toy_method:Toy"), "whole")
    timeout = 2.0 if "Slow" in method else None
    outcome = go(with_method(suite_content, method, **settings), timeout=timeout)
    assert (outcome.made, outcome.measured) == (22, 22)
    assert [failure[:4] for failure in outcome.failures] == [
        ("bad", "s3", 0, "make"),
        ("bad", "s3", 1, "make"),
    ]
    assert {row["reason"] for row in table(outcome.folder / "failures.csv")} == {reason}

    def comparable(folder: Path) -> list[tuple[str, ...]]:
        rows = table(folder / "records.csv")
        return [(r["cell"], r["sample"], r["seed"], r["metric"], r["value"]) for r in rows]

    left_out = [row for row in comparable(whole.folder) if row[:2] != ("bad", "s3")]
    assert comparable(outcome.folder) == left_out
    summary = {
        (r["cell"], r["group"], r["metric"]): r for r in table(outcome.folder / "summary.csv")
    }
    for metric in suite_content["metrics"]:
        assert summary["bad", "unseen", metric]["lost"] == "2"
        (lost, *_) = json.loads(summary["bad", "unseen", metric]["cautions"])
        assert lost == {"code": "clips_failed", "lost": 2, "wanted": 6}
        assert summary["bad", "unseen", metric]["n"] == "4"
        assert summary["bad", "seen", metric]["lost"] == "0"
    assert {r["n"] for r in table(outcome.folder / "comparisons.csv") if r["group"] == "all"} == {
        "10"
    }


def test_a_failure_is_tried_again_and_its_cure_leaves_no_trace(
    go: Go, suite_content: dict[str, Any], toy_evaluator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = go(suite_content, "whole")
    monkeypatch.setattr(toy_evaluator, "nan_on", "s2")
    first = go(suite_content)
    assert (first.made, first.measured, len(first.failures)) == (72, 60, 12)
    assert {failure.stage for failure in first.failures} == {"measure"}
    assert first.failures[0].reason.startswith("motion.flow_dis.v1 is nan for sample/seed s2/0")
    again = go(suite_content)
    assert (again.made, len(again.failures)) == (0, 12)
    monkeypatch.setattr(toy_evaluator, "nan_on", "")
    cured = go(suite_content)
    assert (cured.made, cured.failures) == (0, [])
    for name in TABLES:
        assert (cured.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_a_cell_that_always_fails_has_no_rows_and_is_counted(
    go: Go, suite_content: dict[str, Any]
) -> None:
    suite_content["methods"][1]["settings"] = {
        "frames": 3
    }  # set metrics compare clips of one shape
    outcome = go(suite_content)
    assert [failure.cell for failure in outcome.failures] == ["still-image"] * 12
    assert "clip (3, 8, 10, 3), true clip (4, 8, 10, 3)" in outcome.failures[0].reason
    assert "cell still-image, " not in outcome.failures[0].reason
    assert "still-image" not in {row["cell"] for row in table(outcome.folder / "summary.csv")}


@pytest.mark.parametrize("covered", [False, True])
def test_a_true_clip_without_features_leaves_only_set_metrics(
    covered: bool,
    go: Go,
    suite_content: dict[str, Any],
    toy_evaluator: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if covered:  # a plan that names every cell's clips, as that of a calibration does
        monkeypatch.setattr(
            "eval.execute.run.make_plan",
            lambda path, *rest, **options: make_plan(path, *rest, **options).without(()),
        )
    suite_content |= {"methods": [{"method": "still-image"}], "reference": None}
    features = toy_evaluator.video_features

    def refuse(self: Any, clips: Sequence[Any], encoder: str) -> Any:
        if any(
            clip.frames.shape[1] == 12 and clip.frames[0].tobytes() != clip.frames[1].tobytes()
            for clip in clips
        ):
            raise EvalError("cannot look at it")
        return features(self, clips, encoder)

    monkeypatch.setattr(toy_evaluator, "video_features", refuse)
    outcome = go(suite_content)
    assert [failure[:5] for failure in outcome.failures] == [
        ("[true clip]", "s4", 0, "measure", "cannot look at it")
    ]
    rows = {
        (r["metric"], r["n"], r["clusters"], r["lost"])
        for r in table(outcome.folder / "summary.csv")
        if r["group"] == "all"
    }
    assert ("motion.flow_dis.v1", "12", "6", "0") in rows
    assert ("kvd.videomae_glyph.v1", "10", "5", "2") in rows


def test_memory_that_runs_out_halves_the_batch() -> None:
    calls = []

    def work(items: Sequence[int]) -> list[int]:
        calls.append(list(items))
        if len(items) > 2:
            raise MemoryError
        return [-item for item in items]

    assert isolate(range(7), work) == [0, -1, -2, -3, -4, -5, -6]
    assert [len(call) for call in calls] == [7, 4, 2, 2, 3, 2, 1]


def test_torch_running_out_of_memory_is_recognised() -> None:
    torch = pytest.importorskip("torch")
    for error in (
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce] can't allocate memory: 9"),
    ):

        def work(items: Sequence[int], error: Exception = error) -> list[int]:
            raise error

        (failed,) = isolate([1], work)
        assert isinstance(failed, Failed)
        assert failed.out_of_memory


def test_a_broken_store_a_stop_and_debug_are_not_swallowed() -> None:
    for error, debug in (
        (StoreError("full"), False),
        (Stop(signal.SIGINT), False),
        (ValueError("bad"), True),
    ):

        def work(items: Sequence[int], error: BaseException = error) -> list[int]:
            raise error

        with pytest.raises(type(error)):
            isolate([1, 2], work, debug=debug)


def test_a_timeout_leaves_no_alarm_behind() -> None:
    before = signal.getsignal(signal.SIGALRM)
    start = time.monotonic()
    results = isolate(
        [0.0, 9.0, 0.0], lambda items: [time.sleep(item) for item in items], timeout=0.3
    )
    assert results == [None, Failed("took longer than 0.3 s"), None]
    assert time.monotonic() - start < 5
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
