"""A case ends in time: what it has stays, and what was cut says so."""

import time
from typing import Any

import torch

from benchmarks.scenario import Bench, Variant


class Engine:
    """pytest-benchmark's part: calls a round as often as it is told."""

    def __init__(self) -> None:
        self.extra_info: dict[str, Any] = {}

    def pedantic(self, turn: Any, rounds: int, iterations: int) -> None:
        for _ in range(rounds):
            turn()


def test_a_case_over_its_limit_keeps_its_rounds_and_says_what_was_cut() -> None:
    rows: list[dict[str, Any]] = []
    bench = Bench(Engine(), torch.device("cpu"), rows, limit=0.5)
    calls = iter([0.0, 0.0, 30.0])
    start = time.monotonic()
    bench.compare(
        "a case",
        {
            "slow": lambda: Variant(lambda: time.sleep(next(calls))),
            "quick": lambda: Variant(lambda: None),
        },
        rounds=4,
    )
    assert time.monotonic() - start < 10
    [row] = rows
    cut = "CaseLimitError: the case's limit of 0.5 s"
    assert row["variants"]["slow"]["failed"] == cut
    assert len(row["variants"]["slow"]["seconds"]) == 1
    assert row["variants"]["quick"]["failed"] == cut
    assert len(row["variants"]["quick"]["seconds"]) == 1


def test_without_a_limit_nothing_is_cut() -> None:
    rows: list[dict[str, Any]] = []
    bench = Bench(Engine(), torch.device("cpu"), rows)
    bench.compare("a case", {"quick": lambda: Variant(lambda: None)}, rounds=2)
    assert len(rows[0]["variants"]["quick"]["seconds"]) == 2


def test_a_variant_over_its_own_limit_leaves_the_others_their_time() -> None:
    rows: list[dict[str, Any]] = []
    bench = Bench(Engine(), torch.device("cpu"), rows, limit=30)
    start = time.monotonic()
    variants = {
        "compiles": lambda: Variant(lambda: time.sleep(20)),
        "quick": lambda: Variant(lambda: None),
    }
    bench.compare("a case", variants, rounds=3, each=0.3)
    assert time.monotonic() - start < 10
    [row] = rows
    assert row["variants"]["compiles"]["failed"] == "CaseLimitError: the variant's limit of 0.3 s"
    assert row["variants"]["compiles"]["seconds"] == []
    assert len(row["variants"]["quick"]["seconds"]) == 3
