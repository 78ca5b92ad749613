"""VBench's, EvalCrafter's and the paper's formulas: hand-computed values from given features, and
their known traps.
"""

import numpy as np
import pytest

from eval.errors import EvalError
from eval.metrics.flicker import flicker, smoothness
from eval.metrics.identity import identity
from eval.metrics.motion import flow_score
from eval.metrics.perceptual import input_distance
from eval.metrics.temporal import image_consistency, neighbour_consistency
from eval.metrics.vbench import (
    dynamic_degree,
    i2v_subject,
    sampling_stride,
    subject_consistency,
    temporal_flickering,
)


def _turning(*degrees: float, length: float = 1.0) -> np.ndarray:
    angles = np.radians(degrees)
    return length * np.stack([np.cos(angles), np.sin(angles)], axis=1)


@pytest.mark.parametrize(
    ("degrees", "subject", "main"),
    [(0, 1.000, 1.000), (30, 0.9996, 0.950), (60, 0.9985, 0.810), (90, 0.9967, 0.603)],
)
def test_a_steady_drift_hardly_lowers_vbenchs_score(
    degrees: float, subject: float, main: float
) -> None:
    frames = _turning(*np.linspace(0, degrees, 16), length=3.0)
    assert i2v_subject(frames[0], frames) == pytest.approx(subject, abs=6e-5)
    assert identity(frames[0], frames)["identity"] == pytest.approx(main, abs=6e-4)


def test_image_to_video_subject_by_hand() -> None:
    # c = cos 60, cos 0, cos 120 -> .5, 1, 0 (clipped); d = cos 60, cos 120 -> .5, 0 (clipped)
    frames = _turning(60, 0, -120, length=2.0)
    assert i2v_subject([1.0, 0.0], frames) == pytest.approx(0.4 * 1 + 0.3 * 0.25 + 0.3 * 0)
    # the image at 90 degrees: c = cos 30, cos 90, cos 210
    assert i2v_subject([0.0, 5.0], frames) == pytest.approx(0.4 * np.cos(np.pi / 6) + 0.3 * 0.25)


def test_subject_consistency_by_hand_and_without_the_image() -> None:
    # i = 1: (cos 60 + cos 60) / 2; i = 2: (cos 120 + cos 180) / 2, both clipped
    assert subject_consistency(_turning(60, 0, -120)) == pytest.approx(0.25)
    # i = 1: cos 30; i = 2: (cos 30 + cos 60) / 2
    third = (np.cos(np.pi / 6) + 0.5) / 2
    assert subject_consistency(_turning(0, 30, 60)) == pytest.approx(
        (np.cos(np.pi / 6) + third) / 2
    )


def test_two_numbers_of_one_name_differ() -> None:
    frames = _turning(0, 60, 120)
    assert image_consistency(frames[0], frames) == pytest.approx((1 + 0.5 - 0.5) / 3)
    assert neighbour_consistency(frames) == pytest.approx(0.5)


def _moving(magnitudes: list[float], size: int = 128) -> np.ndarray:
    """Flow in which exactly 5 % of the pixels (rounded down) of each pair have these magnitudes,
    the others none.
    """
    flow = np.zeros((len(magnitudes), size * size, 2))
    flow[:, : int(0.05 * size * size), 1] = np.array(magnitudes)[:, None]
    return flow.reshape(-1, size, size, 2)


@pytest.mark.parametrize(
    ("magnitudes", "moves"),
    [
        (
            [3.1, 3.1, 3.1, 3.1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            1.0,
        ),  # 16 frames: 4 of 15 pairs above 6 * 128 / 256
        ([3.1, 3.1, 3.1, 2.9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0.0),
        ([3.1, 0, 0], 1.0),  # 4 frames: one pair is enough
        ([2.9, 2.9, 2.9], 0.0),
        ([0], 1.0),  # 2 frames: round(0.5) is 0 pairs, so a still clip is dynamic
    ],
)
def test_dynamic_degree_counts_pairs_against_a_threshold(
    magnitudes: list[float], moves: float
) -> None:
    assert dynamic_degree(_moving(magnitudes)) == moves


def test_the_fps_tag_changes_the_verdict_on_equal_frames() -> None:
    positions = (
        np.arange(17) * 1.2
    )  # px: too slow from frame to frame, fast enough over three frames
    verdicts = {}
    for fps in (8, 24):
        sampled = positions[:: sampling_stride(fps)]
        verdicts[fps] = dynamic_degree(_moving(list(np.diff(sampled))))
    assert verdicts == {8: 0.0, 24: 1.0}
    assert [sampling_stride(fps) for fps in (1, 8, 12, 20, 23.976, 30)] == [
        1,
        1,
        2,
        2,
        3,
        4,
    ]  # half-way to even


def test_flow_score_is_pixels_per_frame() -> None:
    flow = np.stack([np.full((6, 9, 2), (3.0, 4.0)), np.full((6, 9, 2), (0.0, -1.0))])
    assert flow_score(flow) == pytest.approx(3.0)


def _fade(*values: int) -> np.ndarray:
    return np.stack([np.full((4, 5, 3), value, np.uint8) for value in values])


def test_a_fade_is_no_flicker_and_a_strobe_is_nothing_else() -> None:
    assert flicker(_fade(10, 30, 50, 70)) == 0
    assert temporal_flickering(_fade(10, 30, 50, 70)) == pytest.approx(1 - 20 / 255)
    assert flicker(_fade(0, 255, 0, 255)) == 1
    assert flicker(_fade(100, 110, 100)) == pytest.approx(20 / 510)
    assert temporal_flickering(_fade(7, 7)) == 1


def test_smoothness_of_steady_and_of_shaking_motion() -> None:
    pan = np.full((5, 32, 48, 2), (2.0, 1.0))
    assert smoothness(pan, fps=8) == 0
    shake = pan * np.array([1, -1, 1, -1, 1]).reshape(-1, 1, 1, 1)
    assert smoothness(shake, fps=8) == pytest.approx(2 * np.sqrt(5) / 32 * 64)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: i2v_subject([1.0, 0.0], _turning(0)), r"F 2 or more, got \(1, 2\)"),
        (lambda: subject_consistency(np.zeros((3, 2))), "length zero"),
        (lambda: neighbour_consistency([[1.0, np.nan], [1.0, 0.0]]), "not finite"),
        (lambda: dynamic_degree(np.zeros((0, 8, 8, 2))), "dynamic degree: .* a frame pair or more"),
        (lambda: sampling_stride(0), "fps is 0"),
        (lambda: flicker(_fade(1, 2)), "has 2 frames; 3 or more"),
        (lambda: flicker(_fade(1, 2, 3) / 255), "must be uint8 .* got float64"),
        (lambda: temporal_flickering(_fade(1)), "has 1 frames; 2 or more"),
        (lambda: smoothness(np.zeros((1, 8, 8, 2)), 8), "has 2 frames; 3 or more"),
        (lambda: smoothness(np.zeros((2, 8, 8, 2)), np.inf), "fps is inf"),
        (lambda: input_distance([0.1]), r"F 2 or more, got \(1,\)"),
        (lambda: input_distance([0.1, np.nan]), "1 of 2 distances are not finite"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(EvalError, match=message):
        call()
