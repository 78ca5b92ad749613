"""`python -m benchmarks.scale`: 10^6 clips on 1 to 256 workers, simulated from costs measured here;
docs/scale.md.

A discrete-event simulation. Workers make and measure batches; the driver, a single server, stores
what they hand back and gives them the next batch. What the driver does for a batch is measured on
this machine, in processor seconds; how long a worker takes for a clip is an assumption of each
scenario.
"""

from __future__ import annotations

import heapq
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from benchmarks.scale_page import render
from eval.clips.lossless import Clip, write_clip
from eval.execute.remaining import stale
from eval.io.documents import write_text
from eval.plan.batches import Batch, Item
from eval.plan.cells import Cell
from eval.plan.planning import make_plan
from eval.samples import Sample
from eval.store.store import Record, Store, StoredClip
from eval.summary.tables import write_tables

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
CLIPS = 1_000_000
WORKERS = (1, 4, 16, 64, 128, 256)
BATCH = 8
METRICS = 7


class Costs(NamedTuple):
    """Processor seconds of the driver: for a batch of :data:`BATCH` clips, and for the file of one
    clip.
    """

    make: float
    measure: float
    singly: float
    file: float
    call: float


@dataclass(frozen=True)
class Scenario:
    """Seconds of a worker for a clip; times vary by a quarter.

    Attributes:
        name: for the reader.
        make, measure: for one clip.
        frames, size: of a clip.
    """

    name: str
    make: float
    measure: float
    frames: int
    size: int


SCENARIOS = (
    Scenario("512 px, 16 frames, 8 s a clip on a GPU", 7.5, 0.5, 16, 512),
    Scenario("glyph world, 0.5 s a clip on a core", 0.45, 0.05, 8, 64),
)


class Row(NamedTuple):
    """What a simulation gives: hours, clips a second, and how busy (0 to 1) workers and driver
    are."""

    workers: int
    hours: float
    rate: float
    busy: float
    driver: float


def simulate(
    workers: int, clips: int, scenario: Scenario, serve_make: float, serve_measure: float
) -> Row:
    """Carries `clips` out on `workers`.

    Args:
        workers: each has one batch in hand.
        clips: in batches of :data:`BATCH`, each made, then measured as soon as a worker is free.
        scenario: what a worker takes.
        serve_make: seconds of the driver to store a made batch and give the worker its next.
        serve_measure: the same for a measured batch.
    """
    draw = random.Random(workers)
    to_make, to_measure = clips // BATCH, 0
    free_at = worked = served = 0.0  # of the driver
    answers: list[tuple[float, int, bool]] = []

    def give(number: int, now: float) -> None:
        nonlocal to_make, to_measure, worked
        measure = to_measure > 0
        if not measure and not to_make:
            return
        to_measure, to_make = to_measure - measure, to_make - (not measure)
        took = BATCH * (scenario.measure if measure else scenario.make) * draw.uniform(0.75, 1.25)
        worked += took
        heapq.heappush(answers, (now + took, number, measure))

    for number in range(workers):
        give(number, 0.0)
    while answers:
        ready, number, measured = heapq.heappop(answers)
        cost = serve_measure if measured else serve_make
        free_at = max(free_at, ready) + cost
        served += cost
        to_measure += not measured
        give(
            number, free_at
        )  # after a batch is made there is one to measure: a worker never waits for another's
    return Row(
        workers, free_at / 3600, clips / free_at, worked / (workers * free_at), served / free_at
    )


def _processor(work: Callable[[], Any], rounds: int) -> float:
    start = time.process_time()
    for _ in range(rounds):
        work()
    return (time.process_time() - start) / rounds


def measure_costs(scenario: Scenario, batches: int = 400) -> Costs:
    """On a store that already holds `batches` batches."""
    samples = [Sample(f"s{number}", np.zeros((8, 8, 3), np.uint8), "x") for number in range(BATCH)]
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder)) as store:
        numbers = iter(range(10**9))

        def make(size: int = BATCH) -> None:
            cell = _cell(next(numbers))
            batch = Batch(tuple(Item(cell, sample, 0) for sample in samples[:size]))
            rows = [StoredClip(*item.place, item.key, 1.0) for item in batch.items]
            store.forget_clips(batch.places, [row.key for row in rows])
            store.add_clip_rows(rows)

        def measure(size: int = BATCH) -> None:
            cell = f"c{next(numbers)}"
            where = [(cell, sample.id, 0) for sample in samples[:size]]
            store.forget_failures(where)
            store.add_records(
                Record(*place, f"metric{number}.encoder.v1", 0.5, "", "k" * 64, "f" * 64)
                for place in where
                for number in range(METRICS)
            )
            store.add_failures([])

        store.use_features("videomae", "f" * 64)
        _processor(make, batches)
        _processor(measure, batches)
        batched = _processor(make, batches), _processor(measure, batches)
        singly = BATCH * (
            _processor(lambda: make(1), batches) + _processor(lambda: measure(1), batches)
        )
        noise = np.random.default_rng(0).integers(
            0, 256, (scenario.frames, scenario.size, scenario.size, 3)
        )
        smooth = np.sort(noise, axis=2).astype(np.uint8)
        clip = Clip(smooth, 8.0)
        file = _processor(
            lambda: write_clip(Path(folder) / "clip.mkv", clip), 3 if scenario.size > 100 else 50
        )
    return Costs(*batched, singly, file, 0.0)


