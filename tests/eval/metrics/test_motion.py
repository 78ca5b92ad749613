"""Motion amplitude of flow fields that are known."""

import numpy as np
import pytest

from eval.errors import EvalError
from eval.metrics.motion import motion


def test_a_constant_field_scores_its_speed_in_frame_sizes_per_second() -> None:
    flow = np.broadcast_to([1.5, -2.0], (7, 48, 64, 2))  # 2.5 px a frame, 10 fps, shorter side 48
    values = motion(flow, fps=10)
    assert values["motion"] == pytest.approx(2.5 / 48 * 10, rel=1e-12)
    assert values["motion_top5"] == pytest.approx(2.5 / 48 * 10, rel=1e-12)


def test_no_flow_is_no_motion() -> None:
    assert motion(np.zeros((7, 64, 64, 2)), fps=8) == {"motion": 0.0, "motion_top5": 0.0}


def test_size_and_rate_cancel() -> None:
    small = motion(np.full((4, 32, 32, 2), 1.0), fps=8)
    large = motion(
        np.full((8, 64, 64, 2), 1.0), fps=16
    )  # twice the size, twice the rate, the same speed
    assert small["motion"] == pytest.approx(large["motion"])


def test_top_share_takes_the_fastest_pixels_of_each_pair() -> None:
    flow = np.zeros((2, 20, 20, 2))
    flow[0, :2, :10, 0] = (
        3.0  # exactly 5 % of the pixels of the first pair; the second pair is still
    )
    values = motion(flow, fps=20)
    assert values["motion"] == pytest.approx(3.0 * 0.05 / 2)
    assert values["motion_top5"] == pytest.approx(1.5)


def test_top_share_against_a_full_sort() -> None:
    flow = np.random.default_rng(0).standard_normal((3, 17, 23, 2))
    magnitude = np.sqrt((flow**2).sum(-1)).reshape(3, -1)
    top = [sorted(pair)[-int(0.05 * 17 * 23) :] for pair in magnitude]
    assert motion(flow, fps=17)["motion_top5"] == pytest.approx(np.mean(top), rel=1e-12)


@pytest.mark.parametrize(
    ("flow", "fps", "message"),
    [
        (np.zeros((0, 8, 8, 2)), 8.0, "a frame pair or more"),
        (np.zeros((1, 8, 8, 3)), 8.0, r"got \(1, 8, 8, 3\)"),
        (np.full((1, 8, 8, 2), np.nan), 8.0, "128 values that are not finite"),
        (np.zeros((1, 8, 8, 2)), 0.0, "fps is 0.0"),
    ],
)
def test_bad_flow_is_named(flow: np.ndarray, fps: float, message: str) -> None:
    with pytest.raises(EvalError, match=message):
        motion(flow, fps)
