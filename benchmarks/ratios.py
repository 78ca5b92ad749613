"""Head against base: ratios of the same variants' times in sessions that took turns on one machine.
Advisory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.interleave import LEVEL, Ratio, quantile, ratio
from benchmarks.reach import typeset
from eval.errors import EvalError
from eval.io.documents import read_json
from reports.tables.cells import to_markdown

Results = Mapping[str, Any]


class Change(NamedTuple):
    """A variant's time on head over that on base; `verdict` is slower, faster, or unclear if the
    interval holds 1 or covers less than 95 %."""

    scenario: str
    variant: str
    ratio: Ratio
    verdict: str


def changes(base: Sequence[Results], head: Sequence[Results]) -> list[Change]:
    """One line for each variant that every session of both sides timed.

    Args:
        base: contents of results files, one a session.
        head: as many; session i of both ran side by side.

    Raises:
        EvalError: numbers that differ, or sessions of several devices.
    """
    if len(base) != len(head) or not base:
        raise EvalError(
            f"compare: sessions must pair up: {len(base)} of base against {len(head)} of head"
        )
    devices = sorted({str(results["device"]) for results in (*base, *head)})
    if len(devices) > 1:
        raise EvalError(
            f"compare: times of different devices say nothing of the code: {', '.join(devices)}"
        )
    left, right = ([dict(_medians(results)) for results in side] for side in (base, head))
    shared = [key for key in left[0] if all(key in session for session in (*left, *right))]
    found = []
    for key in shared:
        value = ratio([session[key] for session in right], [session[key] for session in left])
        clear = value.coverage >= LEVEL
        verdict = (
            "slower"
            if clear and value.low > 1
            else "faster"
            if clear and value.high < 1
            else "unclear"
        )
        found.append(Change(*key, value, verdict))
    return found


def _medians(results: Results) -> Iterator[tuple[tuple[str, str], float]]:
    for family in results["families"].values():
        for row in family["rows"]:
            for name, variant in row.get("variants", {}).items():
                if variant["seconds"]:
                    yield (row["scenario"], name), quantile(variant["seconds"], 0.5)


def render(found: Sequence[Change]) -> str:
    """A Markdown table, what is slower first."""
    order = {"slower": 0, "faster": 1, "unclear": 2}
    ordered = sorted(found, key=lambda change: order[change.verdict])
    lines = [
        [change.scenario, change.variant, typeset(change.ratio), change.verdict]
        for change in ordered
    ]
    return to_markdown(["Scenario", "Variant", "Head / base", ""], lines)


def load(path: Path) -> list[Results]:
    """A results file, or all of a folder by name.

    Raises:
        EvalError: there is none, or one cannot be read.
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    contents = [read_json(file) for file in files]
    if not contents or not all(contents):
        raise EvalError(
            f"compare: {path}: no results of `python -m pytest benchmarks --results FOLDER`"
        )
    return contents
