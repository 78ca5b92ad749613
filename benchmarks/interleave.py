"""Ratios that survive a busy machine: variants take turns, and each round's ratio is one
observation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

LEVEL = 0.95


class Ratio(NamedTuple):
    """Median over rounds of one variant's time divided by another's, with an interval for that
    median.

    `coverage` is the interval's confidence: at least 0.95 from six rounds on, less below, where the
    extremes are given.
    """

    value: float
    low: float
    high: float
    rounds: int
    coverage: float


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> Ratio:
    """Distribution-free interval from order statistics (the sign test's) of the round-by-round
    ratios.

    Args:
        numerator: seconds of one variant, one value a round.
        denominator: seconds of the other in the same rounds, all above 0.

    Raises:
        ValueError: no rounds, or numbers of rounds that differ.
    """
    if len(numerator) != len(denominator) or not numerator:
        raise ValueError(f"rounds must pair up: {len(numerator)} against {len(denominator)}")
    ratios = sorted(a / b for a, b in zip(numerator, denominator, strict=True))
    rounds = len(ratios)
    outside, cut = 0.0, 0
    # Cutting one more value from each end adds the two tails of that many heads in `rounds` tosses.
    while cut < (rounds - 1) // 2 and outside + 2 * math.comb(rounds, cut) / 2**rounds <= 1 - LEVEL:
        outside += 2 * math.comb(rounds, cut) / 2**rounds
        cut += 1
    if cut == 0:
        low, high, coverage = ratios[0], ratios[-1], max(0.0, 1 - 2 / 2**rounds)
    else:
        low, high, coverage = ratios[cut - 1], ratios[-cut], 1 - outside
    return Ratio(quantile(ratios, 0.5), low, high, rounds, coverage)


def quantile(values: Sequence[float], share: float) -> float:
    """Quantile by linear interpolation between order statistics."""
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])
