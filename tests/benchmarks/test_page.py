"""Results to page: goals decided by intervals, failures as rows, families that were not run again
kept.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.interleave import ratio
from benchmarks.page import render
from benchmarks.reach import goals, verdict
from benchmarks.results import save

STATE = {
    "commit": "0123456789abcdef",
    "dirty": False,
    "date": "2026-01-02T03:04:05+00:00",
    "torch": "2",
    "diffusers": "0",
    "scipy": "1",
    "threads": 2,
    "cores": 2,
    "load": 0.1,
    "driver": None,
}


def measured_part(page: str) -> str:
    """What comes from results; what was tried, written by hand, follows it."""
    return page.split("## What was tried")[0]


def step(adapter: float) -> dict[str, Any]:
    def times(factor: float) -> list[float]:
        return [factor * (1 + 0.1 * index) for index in range(7)]

    variants = {
        name: {
            "seconds": times(factor),
            "first": 9.0,
            "weights": 10,
            "memory": {"working": working},
        }
        for name, factor, working in (
            ("base", 1.0, 1000),
            ("adapter", adapter, 1030),
            ("naive", 1.3, 2000),
        )
    }
    for variant in variants.values():
        variant["memory"] |= {"allocated": None, "reserved": None, "process": 5}
    pairs = [("adapter", "base"), ("adapter", "naive")]
    ratios = {
        f"{a} / {b}": ratio(variants[a]["seconds"], variants[b]["seconds"])._asdict()
        for a, b in pairs
    }
    return {
        "scenario": "step",
        "headline": True,
        "flop_ratio": 1.1,
        "variants": variants,
        "ratios": ratios,
    }


@pytest.mark.parametrize(
    ("adapter", "reached", "measured"), [(1.2, "yes", "1.091"), (1.25, "no", "1.136")]
)
def test_goals_divide_by_the_counted_floor(adapter: float, reached: str, measured: str) -> None:
    found = goals({"adapter-step": {**STATE, "rows": [step(adapter)]}})
    assert (found[0].reached, found[0].measured[:5]) == (reached, measured)
    assert (found[1].reached, found[2].measured) == (
        "yes",
        "its weights + 3.0% of the base's activations",
    )
    assert {goal.reached for goal in found[3:]} == {"not measured"}


def test_an_interval_around_the_limit_decides_nothing() -> None:
    assert verdict(0.9, 1.2, at_most=1.1) == "undecided"
    assert [verdict(low, low + 1, at_least=3) for low in (3, 1.5, 2.5)] == [
        "yes",
        "no",
        "undecided",
    ]


def test_a_failure_is_a_row_that_says_so() -> None:
    row = step(1.2)
    row["variants"]["naive"] = {"seconds": [], "failed": "OutOfMemoryError: too big"}
    del row["ratios"]["adapter / naive"]
    page = render(
        [
            {
                "device": "GPU | x",
                "type": "cuda",
                "families": {"adapter-step": {**STATE, "rows": [row]}},
            }
        ]
    )
    assert "| step | naive | OutOfMemoryError: too big |" in page
    assert (
        "| adapter step / naive step | &lt; 1 | naive: OutOfMemoryError: too big | not measured |"
        in page
    )
    assert "GPU \\| x" in page
    assert "| step | base | 1300.00 ms | 1570.00 ms | 9000.00 ms | – |" in page
    assert "busy" not in measured_part(page)


def test_times_of_a_cpu_are_not_quoted_and_a_busy_machine_is_named() -> None:
    family = {**STATE, "load": 5.5, "rows": [step(1.2)]}
    page = render([{"device": "CPU", "type": "cpu", "families": {"adapter-step": family}}])
    assert " ms " not in measured_part(page)
    assert "shared, busy machine** (load average up to 5.5 on 2 cores" in page


def test_quality_beside_speed_names_the_cells_that_none_beats() -> None:
    def cell(name: str, seconds: float, identity: float, motion: float) -> dict[str, Any]:
        values = [
            {"mean": mean, "low": mean - 0.1, "high": mean + 0.1, "n": 8.0}
            for mean in (identity, motion)
        ]
        return {"cell": name, "seconds": seconds, "over_fastest": seconds / 2, "values": values}

    cells = [
        cell("slow", 4, 0.7, 1),
        cell("quick", 2, 0.6, 1),
        cell("worse", 3, 0.5, 1),
        cell("mover", 3, 0.1, 2),
    ]
    row = {"scenario": "glyphs", "measures": ["identity", "motion"], "cells": cells}
    page = render(
        [{"device": "CPU", "type": "cpu", "families": {"quality": {**STATE, "rows": [row]}}}]
    )
    lines = [
        line
        for line in page.splitlines()
        if line.startswith(("| slow", "| quick", "| worse", "| mover"))
    ]
    assert [line.split(" | ")[0] for line in lines] == ["| quick", "| worse", "| mover", "| slow"]
    assert (
        lines[0]
        == "| quick | 1.00 | 0.600 (0.500 to 0.700), n = 8 | 1.000 (0.900 to 1.100), n = 8 | yes |"
    )
    assert [line.endswith("| yes |") for line in lines] == [True, False, True, True]


def test_families_not_run_again_are_kept(tmp_path: Path) -> None:
    save(
        tmp_path, "An (odd) CPU, 2 cores", "cpu", {"clip": {"rows": [1]}, "training": {"rows": [2]}}
    )
    path = save(tmp_path, "An (odd) CPU, 2 cores", "cpu", {"clip": {"rows": [3]}})
    assert path.name == "an-odd-cpu-2-cores.json"
    content = json.loads(path.read_text())
    assert content["families"] == {"clip": {"rows": [3]}, "training": {"rows": [2]}}


def test_settings_that_save_time_stand_beside_what_they_cost() -> None:
    time = {"value": 0.5, "low": 0.4, "high": 0.6, "rounds": 6, "coverage": 0.97}
    change = {"difference": -0.1, "low": -0.2, "high": 0.05, "n": 8}
    cells = [
        {"cell": "half", "time": time, "changes": [change]},
        {"cell": "cut", "time": None, "changes": [change]},
    ]
    row = {"scenario": "clips", "paired": cells, "measures": ["identity"], "plain": [0.5]}
    page = render(
        [{"device": "CPU", "type": "cpu", "families": {"quality": {**STATE, "rows": [row]}}}]
    )
    changed = "-0.100 (-0.200 to +0.050), n = 8"
    assert f"| half | 0.50 (0.40 to 0.60, 6 rounds) | {changed} |" in page
    assert f"| cut | – | {changed} |" in page
    assert "| plain | 1 | 0.500 |" in page


@pytest.mark.parametrize(("rate", "share"), [(360.0, "yes"), (200.0, "no")])
def test_the_quickest_variant_decides_the_goals_of_a_faster_step(rate: float, share: str) -> None:
    def over_plain(value: float) -> dict[str, Any]:
        low, high = 0.9 * value, 1.1 * value
        return {"value": value, "low": low, "high": high, "rounds": 30, "coverage": 0.95}

    small = {
        "scenario": "sd15 256x256x16 fp16",
        "ratios": {"fused / plain": over_plain(0.97), "graph / plain": over_plain(0.5)},
    }
    large = {
        "scenario": "sd15 512x512x16 fp16",
        "values": {"plain: TFLOP/s": 190.0, "compiled blocks: TFLOP/s": rate, "x": 1e9},
    }
    found = {goal.goal: goal for goal in goals({"faster-step": {**STATE, "rows": [small, large]}})}
    step = found["a step as fast as graph, sd15 256x256x16 fp16"]
    assert (step.measured, step.reached) == ("2.00 (1.82 to 2.22, 30 rounds)", "yes")
    card = found["share of the card, compiled blocks, sd15 512x512x16 fp16"]
    assert (card.limit[:14], card.reached) == (">= 356 TFLOP/s", share)
