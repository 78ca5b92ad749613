"""Random faults from a seed, for a given time: in the end every record and clip is that of a run
that nothing ever happened to, or the loss was named.

SOAK_SECONDS (5; `nox -s torture`: 300) and SOAK_SEED say how long and which.
"""

import errno
import importlib
import json
import multiprocessing
import os
import random
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import yaml

from eval.execute.run import Outcome
from eval.store.salvage import salvage
from tests.eval.execute.test_torture import TABLES, results

SECONDS = float(os.environ.get("SOAK_SECONDS", "5"))
SEED = int(os.environ.get("SOAK_SEED", "0"))
Run = Callable[..., Outcome]

RUNNER = '''
import errno, io, os, pathlib, random, sys, time
from rich.console import Console
from eval.errors import EvalError
from eval.execute.pool import Pool
from eval.execute.options import Options
from eval.execute.run import run
from toy_method import Toy, ToyEvaluator

MISBEHAVIOUR = ""


class Unsteady(Toy):
    """Misbehaves as it is told to, but never in another run."""

    def generate(self, samples, seeds):
        clips = super().generate(samples, seeds)
        if MISBEHAVIOUR and "s3" in [sample.id for sample in samples]:
            exec(MISBEHAVIOUR)
        return clips


def carry_out(suite, folder, fault, after, do, pool):
    """One process: after so many files the disk says no; the method does what it is told to."""
    global MISBEHAVIOUR
    MISBEHAVIOUR = do
    left = after
    replace = os.replace

    def faulty(*arguments):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(fault, os.strerror(fault))
        return replace(*arguments)

    if fault:
        os.replace = faulty
    options = Options(pool=Pool(1, kind="processes") if pool else None)
    console = Console(file=io.StringIO())
    try:
        outcome = run(
            suite,
            pathlib.Path(folder),
            console=console,
            evaluator=ToyEvaluator,
            options=options,
        )
    except EvalError as error:
        pathlib.Path(folder + ".said").write_text(str(error))
        sys.exit(2)
    sys.exit(3 if outcome.failures else 0)
'''
MISBEHAVIOUR = [
    "raise ValueError('bad luck')",
    "sys.exit(0)",
    "os._exit(0)",
    "os.chdir('/')",
    "os.environ.clear()",
    "raise KeyboardInterrupt('no')",
    "random.seed(1)",
]


