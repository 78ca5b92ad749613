"""FVMD's features against a plain loop and closed forms."""

import math

import cv2
import numpy as np
import pytest
from scipy import linalg

from eval.clips.lossless import Clip
from eval.errors import EvalError
from eval.measure.catalogue import parse_metric
from eval.measure.evaluator import Evaluator
from eval.metrics.fvmd import DIMENSION, motion_features, ridge_frechet
from eval.summary.set_metrics import set_value


def by_loop(tracks: np.ndarray) -> np.ndarray:
    """The same, vector by vector."""
    found = np.zeros((2, 4, 4, 4, 8))
    points = tracks.reshape(16, 20, 20, 2)
    for s in range(1, 16):
        for row in range(20):
            for column in range(20):
                u = points[s, row, column] - points[s - 1, row, column]
                vectors = [u]
                if s >= 2:
                    vectors.append(u - points[s - 1, row, column] + points[s - 2, row, column])
                for kind, (x, y) in enumerate(vectors):
                    turn = int((math.atan2(x, y) + math.pi) // (math.pi / 4))
                    size = math.log2(min(math.hypot(x, y), 255) + 1)
                    weight = math.ceil(min(size, 8)) / 8
                    found[kind, s // 4, row // 5, column // 5, min(turn, 7)] += weight
    return found.reshape(-1)


def test_it_agrees_with_a_plain_loop() -> None:
    generator = np.random.default_rng(0)
    tracks = generator.uniform(0, 256, (16, 400, 2))
    tracks[:, 200:] = tracks[0, 200:] + generator.normal(0, 3, (16, 200, 2)).cumsum(axis=0)
    np.testing.assert_allclose(motion_features(tracks), by_loop(tracks), rtol=1e-12)


@pytest.mark.parametrize(
    ("step", "bin", "weight"),
    [
        ((3.0, 0.1), 5, 3 / 8),  # log2(4.002), above 2, so 3; atan2(x, y) just below 90 degrees
        ((0.1, 3.0), 4, 3 / 8),
        ((-0.1, 1.0), 3, 2 / 8),
        ((-0.1, -1.0), 0, 2 / 8),
        ((0.1, -600.0), 7, 1.0),  # lengths end at 255
    ],
)
def test_even_motion_fills_one_bin(step: tuple[float, float], bin: int, weight: float) -> None:
    tracks = np.zeros((16, 400, 2)) + np.arange(16)[:, None, None] * np.array(step)
    velocity, acceleration = motion_features(tracks).reshape(2, 4, 16, 8)
    frames = np.array([3, 4, 4, 4])  # frame 0 has no velocity
    expected = np.zeros((4, 16, 8))
    expected[:, :, bin] = 25 * weight * frames[:, None]
    np.testing.assert_allclose(velocity, expected)
    assert acceleration.max() <= 25 * 4 / 8  # rounding of the differences alone


def test_a_jump_of_one_point_is_in_its_own_cell() -> None:
    tracks = np.zeros((16, 20, 20, 2))
    tracks[9:, 7, 13] = (0.0, 7.0)  # log2(8) = 3
    features = motion_features(tracks.reshape(16, 400, 2)).reshape(2, 4, 4, 4, 8)
    expected = np.zeros_like(features)
    expected[0, 2, 1, 2, 4] = 3 / 8
    expected[1, 2, 1, 2, 4] = 3 / 8  # speeds up at frame 9
    expected[1, 2, 1, 2, 7] = 3 / 8  # slows down at frame 10: atan2(0, -7) is pi, clipped to 7
    np.testing.assert_array_equal(features, expected)
    assert features.size == DIMENSION == 1024


def test_still_points_have_no_motion() -> None:
    assert not motion_features(np.full((16, 400, 2), 17.0)).any()


def test_what_is_no_window_is_refused() -> None:
    for shape in ((15, 400, 2), (16, 399, 2), (16, 20, 20, 2)):
        with pytest.raises(EvalError, match=r"tracks must have shape \(16, 400, 2\)"):
            motion_features(np.zeros(shape))
    with pytest.raises(EvalError, match="not finite"):
        motion_features(np.full((16, 400, 2), np.inf))


@pytest.mark.parametrize(("n", "m", "dimension"), [(40, 30, 24), (12, 15, 60)])
def test_the_distance_is_the_formula_with_scipy_s_root(n: int, m: int, dimension: int) -> None:
    generator = np.random.default_rng(n)
    mix = generator.normal(size=(dimension, dimension)) / np.sqrt(dimension)
    x, y = generator.normal(size=(n, dimension)) @ mix, generator.normal(size=(m, dimension)) + 0.3
    a, b, ridge = np.cov(x, rowvar=False), np.cov(y, rowvar=False), 1e-5 * np.eye(dimension)
    root = linalg.sqrtm((a + ridge) @ (b + ridge)).real
    shift = x.mean(axis=0) - y.mean(axis=0)
    expected = shift @ shift + np.trace(a) + np.trace(b) - 2 * np.trace(root)
    assert ridge_frechet(x, y) == pytest.approx(expected, rel=1e-6)
    assert ridge_frechet(x, x) == pytest.approx(-2e-5 * dimension, abs=1e-9)


def moving(speed: float, count: int) -> list[Clip]:
    """Clips of 16 frames of textures that move to the right by ``speed`` px a frame."""
    clips = []
    for seed in range(count):
        noise = np.random.default_rng(seed).normal(size=(64, 160, 3))
        wide = cv2.GaussianBlur(noise, (0, 0), 1.5)
        wide = np.rint(127 + 120 * wide / np.abs(wide).max()).astype(np.uint8)
        starts = [round(speed * (15 - index)) for index in range(16)]
        clips.append(Clip(np.stack([wide[:, start : start + 64] for start in starts]), 8.0))
    return clips


def test_clips_of_another_speed_are_far_apart() -> None:
    """The whole way: squashed frames, tracks, histograms, the distance with its interval."""
    metric = parse_metric("fvmd.tracks_klt.v1")
    evaluator = Evaluator([metric])
    sets = [evaluator.video_features(moving(speed, 4), "tracks_klt") for speed in (1, 1, 3)]
    assert sets[0].shape == (4, DIMENSION)
    same, other = (set_value(metric, sets[0], fake, range(4)) for fake in sets[1:])
    assert same.interval.mean == pytest.approx(-0.02, abs=0.001)
    assert other.interval.low > 100
    assert [caution.code for caution in other.cautions] == ["mostly_bias"]


def test_short_clips_are_refused() -> None:
    [clip] = moving(1, 1)
    evaluator = Evaluator([parse_metric("fvmd.tracks_klt.v1")])
    with pytest.raises(EvalError, match="the clip has 15 frames; 16 are needed"):
        evaluator.video_features([Clip(clip.frames[:15], 8.0)], "tracks_klt")
