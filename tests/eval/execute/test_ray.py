"""On Ray, also after the loss of workers, a run leaves the files and records of a run in one
process.
"""

import importlib
import io
import json
import os
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from eval.errors import EvalError
from eval.execute import driver as driver_module
from eval.execute.events import EventLog
from eval.execute.options import Options
from eval.execute.pool import Pool
from eval.execute.run import Outcome, run
from tests.eval.execute.test_torture import results

pytest.importorskip("ray", reason="needs the extra: pip install 'i2v-adapter[ray]'")

DEADLY = """
import os, signal, time
from pathlib import Path
from toy_method import Toy, ToySettings

class DeadlySettings(ToySettings):
    mark: str = ""

class Deadly(Toy):
    "Kills its process where s3 is in the batch; with a mark, only while that file exists."

    Settings = DeadlySettings

    def generate(self, samples, seeds):
        mark = Path(self.settings.mark)
        if "s3" in [sample.id for sample in samples] and (not self.settings.mark or mark.exists()):
            mark.unlink(missing_ok=True) if self.settings.mark else None
            os.kill(os.getpid(), signal.SIGKILL)
        return super().generate(samples, seeds)

class Stubborn(Toy):
    "Swallows every exception where s3 is in the batch."

    def generate(self, samples, seeds):
        while "s3" in [sample.id for sample in samples]:
            try:
                time.sleep(60)
            except BaseException:
                pass
        return super().generate(samples, seeds)
"""
PATIENT = """
import time
from pathlib import Path
from toy_method import Toy, ToyEvaluator

SEEN = Path(__file__).with_name("seen")

class Patient(Toy):
    "Makes the batch of s0 only once another has been measured."

    def generate(self, samples, seeds):
        end = time.monotonic() + 60
        while samples[0].id == "s0" and not SEEN.exists():
            assert time.monotonic() < end, "nothing was measured meanwhile"
            time.sleep(0.05)
        return super().generate(samples, seeds)

class Telling(ToyEvaluator):
    def measure(self, samples, clips):
        SEEN.touch()
        return super().measure(samples, clips)
"""
PLACED = """
import os
from pathlib import Path
from toy_method import Toy, ToyEvaluator

SEEN = Path(__file__).with_name("placed.txt")

class Placed(Toy):
    "Writes down where it was told to run, in which process."

    takes_device = True
    device = "nowhere"

    def to(self, device, dtype):
        self.device, self.dtype = device, dtype

    def generate(self, samples, seeds):
        with SEEN.open("a") as file:
            file.write(f"{os.getpid()} {self.device} {self.dtype}\\n")
        return super().generate(samples, seeds)

class Evaluator(ToyEvaluator):
    device = "mps"
"""
Go = Callable[..., Outcome]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two workers' room; with TORTURE_KILLS, on two nodes of one machine."""
    import ray
    from ray.cluster_utils import Cluster

    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    small = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    try:
        if "TORTURE_KILLS" in os.environ:
            cluster = Cluster(
                initialize_head=True, head_node_args=small | {"include_dashboard": False}
            )
            cluster.add_node(**small)
            ray.init(address=cluster.address, log_to_driver=False, logging_level=40)
        else:
            ray.init(
                log_to_driver=False,
                logging_level=40,
                include_dashboard=False,
                **small | {"num_cpus": 2},
            )
    except Exception as error:
        if "timed out during startup" not in str(error):
            raise
        pytest.skip("Ray does not start within its 30 s: this machine has too much else to do")
    yield ray
    ray.shutdown()
    if "TORTURE_KILLS" in os.environ:
        cluster.shutdown()


@pytest.fixture
def go(cluster: Any, write_suite: Any, toy_evaluator: Any, toy_folder: Path, tmp_path: Path) -> Go:
    (toy_folder / "deadly.py").write_text(textwrap.dedent(DEADLY))

    def call(
        content: dict[str, Any], folder: str, evaluator: Any = toy_evaluator, **options: Any
    ) -> Outcome:
        console = Console(file=io.StringIO())
        path = str(write_suite(content))
        return run(
            path,
            tmp_path / folder,
            console=console,
            evaluator=evaluator,
            options=Options(**options),
        )

    return call


