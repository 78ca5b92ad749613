"""A suite that was edited, another machine's settings, or a leak between two calls: the tables are
those of a fresh run.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eval.errors import EvalError
from eval.execute import free_memory
from eval.execute.free_memory import MemoryLowError, check_memory
from eval.execute.isolation import Failed, isolate
from eval.execute.run import Outcome
from tests.eval.execute.test_torture import _DRIVER, TABLES

Run = Callable[..., Outcome]
Content = dict[str, Any]


def another_image(content: Content, folder: Path) -> None:
    pixels = np.random.default_rng(9).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "3.png")


def another_prompt(content: Content, folder: Path) -> None:
    path = folder / "samples.csv"
    path.write_text(path.read_text().replace("picture 3", "another picture"))


def fewer_samples(content: Content, folder: Path) -> None:
    path = folder / "samples.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")


EDITS: dict[str, Callable[[Content, Path], Any]] = {
    "metric removed": lambda content, folder: content["metrics"].pop(0),
    "metric added": lambda content, folder: content["metrics"].append("motion_top5.flow_dis.v1"),
    "set metrics removed": lambda content, folder: content.update(metrics=content["metrics"][:2]),
    "seed added": lambda content, folder: content.update(seeds=[0, 1, 5]),
    "seed changed": lambda content, folder: content.update(seeds=[4]),
    "label": lambda content, folder: content["methods"][0].update(label="other"),
    "setting": lambda content, folder: content["methods"][0].update(settings={"p": 0.25}),
    "order": lambda content, folder: content["methods"].reverse(),
    "batch size": lambda content, folder: content.update(batch_size=3),
    "image of the same name": another_image,
    "prompt": another_prompt,
    "fewer samples": fewer_samples,
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_suite_gives_what_a_fresh_run_of_it_gives(
    edit: str, run_toy: Run, suite_content: Content, toy_folder: Path
) -> None:
    suite_content |= {
        "methods": [{"method": "toy_method:Toy"}, {"method": "still-image"}],
        "reference": None,
    }
    run_toy(suite_content, "edited")
    before = {
        path: path.read_bytes() for path in (toy_folder / "samples.csv", toy_folder / "3.png")
    }
    first = {name: (toy_folder.parent / "edited" / name).read_bytes() for name in TABLES}
    whole = suite_content | {
        "methods": [dict(method) for method in suite_content["methods"]],
        "metrics": list(suite_content["metrics"]),
    }
    EDITS[edit](suite_content, toy_folder)
    edited, fresh = run_toy(suite_content, "edited").folder, run_toy(suite_content, "fresh").folder
    for name in TABLES:
        assert (edited / name).read_bytes() == (fresh / name).read_bytes(), name
    for path, content in before.items():
        path.write_bytes(content)
    back = run_toy(whole, "edited").folder
    for name in TABLES:
        assert (back / name).read_bytes() == first[name], name


@pytest.mark.parametrize(
    "settings",
    [
        {"TZ": "Pacific/Auckland", "PYTHONHASHSEED": "7"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONHASHSEED": "99", "OMP_NUM_THREADS": "1"},
    ],
)
def test_time_zone_hash_seed_locale_and_umask_change_no_byte(
    settings: dict[str, str],
    run_toy: Run,
    write_suite: Any,
    suite_content: Content,
    tmp_path: Path,
) -> None:
    suite_content |= {"methods": suite_content["methods"][-2:], "reference": None}
    here = run_toy(suite_content, "here").folder
    root = str(Path(__file__).parents[3])
    path = os.pathsep.join([str(tmp_path / "toy"), root])
    command = [sys.executable, "-c", _DRIVER, str(write_suite(suite_content)), str(tmp_path / "x")]
    environment = os.environ | {"PYTHONPATH": path} | settings
    subprocess.run(
        command, env=environment, check=True, umask=0o077, stderr=subprocess.DEVNULL, timeout=600
    )
    for name in TABLES:
        assert (tmp_path / "x" / name).read_bytes() == (here / name).read_bytes(), name
    assert (tmp_path / "x" / "records.csv").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("free", "mine", "stops"), [(2, 60, True), (2, 10, False), (9, 60, False)])
def test_a_leak_stops_the_run_before_it_stops_the_machine(
    free: int, mine: int, stops: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(free_memory, "_machine", lambda: [(free * 2**30, 100 * 2**30)])
    monkeypatch.setattr(free_memory, "_group", list)
    monkeypatch.setattr(free_memory, "_mine", lambda: mine * 2**30)
    if stops:
        with pytest.raises(MemoryLowError, match=r"something leaks memory\. What is stored stays"):
            check_memory()
    else:
        check_memory()


def test_a_call_that_takes_all_memory_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it works; and the timer and its handler are put back."""
    taken: list[int] = []
    monkeypatch.setattr(free_memory, "GLANCE", 0.01)
    monkeypatch.setattr(free_memory, "_machine", lambda: [((9 - len(taken)) * 2**30, 100 * 2**30)])
    monkeypatch.setattr(free_memory, "_group", list)
    monkeypatch.setattr(free_memory, "_mine", lambda: 60 * 2**30)
    before = signal.getsignal(signal.SIGPROF)

    def work(items: Sequence[str]) -> list[int]:
        end = time.monotonic() + (60 if "leaks" in items else 0.1)
        while time.monotonic() < end:
            if "leaks" in items:
                taken.append(1)
        taken.clear()
        return [1 for _ in items]

    try:
        [failed] = isolate(["leaks"], work)
    finally:
        taken.clear()
    assert isinstance(failed, Failed)
    assert failed.out_of_memory
    assert failed.reason.endswith("this process holds 61440 MiB: something leaks memory")
    assert isolate(["fine"], work) == [1]
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGPROF) is before


def test_memory_is_known_here() -> None:
    if not Path("/proc/meminfo").exists():
        pytest.skip("no /proc")
    [(free, whole)] = free_memory._machine()
    assert 0 < free < whole
    assert 2**20 < free_memory._mine() < whole


def test_a_low_memory_keeps_what_is_stored(
    run_toy: Run, suite_content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = 3

    def check() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise MemoryLowError("low")

    with monkeypatch.context() as patch:
        patch.setattr("eval.execute.in_process.check_memory", check)
        with pytest.raises(EvalError, match="low"):
            run_toy(suite_content)
    outcome = run_toy(suite_content)
    assert 0 < outcome.made < 72
