"""Base against head: known ratios, the interval's verdict, and both commits run in turns from
git."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks import ratios, turns
from eval.errors import EvalError


def session(device: str = "CPU", **medians: float) -> dict[str, Any]:
    variants = {
        name: {"seconds": [0.9 * value, value, 5 * value]} for name, value in medians.items()
    }
    failed = {"gone": {"seconds": [], "failed": "OutOfMemoryError"}}
    return {
        "device": device,
        "families": {"step": {"rows": [{"scenario": "s", "variants": variants | failed}]}},
    }


def test_drift_that_hits_both_sides_of_a_turn_is_no_change() -> None:
    drift = [1.0, 1.5, 3.0, 2.0, 1.2, 4.0]
    base = [session(a=d, b=d, c=d, only_base=d) for d in drift]
    head = [session(a=1.2 * d, b=0.5 * d, c=d * (1.1 if d > 1.4 else 0.9)) for d in drift]
    found = {change.variant: change for change in ratios.changes(base, head)}
    assert {name: change.verdict for name, change in found.items()} == {
        "a": "slower",
        "b": "faster",
        "c": "unclear",
    }
    assert found["a"].ratio.value == pytest.approx(1.2)
    lines = ratios.render(list(found.values())).splitlines()
    assert "| slower |" in lines[2]
    assert "0.500 (0.500 to 0.500, 6 rounds)" in lines[3]


def test_one_session_decides_nothing() -> None:
    [change] = ratios.changes([session(a=1.0)], [session(a=9.0)])
    assert (change.ratio.value, change.verdict) == (pytest.approx(9.0), "unclear")


def test_sessions_that_cannot_be_compared(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="different devices say nothing of the code: CPU, GPU"):
        ratios.changes([session()], [session("GPU")])
    with pytest.raises(EvalError, match="1 of base against 2 of head"):
        ratios.changes([session()], [session(), session()])
    with pytest.raises(EvalError, match="no results of"):
        ratios.load(tmp_path)


CONFTEST = """
import json
from pathlib import Path
def pytest_addoption(parser):
    parser.addoption("--results", type=Path)
def pytest_sessionfinish(session):
    folder = session.config.getoption("--results")
    folder.mkdir()
    variant = {"seconds": [float(Path("seconds").read_text())]}
    row = {"scenario": "s", "variants": {"a": variant}}
    content = {"device": "here", "families": {"f": {"rows": [row]}}}
    (folder / "here.json").write_text(json.dumps(content))
"""


def test_both_commits_run_each_in_its_own_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@t"]
        subprocess.run(
            ["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True
        )

    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_nothing.py").write_text("def test_nothing(): pass")
    (tmp_path / "seconds").write_text("2.0")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "base")
    (tmp_path / "seconds").write_text("3.0")
    monkeypatch.setattr(turns, "TREE", tmp_path)
    [change] = turns.against("HEAD", [], sessions=1)
    assert change.ratio.value == pytest.approx(1.5)
    listed = subprocess.run(
        ["git", "worktree", "list"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert len(listed.stdout.splitlines()) == 1
    with pytest.raises(EvalError, match="base 'nowhere'"):
        turns.against("nowhere", [], sessions=1)
    (tmp_path / "test_nothing.py").write_text("def test_nothing(): assert 0")
    with pytest.raises(EvalError, match="session in"):
        turns.against("HEAD", [], sessions=1)
