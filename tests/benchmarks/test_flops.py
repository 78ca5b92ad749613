"""FLOPs by torch's counter against the published ratio of one full-size step."""

import pytest

from benchmarks.bench_adapter_step import REFERENCE
from benchmarks.flops import flop_ratio
from benchmarks.motion_unets import Shape


def test_the_floor_of_sd15_at_512_px() -> None:
    shape = Shape("sd15", 512, 512)
    assert flop_ratio(shape) == pytest.approx(1.134, abs=5e-4)
    assert REFERENCE[shape] == 1.134
