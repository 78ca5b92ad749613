"""From paired values to a verdict. The rule is stated here, once, and margins are fixed before
anything is measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from eval.summary.statistics import FEW_CLUSTERS, Interval

Verdict = Literal["holds", "fails", "undecided", "not measured"]
Kind = Literal["more", "no less", "report"]
Outcome = Verdict | Literal["reported"]

RULE = (
    "A test compares two cells on the same (image, seed) pairs: their mean difference with a 95 % "
    "interval, by bootstrap over input images (set metrics: jackknife). 'More' holds if the "
    "interval lies above 0 and reaches the margin; it fails if the interval lies below the margin, "
    "so a difference too small to matter fails. 'No less' holds if the interval lies above minus "
    "the margin, and fails if it lies below it. Otherwise the test is undecided, as is any test on "
    f"fewer than {FEW_CLUSTERS} images. A test is not measured if its cells or its metric are "
    "missing, or more than a tenth of its pairs. A claim fails if one of its tests fails. Else it "
    "is not measured if one is not measured, undecided if one is undecided, and holds if all hold. "
    "'Report' rows do not affect the verdict."
)
MOST_MISSING = 0.1
"""Share of a test's planned pairs that may be missing."""


@dataclass(frozen=True)
class Test:
    """One comparison: ``first`` minus ``second``, which the claim says is above 0 (or not below
    it).

    Attributes:
        title: what is compared, in words.
        metric: family of the metric; the run's first metric of that family is taken.
        first, second: cell ids; without a second the first's own mean is put to the test.
        kind: ``more``, ``no less``, or ``report`` for a row that does not affect the verdict.
        margin: the smallest difference that matters, in the metric's unit, stated in advance.
        groups: sample groups; all that both cells share, if empty.
        paper: what the paper's tables say, if they say something.
        prose: what the paper's text says where it contradicts its table.
    """

    __test__ = False  # pytest: not one of its tests
    title: str
    metric: str
    first: str
    second: str = ""
    kind: Kind = "more"
    margin: float = 0.0
    groups: tuple[str, ...] = ()
    paper: str = ""
    prose: str = ""


@dataclass(frozen=True)
class Result:
    """A test with what was found. Effect, low and high are nan where nothing was measured."""

    title: str
    metric: str
    unit: str
    kind: Kind
    margin: float
    effect: float
    low: float
    high: float
    n: int
    images: int
    verdict: Outcome
    reason: str = ""
    paper: str = ""
    prose: str = ""


def decide(kind: Kind, interval: Interval, margin: float) -> tuple[Outcome, str]:
    """The verdict on one interval, with its reason: see `RULE`.

    >>> decide("more", Interval(0.3, 0.2, 0.4, 40, 20), 0.1)[0]
    'holds'
    >>> decide("more", Interval(0.05, 0.02, 0.08, 40, 20), 0.1)[0]
    'fails'
    >>> decide("no less", Interval(-0.01, -0.04, 0.02, 40, 20), 0.05)[0]
    'holds'
    """
    if interval.clusters < FEW_CLUSTERS or not (
        math.isfinite(interval.low) and math.isfinite(interval.high)
    ):
        few = f"{interval.clusters} images, {FEW_CLUSTERS} are needed"
        return ("reported" if kind == "report" else "undecided"), few
    if kind == "report":
        return "reported", ""
    if kind == "more":
        if interval.high < margin:
            return "fails", "the interval lies below the margin"
        return (
            ("holds", "")
            if interval.low > 0
            else ("undecided", "the interval holds 0 and reaches the margin")
        )
    if interval.high < -margin:
        return "fails", "the interval lies below minus the margin"
    return (
        ("holds", "")
        if interval.low > -margin
        else ("undecided", "the interval holds minus the margin")
    )


def combine(results: Sequence[Result]) -> tuple[Verdict, str]:
    """A claim's verdict from its tests, with the title of the test that decided it: see `RULE`."""
    asked = [result for result in results if result.kind != "report"]
    order: tuple[Verdict, ...] = ("fails", "not measured", "undecided")
    for verdict in order:
        for result in asked:
            if result.verdict == verdict:
                return (
                    verdict,
                    f"{result.title}: {result.reason}" if result.reason else result.title,
                )
    return ("holds", "") if asked else ("not measured", "no test")
