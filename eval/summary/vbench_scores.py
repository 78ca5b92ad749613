"""VBench-I2V's three scores from the means of its nine dimensions.

The scores are for comparison with published tables; do not gate on them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from eval.errors import EvalError, nearest


class Scale(NamedTuple):
    """Normalisation and weight of one dimension.

    Attributes:
        low: value that is normalised to 0.
        high: value that is normalised to 1. A dimension may exceed it.
        weight: weight in the score of its group.
    """

    low: float
    high: float
    weight: float


I2V: Mapping[str, Scale] = {
    "camera_motion": Scale(0.0, 1.0, 0.1),
    "i2v_subject": Scale(0.1462, 1.0, 1.0),
    "i2v_background": Scale(0.2615, 1.0, 1.0),
}
"""Dimensions of the I2V score."""

QUALITY: Mapping[str, Scale] = {
    "subject_consistency": Scale(0.1462, 1.0, 1.0),
    "background_consistency": Scale(0.2615, 1.0, 1.0),
    "motion_smoothness": Scale(0.7060, 0.9975, 1.0),
    "dynamic_degree": Scale(0.0, 1.0, 0.5),
    "aesthetic_quality": Scale(0.0, 1.0, 1.0),
    "imaging_quality": Scale(0.0, 1.0, 1.0),
}
"""Dimensions of the quality score."""

DIMENSIONS = (*I2V, *QUALITY)
"""The nine scored dimensions, by the names that VBench's files use."""

UNSCORED = ("temporal_flickering",)
"""Dimensions that VBench-I2V measures and leaves out of every score."""

SLACK = 0.01
"""How far a mean may lie outside [0, 1], by rounding or by a linear head."""


class VBenchScores(NamedTuple):
    """Scores as fractions, as VBench's script prints them; its tables show them times 100.

    Attributes:
        i2v_score: weighted mean of the three normalised I2V dimensions; None if one is missing.
        quality_score: the same of the six quality dimensions; None if one is missing.
        total: mean of both; None unless all nine dimensions are there.
        missing: the dimensions that are not there.
    """

    i2v_score: float | None
    quality_score: float | None
    total: float | None
    missing: tuple[str, ...]


def vbench_scores(dimensions: Mapping[str, float]) -> VBenchScores:
    """I2V score, quality score and total of one model.

    A dimension x is normalised to (x - low) / (high - low), without clipping. VBench's own script
    counts a missing dimension as 0; here the scores that need it are None.

    Args:
        dimensions: means over the suite as fractions, by VBench's names (`DIMENSIONS`). Imaging
            quality is divided by 100. `UNSCORED` dimensions are ignored.

    Raises:
        EvalError: an unknown dimension, or a value that is no fraction.

    Source: Huang et al. 2024 (VBench++, arXiv 2411.13503); VBench's scripts/constant.py.

    Examples:
        >>> names = {name: 1.0 for name in DIMENSIONS}
        >>> scores = vbench_scores(names | {"motion_smoothness": 0.9975})
        >>> [round(value, 4) for value in scores[:3]]
        [1.0, 1.0, 1.0]
        >>> vbench_scores({"camera_motion": 0.5}).total is None
        True
    """
    for name, value in dimensions.items():
        _check(name, value)
    return combined(dimensions)


def combined(dimensions: Mapping[str, float]) -> VBenchScores:
    """`vbench_scores` of values that are known to be means of the named dimensions."""
    missing = tuple(name for name in DIMENSIONS if name not in dimensions)
    i2v, quality = _weighted(dimensions, I2V), _weighted(dimensions, QUALITY)
    total = None if i2v is None or quality is None else (i2v + quality) / 2
    return VBenchScores(i2v, quality, total, missing)


def _check(name: str, value: float) -> None:
    if name not in DIMENSIONS and name not in UNSCORED:
        raise EvalError(
            f"VBench dimension {name!r}: unknown. Allowed: {', '.join(DIMENSIONS)}."
            f"{nearest(name, DIMENSIONS)}"
        )
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise EvalError(f"VBench dimension {name}: {value!r} is not a number")
    if not math.isfinite(value) or not -SLACK <= value <= 1 + SLACK:
        raise EvalError(
            f"VBench dimension {name}: {value} is no fraction from 0 to 1; divide percentages "
            "(and imaging quality from 0 to 100) by 100"
        )


def _weighted(dimensions: Mapping[str, float], scales: Mapping[str, Scale]) -> float | None:
    if any(name not in dimensions for name in scales):
        return None
    parts = [
        scale.weight * (dimensions[name] - scale.low) / (scale.high - scale.low)
        for name, scale in scales.items()
    ]
    return sum(parts) / sum(scale.weight for scale in scales.values())
