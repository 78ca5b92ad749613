"""From a calibration run's tables to response curves and verdicts."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eval.calibration.corruptions import EXPECTED, UNRELATED
from eval.calibration.grid import UNDISTURBED, cell_id, strengths
from eval.calibration.material import GLYPH, film
from eval.metrics import Metric
from eval.metrics.motion import motion
from eval.plan.cells import Plan
from eval.store.store import Store

LEAST = 0.05
"""A change below this share of the ceiling is no answer, however certain it is."""

STEADY = 0.9
"""Least Spearman correlation of the means with the strength that counts as monotone."""

STANDING = 1e-4
"""Frame sizes per second; below it the exact flow is rounding error of a still clip."""

NAMES_A_GLYPH = ("text", "text_min")
"""Families that can respond only where the prompt names what is shown: the glyph clips."""

RESPONDS, UNEVEN, FAILS, ALSO, BLIND = "responds", "uneven", "FAILS", "also sees", "cannot see"
"""Verdicts. Where a metric must respond: it does; it does, but not in the order of strength; it
does not, or in the wrong direction. Elsewhere: it responds as well; it does not."""

Rows = Mapping[tuple[str, str, str], Mapping[str, str]]
"""(cell, group, metric) -> row of a table."""


class Response(NamedTuple):
    """One metric's response to one corruption in one group of clips.

    Attributes:
        strengths: rising, the first 0 (the true clips).
        means, lows, highs: value at each strength with its 95 % interval; nan where there is none.
        change: from the true clips to the largest strength, with its paired 95 % interval (nan
            for set metrics).
        share: largest absolute change at any strength, over the metric's ceiling in the group.
        spearman: correlation of the means with the strengths; 0 for a constant.
        seen_from: smallest strength whose change is certain and above `LEAST` of the ceiling; nan
            if none.
        expected: 1 up, -1 down, None if no response is required.
        verdict: see the constants.
    """

    strengths: list[float]
    means: list[float]
    lows: list[float]
    highs: list[float]
    change: float
    change_low: float
    change_high: float
    share: float
    spearman: float
    seen_from: float
    expected: int | None
    verdict: str


def analyse(folder: Path, plan: Plan) -> list[dict[str, Any]]:
    """How every metric responds in every group, from ``summary.csv`` and ``comparisons.csv`` of a
    finished run. A metric that no clip asks for (camera motion without a prompt of one) is not in
    them, and not here.
    """
    summary = _rows(folder / "summary.csv", "cell")
    compared = _rows(folder / "comparisons.csv", "cell")
    groups = [group for group in plan.groups if group != "all"]
    return [
        _metric(metric, group, summary, compared)
        for metric in plan.metrics
        for group in groups
        if (UNDISTURBED, group, metric.id) in summary
    ]


def _rows(path: Path, first: str) -> Rows:
    with path.open(encoding="utf-8", newline="") as file:
        return {(row[first], row["group"], row["metric"]): row for row in csv.DictReader(file)}


def _number(text: str) -> float:
    return float(text) if text else math.nan


def _metric(metric: Metric, group: str, summary: Rows, compared: Rows) -> dict[str, Any]:
    base = summary[UNDISTURBED, group, metric.id]
    value, low, high = (_number(base[key]) for key in ("mean", "low", "high"))
    far = _number(summary[cell_id(UNRELATED, 1.0), group, metric.id]["mean"])
    of_set = metric.scope == "set"
    floor = abs(far) if of_set else (high - low) / 2
    asked = {
        name: steps
        for name, steps in strengths().items()
        if (cell_id(name, steps[0]), group, metric.id) in summary
    }
    values = {
        name: [
            value,
            *(_number(summary[cell_id(name, step), group, metric.id]["mean"]) for step in steps),
        ]
        for name, steps in asked.items()
    }
    ceiling = max(abs(x - value) for means in values.values() for x in means)
    if not of_set:
        ceiling = max(ceiling, abs(far - value))
    responses = {}
    for name, steps in asked.items():
        rows = [summary[cell_id(name, step), group, metric.id] for step in steps]
        changes = [compared.get((cell_id(name, step), group, metric.id)) for step in steps]
        responses[name] = _response(
            metric, name, group, steps, [base, *rows], changes, ceiling
        )._asdict()
    return {
        "metric": metric.id,
        "group": group,
        "scope": metric.scope,
        "unit": metric.unit,
        "higher_is_better": metric.higher_is_better,
        "n": int(float(base["n"])),
        "undisturbed": value,
        "undisturbed_low": low,
        "undisturbed_high": high,
        "unrelated": far,
        "noise_floor": floor,
        "ceiling": ceiling,
        "responses": responses,
    }


def _response(
    metric: Metric,
    name: str,
    group: str,
    steps: Sequence[float],
    rows: Sequence[Mapping[str, str]],
    changes: Sequence[Mapping[str, str] | None],
    ceiling: float,
) -> Response:
    means, lows, highs = ([_number(row[key]) for row in rows] for key in ("mean", "low", "high"))
    moved = [mean - means[0] for mean in means[1:]]
    intervals = []
    for row in changes:  # the table has true minus corrupted
        low, high = (-_number(row["high"]), -_number(row["low"])) if row else (math.nan, math.nan)
        intervals.append((low, high))
    if metric.scope == "set":
        certain = [
            low > means[0] or high < means[0] for low, high in zip(lows[1:], highs[1:], strict=True)
        ]
    else:
        certain = [low > 0 or high < 0 for low, high in intervals]
    seen = [
        sure and abs(change) >= LEAST * ceiling for sure, change in zip(certain, moved, strict=True)
    ]
    order = spearman([0.0, *steps], means)
    expected = _expected(metric, name, group)
    right = [expected is None or change * expected > 0 for change in moved]
    if expected is None:
        verdict = ALSO if any(seen) else BLIND
    elif not any(s and r for s, r in zip(seen, right, strict=True)) or (seen[-1] and not right[-1]):
        verdict = FAILS
    else:
        verdict = RESPONDS if order * expected >= STEADY and seen[-1] else UNEVEN
    return Response(
        strengths=[0.0, *steps],
        means=means,
        lows=lows,
        highs=highs,
        change=moved[-1],
        change_low=intervals[-1][0],
        change_high=intervals[-1][1],
        share=max(map(abs, moved)) / ceiling if ceiling > 0 else 0.0,
        spearman=order,
        seen_from=next((step for step, s in zip(steps, seen, strict=True) if s), math.nan),
        expected=expected,
        verdict=verdict,
    )


def _expected(metric: Metric, corruption: str, group: str) -> int | None:
    if metric.family in NAMES_A_GLYPH and group != GLYPH:
        return None
    direction = EXPECTED.get(metric.family, {}).get(corruption)
    if direction == 0:
        return {True: -1, False: 1, None: None}[metric.higher_is_better]
    return direction


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Rank correlation; 0 if either side is constant."""
    from scipy.stats import spearmanr

    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(spearmanr(x, y).statistic)


