"""Smoothness from a frame interpolator of the user's own."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from eval.clips.lossless import Clip
from eval.errors import EvalError
from eval.measure.catalogue import parse_metric
from eval.measure.evaluator import Evaluator
from eval.samples import Sample

INTERPOLATORS = """
import numpy as np

class Mean:
    def __init__(self, *, device): self.device = device
    fingerprint = staticmethod(lambda: 'mean 1')
    def interpolate(self, first, last):
        assert first.dtype == np.float32 and first.max() <= 1
        assert not any(side % 16 for side in first.shape[:2])
        return (first + last) / 2

class NotFinite(Mean):
    def interpolate(self, first, last): return first * np.nan

class Wrong(Mean):
    def interpolate(self, first, last): return first[:-1]
"""


@pytest.fixture
def interpolators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_interpolators.py").write_text(INTERPOLATORS)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("my_interpolators", None)
    return "my_interpolators"


def test_motion_smoothness_is_what_the_interpolator_misses(
    interpolators: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("I2V_EVAL_AMT", f"{interpolators}:Mean")
    metric = parse_metric("vbench.motion_smoothness.amt_s.v1")
    evaluator = Evaluator([metric])

    def value(levels: list[int]) -> float:
        frames = np.stack([np.full((20, 36, 3), level, np.uint8) for level in levels])
        sample = Sample("a", frames[0], "x")
        return evaluator.per_clip(sample, Clip(frames, 8.0))[metric.id]

    assert value([40, 40, 40]) == 1
    assert value([10, 20, 30, 40, 50]) == pytest.approx(1, abs=1 / 255)  # by truncation
    assert value([0, 51, 0, 51, 0]) == pytest.approx(0.8)
    assert value([0, 51, 0, 255]) == pytest.approx(0.8)  # a last odd frame is not used
    assert value([0, 51, 1]) == pytest.approx((255 - 51) / 255)  # 0.5 becomes 0: cut, not rounded
    with pytest.raises(EvalError, match="the clip has 2 frames; 3 or more"):
        value([0, 1])
    for name, message in (
        ("Wrong", r"the interpolator gives \(31, 48, 3\) for \(32, 48, 3\)"),
        ("NotFinite", "values that are not finite for frames of 20 x 36 px"),
    ):
        monkeypatch.setenv("I2V_EVAL_AMT", f"{interpolators}:{name}")
        with pytest.raises(EvalError, match=message):
            Evaluator([metric]).per_clip(
                Sample("a", np.zeros((20, 36, 3), np.uint8), "x"),
                Clip(np.zeros((3, 20, 36, 3), np.uint8), 8.0),
            )
