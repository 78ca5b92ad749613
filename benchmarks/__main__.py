"""`python -m benchmarks`: docs/benchmarks.md from all results."""

from __future__ import annotations

from pathlib import Path

from benchmarks.page import render
from benchmarks.results import RESULTS
from eval.store import read_json, write_text

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"

if __name__ == "__main__":
    write_text(PAGE, render([read_json(path) for path in sorted(RESULTS.glob("*.json"))]))
