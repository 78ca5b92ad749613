"""Tables and status of a run whose clips are all measured. On the CPU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import fill
from benchmarks.scenario import Bench, Variant
from eval.store.status import status
from eval.summary.tables import write_tables

METRICS = 10


@dataclass(frozen=True)
class Case:
    """Cells, and images of each; `METRICS` metrics."""

    cells: int
    images: int

    def __str__(self) -> str:
        return f"summary of {self.cells * self.images * METRICS} records, {self.cells} cells"


def cases(device: str) -> list[Case]:
    return [Case(20, 100), Case(50, 400)]


def test_summary(bench: Bench, case: Case, tmp_path: Path) -> None:
    store, plan = fill(tmp_path, case.cells, case.images, METRICS)
    with store:
        bench.compare(
            str(case),
            {
                "tables": lambda: Variant(lambda: write_tables(store, plan, {})),
                "status": lambda: Variant(lambda: status(store.folder)),
            },
            rounds=3,
        )
