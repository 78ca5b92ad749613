"""The wall clock may be wrong and jump by years while a run works: nothing measured or stored
depends on it.
"""

import datetime
import io
import itertools
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from eval.cli import app
from eval.errors import StoreError
from eval.execute.events import EventLog
from eval.execute.options import Options
from eval.execute.run import Outcome, run
from eval.io import progress as progress_module
from eval.io.progress import progress
from eval.store.store import Store

TABLES = ("records.csv", "summary.csv", "comparisons.csv", "samples.csv", "failures.csv")
YEAR = 365 * 24 * 3600.0
Run = Callable[..., Outcome]
Jump = Callable[..., None]


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Jump:
    """Sets the wall clock of this process off by some years, by the next number at each look at
    it."""
    right, now = time.time, datetime.datetime.now

    def to(*years: float) -> None:
        offs: Iterator[float] = itertools.cycle([YEAR * each for each in years])

        class Clock(datetime.datetime):
            @classmethod
            def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
                return now(tz) + datetime.timedelta(seconds=next(offs))

        monkeypatch.setattr(time, "time", lambda: right() + next(offs))
        monkeypatch.setattr(time, "time_ns", lambda: int(1e9 * time.time()))
        for name, module in list(sys.modules.items()):
            found = getattr(module, "datetime", None)
            if (
                name.split(".")[0] == "eval"
                and isinstance(found, type)
                and issubclass(found, datetime.datetime)
            ):
                monkeypatch.setattr(module, "datetime", Clock)

    return to


def test_a_run_whose_clock_jumps_ends_with_the_same_bytes(
    run_toy: Run,
    toy_evaluator: Any,
    write_suite: Any,
    suite_content: dict[str, Any],
    jump: Jump,
    tmp_path: Path,
) -> None:
    suite_content["batch_size"] = 1  # so that the other seed leaves whole batches to make
    undisturbed = run_toy(suite_content, "undisturbed").folder
    log, output = tmp_path / "events.jsonl", io.StringIO()

    def go(content: dict[str, Any]) -> Outcome:
        console, options = Console(file=output, width=200), Options(log=EventLog(log))
        return run(
            str(write_suite(content)),
            tmp_path / "out",
            console=console,
            evaluator=toy_evaluator,
            options=options,
        )

    jump(30)
    folder = go(suite_content | {"seeds": [0]}).folder
    document = json.loads((folder / "run.json").read_text())
    assert (
        int(document["created"][:4]) >= time.gmtime().tm_year + 29
    )  # the jump reaches what the run writes
    jump(-40, 20, -3)
    for path, years in zip(sorted(folder.rglob("*.mkv")), itertools.cycle((-20, 20))):
        os.utime(path, (time.monotonic(), 1.5e9 + YEAR * years))
    second = go(suite_content)
    assert second.made == 36
    assert go(suite_content).made == 0
    for name in TABLES:
        assert (folder / name).read_bytes() == (undisturbed / name).read_bytes()
    with Store(folder, read_only=True) as store:
        taken = [
            seconds for cell in document["cells"] for seconds in store.seconds(cell["id"]).values()
        ]
    assert len(taken) == 72
    assert all(0 <= seconds < 60 for seconds in taken)
    assert all(json.loads(line)["time"] for line in log.read_text().splitlines())
    assert_times_of_seconds(output.getvalue(), least=2)
    told = CliRunner().invoke(app, ["status", str(folder)])
    assert told.exit_code == 0
    assert re.search(r"finished \d{4}-\d\d-\d\dT\S+, 0 failed", told.stdout)


def assert_times_of_seconds(text: str, least: int) -> None:
    """Whatever a progress line says of time is below a minute: the tests take no longer."""
    times = re.findall(r"(\S+ min )?(\S+) s\b", text)
    assert len(times) >= least
    for minutes, seconds in times:
        assert minutes == ""
        assert 0 <= int(seconds) < 60


def test_time_left_does_not_follow_the_clock(jump: Jump, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "PLAIN_INTERVAL", 0.0)
    jump(-1, 5, -30)
    plain, terminal = io.StringIO(), io.StringIO()
    for console in (
        Console(file=plain, width=200),
        Console(file=terminal, width=200, force_terminal=True),
    ):
        with progress(console, "generate", 4) as advance:
            for _ in range(4):
                advance(1)
    assert plain.getvalue().count(" left") == 3
    assert_times_of_seconds(plain.getvalue(), least=7)
    elapsed = re.findall(r"-?\d+ days?|-?\d+:\d\d:\d\d", terminal.getvalue())
    assert elapsed
    assert set(elapsed) <= {"0:00:00", "0:00:01", "0:00:02"}


def test_a_lock_is_waited_for_by_seconds_that_pass_and_names_its_holder(
    jump: Jump, tmp_path: Path
) -> None:
    jump(30)
    with Store(tmp_path):
        jump(-1, -2, -3)
        start = time.monotonic()
        with pytest.raises(
            StoreError,
            match=rf"in use by process {os.getpid()} on \S+ since 20\d\d-\S+; wait for it",
        ):
            Store(tmp_path, wait=0.3)
        assert 0.3 <= time.monotonic() - start < 10
    with Store(tmp_path, wait=0.3):  # released whatever the time
        pass
