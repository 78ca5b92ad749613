"""The simulation of many workers against arithmetic, and the profile's clock against a known
division of time.
"""

import time

import pytest

from benchmarks.profile_run import Clock
from benchmarks.scale import BATCH, Scenario, simulate

SCENARIO = Scenario("s", make=1.0, measure=0.25, frames=8, size=64)
CLIPS = 8000


@pytest.mark.parametrize("workers", [1, 10])
def test_a_driver_that_costs_nothing_leaves_workers_busy(workers: int) -> None:
    row = simulate(workers, CLIPS, SCENARIO, 0.0, 0.0)
    assert row.hours * 3600 == pytest.approx(CLIPS * 1.25 / workers, rel=0.03)
    assert row.busy == pytest.approx(1, abs=0.02)
    assert row.driver == 0


def test_a_slow_driver_sets_the_pace() -> None:
    row = simulate(256, CLIPS, SCENARIO, 0.3, 0.1)
    assert row.rate == pytest.approx(BATCH / 0.4, rel=0.05)
    assert row.driver > 0.95
    assert row.busy < 0.15  # 20 clips a second keep 25 of 256 workers busy


def test_time_of_an_inner_part_is_not_the_outer_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "process_time", lambda: now)
    clock = Clock()
    with clock.part("outer"):
        now += 1
        with clock.part("inner"):
            now += 4
        now += 2
    now += 100  # of nobody
    with clock.part("inner"):
        now += 0.5
    assert dict(clock.seconds) == {"outer": 3, "inner": 4.5}
    assert clock.calls == {"outer": 1, "inner": 2}
