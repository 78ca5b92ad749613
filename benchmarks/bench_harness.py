"""The harness: its share of a sweep, an unchanged re-run, a further cell, import time, records a
second. On the CPU.
"""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.harness import SECONDS, timed_evaluator, write_suite
from benchmarks.scenario import Bench, Variant
from eval.execute.run import run
from eval.store.store import Record, Store

RECORDS = (100_000, 1_000_000)


def _seconds(suite: Path, out: Path) -> float:
    start = time.perf_counter()
    run(str(suite), out, console=Console(file=io.StringIO()), evaluator=timed_evaluator)
    return time.perf_counter() - start


def test_sweep(bench: Bench, tmp_path: Path) -> None:
    one = write_suite(tmp_path / "one.yaml", t0=[1.0], images=4)
    two = write_suite(tmp_path / "two.yaml", t0=[0.8, 1.0], images=4)
    three = write_suite(tmp_path / "three.yaml", t0=[0.6, 0.8, 1.0], images=4)

    def measure() -> dict[str, Any]:
        _seconds(one, tmp_path / "warm")  # loads the models
        SECONDS.clear()
        sweep = _seconds(two, tmp_path / "sweep")
        working = sum(SECONDS)
        rerun = min(_seconds(two, tmp_path / "sweep") for _ in range(3))
        SECONDS.clear()
        further = _seconds(three, tmp_path / "sweep")
        values = {
            "overhead share": 1 - working / sweep,
            "unchanged re-run s": rerun,
            "further cell: harness s": further - sum(SECONDS) - rerun,
            "further cell over a sweep's cell": (further - rerun) / (sweep / 2),
        }
        return {"values": values}

    bench.once("sweep of 2 cells x 4 images, 10 steps", measure)


def test_help(bench: Bench) -> None:
    def look() -> None:
        environment = {**os.environ, "TERM": "dumb"}
        command = [sys.executable, "-m", "eval", "--help"]
        subprocess.run(command, check=True, capture_output=True, env=environment, timeout=120)

    def bare() -> None:
        subprocess.run([sys.executable, "-c", "pass"], check=True, timeout=120)

    def processor() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = processor()
    look()
    look()
    middle = processor()
    row = bench.compare(
        "python -m eval --help",
        {"help": lambda: Variant(look), "bare Python": lambda: Variant(bare)},
        rounds=9,
        ratios=[("help", "bare Python")],
    )
    row["values"] = {"processor s": (middle - before) / 2}


@pytest.mark.parametrize("count", RECORDS)
def test_store(bench: Bench, count: int, tmp_path: Path) -> None:
    def measure() -> dict[str, Any]:
        batch = 1000
        with Store(tmp_path / "store") as store:
            start = time.perf_counter()
            for number in range(count // batch):
                cell = f"adapter[t0={number % 10}]"
                names = (f"sample{number}-{index}" for index in range(batch))
                store.add_records(
                    Record(cell, name, 0, "motion.flow_dis.v1", 0.5, "", "k" * 64, "f" * 64)
                    for name in names
                )
            written = time.perf_counter() - start
            start = time.perf_counter()
            read = sum(len(store.records(f"adapter[t0={cell}]")) for cell in range(10))
            assert read == count
            return {
                "values": {
                    "written per s": count / written,
                    "read per s": count / (time.perf_counter() - start),
                }
            }

    bench.once(f"store, {count:,} records in batches of 1000", measure)