def known_motion(store: Store, plan: Plan) -> list[dict[str, Any]]:
    """Motion metrics against the exact flow, over all clips of known speed: true, slower and faster
    ones.

    Returns:
        For each metric whose family `eval.metrics.motion.motion` computes, and each group:
            Spearman correlation and
        slope (through the origin) of measured against true values, and the
        largest value of a still clip.
    """
    graded = strengths()
    speeds = {UNDISTURBED: 1.0}
    speeds |= {cell_id("slower", step): 1 - step for step in graded["slower"]}
    speeds |= {cell_id("faster", step): 1 + step for step in graded["faster"]}
    true: dict[tuple[str, str, str], float] = {}
    for sample in plan.samples:
        fps = sample.clip.fps if sample.clip else 1.0
        for cell, speed in speeds.items():
            for family, value in motion(film(sample, speed=speed).flow, fps).items():
                true[cell, sample.id, family] = value
    measured = {
        (r.cell, r.sample, r.metric): r.value for cell in speeds for r in store.records(cell)
    }
    found = []
    for metric in plan.clip_metrics:
        for group in (group for group in plan.groups if group != "all"):
            pairs = [
                (true[cell, sample.id, metric.family], measured[cell, sample.id, metric.id])
                for sample in plan.samples
                for cell in speeds
                if sample.group == group and (cell, sample.id, metric.family) in true
            ]
            if not pairs:
                continue
            x, y = np.asarray(pairs).T
            found.append(
                {
                    "metric": metric.id,
                    "group": group,
                    "clips": len(pairs),
                    "spearman": spearman(x, y),
                    "slope": float(x @ y / (x @ x)),
                    "still_highest": float(y[x < STANDING].max())
                    if (x < STANDING).any()
                    else math.nan,
                }
            )
    return found


def verdict_words() -> dict[str, str]:
    """Every verdict in a sentence, for pages and tables."""
    return {
        RESPONDS: "must respond, and its response rises with the strength",
        UNEVEN: "must respond, and does, but not in the order of strength or not to the strongest",
        FAILS: "must respond, and does not, or in the wrong direction",
        ALSO: "need not respond, but does",
        BLIND: "need not respond, and does not",
    }