def test_ray_leaves_what_one_process_leaves(
    go: Go, suite_content: dict[str, Any], tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    mark.touch()
    suite_content["reference"] = None
    suite_content["methods"] = [
        *suite_content["methods"][-1:],
        {"method": "toy_method:Toy", "label": "bad", "settings": {"fail_on": "s3"}},
        {"method": "deadly:Deadly", "label": "deadly", "settings": {"mark": str(mark)}},
        {
            "method": "toy_method:Sweeper",
            "settings": {"fail_on": "s5 at 0.5"},
            "sweep": {"p": [0.0, 0.5, 1.0]},
        },
    ]
    log = tmp_path / "log.jsonl"
    on_ray = go(suite_content, "ray", pool=Pool(), timeout=60, log=EventLog(log))
    assert not mark.exists()
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [event["cell"] for event in events if event["event"] == "worker-lost"] == ["deadly"]
    here = go(suite_content, "here")
    assert (
        (on_ray.made, on_ray.measured, on_ray.decoded)
        == (here.made, here.measured, here.decoded)
        == (68, 68, 68)
    )
    assert on_ray.failures == here.failures
    assert results(on_ray.folder) == results(here.folder)


def test_workers_run_on_the_suites_device_and_say_so(
    go: Go, suite_content: dict[str, Any], toy_folder: Path
) -> None:
    (toy_folder / "placed.py").write_text(textwrap.dedent(PLACED))
    suite_content |= {
        "methods": [{"method": "placed:Placed", "label": "p"}],
        "reference": None,
        "seeds": [0],
        "device": "cpu",
        "dtype": "bfloat16",
    }
    evaluator = importlib.import_module("placed").Evaluator
    outcome = go(suite_content, "ray", pool=Pool(workers=2), evaluator=evaluator)
    assert (outcome.made, outcome.failures) == (6, [])
    lines = (toy_folder / "placed.txt").read_text().splitlines()
    assert {line.split(" ", 1)[1] for line in lines} == {"cpu bfloat16"}
    assert str(os.getpid()) not in {line.split()[0] for line in lines}
    devices = json.loads((outcome.folder / "run.json").read_text())["devices"]
    assert devices == {"make": {"cpu": 6}, "measure": {"mps": 6}}


def test_a_batch_is_measured_while_another_is_made(
    go: Go, suite_content: dict[str, Any], tmp_path: Path, toy_folder: Path
) -> None:
    (toy_folder / "patient.py").write_text(textwrap.dedent(PATIENT))
    log = tmp_path / "log.jsonl"
    suite_content |= {
        "methods": [{"method": "patient:Patient", "label": "p"}],
        "reference": None,
        "seeds": [0],
    }
    evaluator = importlib.import_module("patient").Telling
    outcome = go(suite_content, "ray", pool=Pool(workers=2), log=EventLog(log), evaluator=evaluator)
    assert (outcome.made, outcome.failures) == (6, [])
    order = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert order.index("measured") < len(order) - 1 - order[::-1].index("made")


def test_a_clip_that_takes_every_worker_down_fails_alone(
    go: Go, suite_content: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_module, "ATTEMPTS", 1)
    suite_content |= {
        "methods": [{"method": "deadly:Deadly", "label": "d"}],
        "reference": None,
        "seeds": [0],
    }
    outcome = go(suite_content, "ray", pool=Pool(workers=1))
    assert [failure[:4] for failure in outcome.failures] == [("d", "s3", 0, "make")]
    assert outcome.failures[0].reason.startswith("its worker died 1 times (")
    assert (outcome.made, outcome.measured) == (5, 5)


def test_a_timeout_that_a_method_swallows_ends_its_worker(
    go: Go, suite_content: dict[str, Any]
) -> None:
    suite_content |= {
        "methods": [{"method": "deadly:Stubborn", "label": "d"}],
        "reference": None,
        "seeds": [0],
        "batch_size": 1,
    }
    outcome = go(suite_content, "ray", pool=Pool(workers=1), timeout=2)
    reason = "took longer than 2 s, and its worker process was ended"
    assert [failure[:5] for failure in outcome.failures] == [("d", "s3", 0, "make", reason)]
    assert (outcome.made, outcome.measured) == (5, 5)


def test_workers_that_would_not_do_the_same_are_refused(
    go: Go, suite_content: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        EvalError,
        match=r"does not see memory://elsewhere; put clips and features where all workers",
    ):
        go(suite_content, "blind", pool=Pool(workers=1), storage="memory://elsewhere")
    monkeypatch.setenv("TOY_WEIGHTS", "better")
    with pytest.raises(
        EvalError, match=r"other weights or library versions for toy\[t0=0.5,p=0.0\], .*; install"
    ):
        go(suite_content, "other", pool=Pool(workers=1))
    with pytest.raises(
        EvalError, match="a worker of 64 cores and 0 GPUs does not fit on a cluster of 2 and 0"
    ):
        go(suite_content, "large", pool=Pool(cpus=64))