class Soak:
    """One run folder to which things happen."""

    def __init__(self, folder: Path, start: Callable[..., Any], suite: Path, draw: random.Random):
        self.folder = folder
        self.faults: Counter[str] = Counter()
        self._start = start
        self._suite = suite
        self._whole = suite.read_text()
        self._draw = draw

    def files(self, pattern: str) -> list[Path]:
        return sorted(path for path in self.folder.rglob(pattern) if path.is_file())

    def process(self, fault: int = 0, do: str = "", pool: bool = False, kill: bool = False) -> int:
        after = self._draw.randrange(60)
        process = self._start(self.folder, fault, after, do, pool)
        if kill:
            process.join(self._draw.uniform(0, 1.5))
            process.kill()
        process.join()
        code: int = process.exitcode
        said = Path(f"{self.folder}.said")
        text = said.read_text() if code == 2 and said.exists() else ""
        if "salvage" in text or "this version knows" in text:
            self.faults["damage named"] += 1
            salvage(self.folder)
        assert code in (0, 2, 3, -9), text
        return code

    def happen(self) -> None:
        kinds = [
            *(self.kill, self.kill, self.full, self.broken, self.closed, self.misbehave),
            *(self.cut, self.flip_file, self.swap, self.lose, self.flip_feature, self.edit),
            *(self.flip_database, self.power_cut, self.in_worker),
        ]
        kind = self._draw.choice(kinds)
        self.faults[kind.__name__] += 1
        kind()

    def kill(self) -> None:
        self.process(kill=True)

    def full(self) -> None:
        self.process(errno.ENOSPC)

    def broken(self) -> None:
        self.process(errno.EIO)

    def closed(self) -> None:
        self.process(errno.EROFS)

    def misbehave(self) -> None:
        self.process(do=self._draw.choice(MISBEHAVIOUR))

    def in_worker(self) -> None:
        self.process(pool=True, kill=self._draw.random() < 0.5)

    def cut(self) -> None:
        for path in self._some("*.mkv"):
            os.truncate(path, self._draw.randrange(path.stat().st_size or 1))

    def flip_file(self) -> None:
        for path in self._some("*.mkv"):
            self._flip(path)

    def swap(self) -> None:
        some = self._some("*.mkv", 2)
        if len(some) == 2:
            first, second = (path.read_bytes() for path in some)
            some[0].write_bytes(second)
            some[1].write_bytes(first)

    def lose(self) -> None:
        for path in self._some("*"):
            if "store" not in path.name:
                path.unlink()

    def flip_feature(self) -> None:
        for path in self._some("*.npy"):
            self._flip(path)

    def edit(self) -> None:
        """Another metric, label, seed or prompt for one process; then the suite as it was."""
        content = yaml.safe_load(self._whole)
        change = self._draw.randrange(4)
        if change == 0:
            content["metrics"] = content["metrics"][1:]
        elif change == 1:
            content["methods"][1]["label"] = "other"
        elif change == 2:
            content["seeds"] = [*content["seeds"], 7]
        else:
            content["methods"] = content["methods"][:1]
        self._suite.write_text(yaml.safe_dump(content, sort_keys=False))
        try:
            self.process(kill=self._draw.random() < 0.5)
        finally:
            self._suite.write_text(self._whole)

    def flip_database(self) -> None:
        path = self.folder / "store.sqlite"
        if path.exists():
            with closing(sqlite3.connect(path)) as database, suppress(sqlite3.Error):
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._flip(path)

    def power_cut(self) -> None:
        """What was not synced is gone: the end of SQLite's journal, and features."""
        self.process(kill=True)
        journal = self.folder / "store.sqlite-wal"
        if journal.exists():
            os.truncate(journal, self._draw.randrange(journal.stat().st_size + 1))
        for path in self._some("*.npy", 3):
            os.truncate(path, 0)

    def _some(self, pattern: str, count: int = 1) -> list[Path]:
        found = [path for path in self.files(pattern) if "damaged" not in path.name]
        return self._draw.sample(found, min(count, len(found)))

    def _flip(self, path: Path) -> None:
        content = bytearray(path.read_bytes())
        if content:
            content[self._draw.randrange(len(content))] ^= 1 << self._draw.randrange(8)
            path.write_bytes(bytes(content))


def test_random_faults_change_no_record_and_no_clip(
    run_toy: Run, write_suite: Any, suite_content: dict[str, Any], toy_folder: Path, tmp_path: Path
) -> None:
    (toy_folder / "toy_soak.py").write_text(RUNNER)
    sys.modules.pop("toy_soak", None)
    methods = [{"method": "toy_soak:Unsteady", "label": "toy"}, {"method": "still-image"}]
    suite_content |= {"methods": methods, "reference": "toy"}
    target = importlib.import_module("toy_soak").carry_out
    wanted = results(run_toy(suite_content, "undisturbed").folder)
    suite = write_suite(suite_content)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["av", "eval.execute.run", "eval.samples.manifest", "eval.summary.statistics"]
    )

    def start(folder: Path, *what: Any) -> Any:
        process = context.Process(target=target, args=(str(suite), str(folder), *what))
        process.start()
        return process

    draw, faults, rounds = random.Random(SEED), Counter[str](), 0
    end = time.monotonic() + SECONDS
    while time.monotonic() < end or rounds == 0:
        soak = Soak(tmp_path / f"round-{rounds}", start, suite, draw)
        rounds += 1
        for _ in range(draw.randrange(2, 9)):
            soak.happen()
        for _ in range(6):
            if soak.process() == 0:
                break
        else:
            raise AssertionError(f"seed {SEED}, round {rounds}: it does not end")
        found = results(soak.folder)
        for name in wanted:
            if name in ("clips", "records", "meta"):
                assert set(wanted[name]) <= set(found[name]), f"seed {SEED}, round {rounds}: {name}"  # type: ignore[arg-type]
            elif name in TABLES or name.startswith(("clips/", "samples/")):
                assert found[name] == wanted[name], f"seed {SEED}, round {rounds}: {name}"
        faults += soak.faults
    named = faults.pop("damage named", 0)
    print(
        f"seed {SEED}: {sum(faults.values())} faults in {rounds} runs, {named} damages named, "
        f"0 differences; {json.dumps(dict(sorted(faults.items())))}"
    )