def _cell(number: int) -> Cell:
    method: Any = type("Method", (), {"fingerprint": lambda self: "f" * 64})()
    return Cell(f"c{number}", "c", "m", {}, method)


def measure_call(pending: int = 256) -> float:
    """Processor seconds of the driver for one call of an actor, while `pending` others have no
    answer yet.
    """
    import ray

    class Echo:
        def echo(self, value: object) -> object:
            return value

        def sleep(self) -> None:
            time.sleep(60)

    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=80 * 2**20
    )
    try:
        actor, sleeper = (ray.remote(Echo).options(num_cpus=0.1).remote() for _ in range(2))
        waiting = [sleeper.sleep.remote() for _ in range(pending - 1)]
        records = [
            Record("cell", f"s{i}", 0, "m", 0.5, "", "k" * 64, "f" * 64)
            for i in range(BATCH * METRICS)
        ]

        def call() -> None:
            answer = actor.echo.remote(records)
            (done, *_), _ = ray.wait([*waiting, answer], num_returns=1)
            ray.get(done)

        call()
        return _processor(call, 200)
    finally:
        ray.shutdown()


def measure_planning() -> tuple[float, float]:
    """Processor seconds for a clip of a run that is complete: to find nothing to do, and to write
    the tables.
    """
    metrics = [
        f"{family}.dino_glyph.v1" for family in ("identity", "identity_min", "identity_last")
    ]
    suite = {
        "name": "planning",
        "samples": {"source": "glyph-world", "seen": 100, "unseen": 100},
        "methods": [{"method": "still-image", "sweep": {"frames": list(range(2, 22))}}],
        "metrics": metrics,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "suite.yaml").write_text(yaml.safe_dump(suite))
        plan = make_plan(folder / "suite.yaml")
        with Store(folder / "run") as store:
            for batch in plan.batches():
                keys = [item.key for item in batch.items]
                places = list(zip(batch.places, keys, strict=True))
                store.add_clip_rows([StoredClip(*place, key, 1.0) for place, key in places])
                store.add_records(
                    Record(*p, metric, 0.5, "", key, "f" * 64)
                    for p, key in places
                    for metric in metrics
                )
                for key in keys:
                    path = store.files.clip(key)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.touch()
            clips = sum(len(plan.pairs(cell)) for cell in plan.cells)
            fingerprints = {"dino_glyph": "f" * 64}
            assert stale(store, plan, fingerprints) == ([], [])
            found = _processor(lambda: stale(store, plan, fingerprints), 1)
            tables = _processor(lambda: write_tables(store, plan, fingerprints), 1)
            return found / clips, tables / clips


def rows(scenario: Scenario, costs: Costs) -> dict[str, list[Row]]:
    """Of three ways to divide the work: what the driver does for a made and for a measured
    batch."""
    ways = {
        "driver writes files, a transaction a clip": (
            costs.singly + BATCH * costs.file + costs.call,
            costs.call,
        ),
        "workers write files, a transaction a clip": (costs.singly + costs.call, costs.call),
        "workers write files, a transaction a batch (as it is)": (
            costs.make + costs.call,
            costs.measure + costs.call,
        ),
    }
    return {
        name: [simulate(workers, CLIPS, scenario, *served) for workers in WORKERS]
        for name, served in ways.items()
    }


def main() -> None:
    call = measure_call()
    found: list[tuple[Scenario, Costs, dict[str, list[Row]]]] = []
    for scenario in SCENARIOS:
        costs = measure_costs(scenario)._replace(call=call)
        found.append((scenario, costs, rows(scenario, costs)))
    page = render(found, measure_planning(), clips=CLIPS, batch=BATCH, metrics=METRICS)
    write_text(PAGE, page)


if __name__ == "__main__":
    main()
