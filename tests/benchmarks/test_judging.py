"""The measuring benchmark reaches into the evaluator, and a failing variant is only a row: here it
must not fail.
"""

from pathlib import Path
from typing import Any

import torch

from benchmarks.bench_judging import Case, test_judging
from benchmarks.scenario import Bench

test_judging.__test__ = False  # type: ignore[attr-defined]


class Once:
    """pytest-benchmark's fixture, one round."""

    def __init__(self) -> None:
        self.extra_info: dict[str, Any] = {}

    def pedantic(self, run: Any, rounds: int, iterations: int) -> None:
        run()


def test_every_variant_of_the_judging_benchmark_runs(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    encoders = ("dino_glyph", "videomae_glyph")
    test_judging(
        Bench(Once(), torch.device("cpu"), rows, most=1),
        Case(1, 64, 16, encoders),
        tmp_path,
        tmp_path,
    )
    [row] = rows
    assert {
        name: variant.get("failed") for name, variant in row["variants"].items()
    } == dict.fromkeys(("all together", "one pass a metric", *encoders))
    assert row["metrics"] == 15
    assert row["ratios"]["one pass a metric / all together"]["value"] > 0
