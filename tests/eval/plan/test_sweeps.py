"""Cells of a sweep that share calls: which clips come together, and that nothing else can be told
from the results.
"""

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eval.execute.run import Outcome
from eval.methods import load_method, varying
from eval.plan.batches import Batch, sweeps
from eval.plan.planning import make_plan

Run = Callable[..., Outcome]


def swept(content: dict[str, Any], method: str, *p: float, **settings: Any) -> dict[str, Any]:
    entry = {
        "method": method,
        "label": "m",
        "settings": settings,
        "sweep": {"t0": [0.5, 1.0], "p": list(p)},
    }
    return content | {"methods": [entry], "reference": None}


def names(batch: Batch) -> list[tuple[float, float, str, int]]:
    return [
        (cell.settings["t0"], cell.settings["p"], sample.id, seed)
        for cell, sample, seed in batch.items
    ]


def values(folder: Path) -> list[tuple[str, ...]]:
    """Every record and summary, but for clip keys and the method's name."""
    with (folder / "records.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (folder / "summary.csv").open(newline="") as file:
        summary = [
            tuple(value for name, value in row.items() if name != "method")
            for row in csv.DictReader(file)
        ]
    return [*((r["cell"], r["sample"], r["seed"], r["metric"], r["value"]) for r in rows), *summary]


def test_what_is_left_of_a_sweep_fills_batches(
    write_suite: Any, suite_content: dict[str, Any]
) -> None:
    apart = list(
        make_plan(write_suite(swept(suite_content, "toy_method:Toy", 0.0, 0.5, 1.0))).batches()
    )
    batches = list(
        make_plan(write_suite(swept(suite_content, "toy_method:Sweeper", 0.0, 0.5, 1.0))).batches()
    )
    assert sorted(map(len, map(names, apart))) == [2] * 12 + [4] * 12
    assert sorted(map(len, map(names, batches))) == [2] * 4 + [4] * 16
    clips = Counter(name for batch in batches for name in names(batch))
    assert clips == Counter(name for batch in apart for name in names(batch))
    assert max(clips.values()) == 1
    for batch in batches:
        assert len({item.sample.image.shape for item in batch.items}) == 1
        assert len({item.cell.settings["t0"] for item in batch.items}) == 1
    full = [names(batch) for batch in batches if len(batch.cells) == 1 and len(batch.items) == 4]
    assert full == [names(batch) for batch in apart if len(batch.items) == 4]
    shared = [names(batch) for batch in batches if len(batch.cells) > 1]
    assert shared[0] == [(0.5, p, "s5", seed) for p in (0.0, 0.5) for seed in (0, 1)]


def test_only_cells_of_one_entry_that_differ_in_nothing_else_share(
    write_suite: Any, suite_content: Any
) -> None:
    content = swept(suite_content, "toy_method:Sweeper", 0.0, 0.5)
    content["methods"] += [content["methods"][0] | {"label": "again"}, {"method": "still-image"}]
    found = sweeps(make_plan(write_suite(content)).cells)
    assert [[cell.id for cell in sweep] for sweep in found] == [
        *(
            [f"{label}[t0={t0},p=0.0]", f"{label}[t0={t0},p=0.5]"]
            for label in ("m", "again")
            for t0 in (0.5, 1.0)
        ),
        ["still-image"],
    ]


def test_values_are_those_of_calls_for_one_cell(
    run_toy: Run, suite_content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "calls.txt"
    monkeypatch.setenv("TOY_LOG", str(log))
    together = run_toy(swept(suite_content, "toy_method:Sweeper", 0.0, 0.5, 1.0), "together")
    assert len(log.read_text().splitlines()) == 20
    apart = run_toy(swept(suite_content, "toy_method:Toy", 0.0, 0.5, 1.0), "apart")
    assert (together.made, together.measured, together.decoded) == (72, 72, 72)
    assert values(together.folder) == values(apart.folder)
    assert run_toy(swept(suite_content, "toy_method:Sweeper", 0.0, 0.5, 1.0), "together").made == 0


def test_one_clip_of_a_shared_call_fails_alone(run_toy: Run, suite_content: dict[str, Any]) -> None:
    content = swept(suite_content, "toy_method:Sweeper", 0.0, 0.5, 1.0, fail_on="s5 at 0.5")
    outcome = run_toy(content)
    assert [failure[:5] for failure in outcome.failures] == [
        (f"m[t0={t0},p=0.5]", "s5", seed, "make", "ZeroDivisionError: no such luck")
        for t0 in (0.5, 1.0)
        for seed in (0, 1)
    ]
    assert (outcome.made, outcome.measured) == (68, 68)
    again = run_toy(content)  # the failed ones are tried again with the batch that they belong to
    assert (len(again.failures), again.made) == (4, 2 * 2)


def test_a_further_cell_makes_little_else_again(
    run_toy: Run, suite_content: dict[str, Any]
) -> None:
    run_toy(swept(suite_content, "toy_method:Sweeper", 0.0, 1.0))
    content = swept(suite_content, "toy_method:Sweeper", 0.0, 0.5, 1.0)
    made = run_toy(content).made
    assert 2 * 12 <= made <= 2 * (12 + 2 * 2 * 3)
    fresh = run_toy(content, "fresh")
    assert values(fresh.folder) == values(run_toy(content).folder)


def test_a_method_that_replaces_generate_is_called_as_it_says(toy_evaluator: Any) -> None:
    class Older(load_method("toy_method:Sweeper")):  # type: ignore[misc]
        def generate(self, samples: Any, seeds: Any) -> Any:
            return super().generate(samples, seeds)

    sweeper = load_method("toy_method:Sweeper")
    assert varying(sweeper(sweeper.Settings())) == ("p",)
    assert varying(Older(Older.Settings())) == ()
    for name in ("i2v-adapter", "i2v-adapter-alone", "image-prior", "content-adapter"):
        method = load_method(name)
        assert varying(method(method.Settings())) == ("p",)
    still = load_method("still-image")
    assert varying(still(still.Settings())) == ()
