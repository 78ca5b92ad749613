"""What a run says of itself: its commit, and how long a clip takes."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eval.execute import provenance, work
from eval.execute.run import Outcome
from eval.store.store import Store

Run = Callable[..., Outcome]


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    return subprocess.run(
        [*command, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the package seems to lie."""
    package = tmp_path / "copy" / "eval"
    (package / "execute").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(provenance, "__file__", str(package / "execute" / "provenance.py"))
    return package.parent


def test_the_commit_is_the_working_copys_and_changes_are_said(copy: Path) -> None:
    git(copy, "init", "-q")
    git(copy, "add", ".")
    git(copy, "commit", "-qm", "first")
    assert provenance._commit() == (git(copy, "rev-parse", "HEAD"), False)
    (copy / "eval" / "__init__.py").write_text("changed = True\n")
    assert provenance._commit() == (git(copy, "rev-parse", "HEAD"), True)


def test_without_a_working_copy_of_its_own_the_commit_is_unknown_and_not_clean(copy: Path) -> None:
    assert provenance._commit() == ("unknown", None)
    git(copy, "init", "-q")  # of something else: the package is installed inside it
    (copy / "other").write_text("x")
    git(copy, "add", "other")
    git(copy, "commit", "-qm", "first")
    assert provenance._commit() == ("unknown", None)


def test_without_git_the_commit_is_unknown_and_not_clean(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(copy, "init", "-q")
    git(copy, "add", ".")
    git(copy, "commit", "-qm", "first")
    monkeypatch.setenv("PATH", "")
    assert provenance._commit() == ("unknown", None)


SLOW_AT_FIRST = """
import time
from toy_method import Toy

class SlowAtFirst(Toy):
    called = False

    def generate(self, samples, seeds):
        if not SlowAtFirst.called:
            time.sleep(1.0)
        SlowAtFirst.called = True
        return super().generate(samples, seeds)
"""


def test_the_first_call_of_a_method_is_not_its_speed(
    run_toy: Run, suite_content: dict[str, Any], toy_folder: Path
) -> None:
    (toy_folder / "slow_at_first.py").write_text(SLOW_AT_FIRST)
    suite_content |= {
        "methods": [{"method": "slow_at_first:SlowAtFirst", "label": "slow"}],
        "reference": None,
        "batch_size": 2,
    }
    start = time.perf_counter()
    folder = run_toy(suite_content).folder
    assert time.perf_counter() - start > 1.0
    with Store(folder, read_only=True) as store:
        everything, warm = store.seconds("slow"), store.seconds("slow", warm=True)
    cold = everything.keys() - warm.keys()
    assert len(cold) == 2  # the first batch
    assert min(everything[place] for place in cold) >= 0.5
    assert max(warm.values()) < 0.5
    told = json.loads((folder / "run.json").read_text())["seconds_per_clip"]["slow"]
    assert told < 0.5
    assert any(kind.__name__ == "SlowAtFirst" for kind in work._CALLED)
