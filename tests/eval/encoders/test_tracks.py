"""Lucas-Kanade tracks of pictures whose motion is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from eval.encoders import encoder_fingerprint, load_encoder
from eval.encoders.tracks import KltEncoder
from eval.errors import EvalError, WeightsMissingError

SIDE = 96


def texture(seed: int = 0) -> np.ndarray:
    """A smooth random picture, float (3 x SIDE, 3 x SIDE, 3)."""
    noise = np.random.default_rng(seed).normal(size=(3 * SIDE, 3 * SIDE, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return 127 + 100 * smooth / np.abs(smooth).max()


def filmed(dx: float, dy: float, frames: int = 5) -> np.ndarray:
    """The middle of the texture, which moves by (dx, dy) px a frame."""
    shown = []
    for index in range(frames):
        matrix = np.array([[1, 0, index * dx - SIDE], [0, 1, index * dy - SIDE]], np.float32)
        shown.append(cv2.warpAffine(texture(), matrix, (SIDE, SIDE), flags=cv2.INTER_CUBIC))
    return np.clip(np.rint(shown), 0, 255).astype(np.uint8)


POINTS = np.array([[48.0, 48.0], [24.5, 60.25], [66.0, 30.0]], np.float32)


@pytest.mark.parametrize("step", [(1.5, -0.75), (-4.0, 3.0), (0.25, 0.0)])
def test_a_shift_is_found_at_every_point(step: tuple[float, float]) -> None:
    tracks = KltEncoder().encode_tracks(filmed(*step), POINTS)
    expected = POINTS + np.arange(5)[:, None, None] * np.array(step)
    assert tracks.shape == (5, 3, 2)
    assert tracks.dtype == np.float32
    assert np.abs(tracks - expected).max() < 0.15


def test_a_point_that_leaves_the_frame_goes_on_with_its_neighbours() -> None:
    around = np.array([[x, y] for x in (30, 50, 70, 92) for y in (30, 50, 70)], np.float32)
    tracks = KltEncoder().encode_tracks(filmed(6.0, 0.0), around)
    assert np.abs(tracks[-1, -3:, 0] - (92 + 4 * 6)).max() < 1.0


def test_a_flat_wall_follows_the_picture_beside_it() -> None:
    frames = filmed(2.0, 1.0)
    frames[:, :40] = 200  # flat above
    below = [[x, y] for x in (20, 40, 60, 80) for y in (60, 80)]
    tracks = KltEncoder().encode_tracks(frames, np.array([[48, 15], *below], np.float32))
    assert np.abs(tracks[-1, 0] - (48 + 8, 15 + 4)).max() < 1.0


def test_still_frames_and_empty_frames_stay() -> None:
    still = np.repeat(filmed(0, 0, 1), 4, axis=0)
    assert (KltEncoder().encode_tracks(still, POINTS) == POINTS).all()
    levels = np.array([10, 20, 30], np.uint8)[:, None, None, None]
    blank = np.broadcast_to(levels, (3, SIDE, SIDE, 3))
    assert (KltEncoder().encode_tracks(blank, POINTS) == POINTS).all()


def test_tracks_do_not_depend_on_threads() -> None:
    encoder, frames = load_encoder("tracks_klt"), filmed(3.0, -2.0)
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(4)
        first = encoder.encode_tracks(frames, POINTS)
        assert cv2.getNumThreads() == 4
    finally:
        cv2.setNumThreads(threads)
    assert np.array_equal(first, encoder.encode_tracks(frames, POINTS))


def test_wrong_shapes_are_named() -> None:
    for points in (np.zeros((0, 2)), np.zeros((3, 3)), np.full((1, 2), np.nan)):
        with pytest.raises(EvalError, match="points must be finite and have shape"):
            KltEncoder().encode_tracks(filmed(0, 0, 2), points.astype(np.float32))
    with pytest.raises(EvalError, match="frames must"):
        KltEncoder().encode_tracks(np.zeros((2, 8, 8), np.uint8), POINTS)


class Drift:
    """A tracker of one's own, as an environment variable names it."""

    def __init__(self, *, device: str) -> None:
        self.device = device

    @staticmethod
    def fingerprint() -> str:
        return "drift 1"

    def track(self, frames: np.ndarray, points: np.ndarray) -> np.ndarray:
        return points + np.arange(len(frames))[:, None, None]


@pytest.mark.parametrize(
    ("id", "option"), [("cotracker2", "I2V_EVAL_COTRACKER2"), ("pips2", "I2V_EVAL_PIPS2")]
)
def test_a_brought_tracker_is_named_by_a_variable(
    monkeypatch: pytest.MonkeyPatch, id: str, option: str
) -> None:
    monkeypatch.delenv(option, raising=False)
    with pytest.raises(WeightsMissingError, match=f"does not come with this package.*{option}"):
        encoder_fingerprint(id)
    monkeypatch.setenv(option, f"{__name__}:Drift")
    encoder = load_encoder(id)
    found = encoder.encode_tracks(filmed(0, 0, 3), POINTS)
    assert np.array_equal(found[2], POINTS + 2)
    monkeypatch.setattr(Drift, "track", lambda self, frames, points: points)
    with pytest.raises(EvalError, match=r"have shape \(3, 3, 2\)"):
        encoder.encode_tracks(filmed(0, 0, 3), POINTS)
    first = encoder_fingerprint(id)
    monkeypatch.setattr(Drift, "fingerprint", staticmethod(lambda: "drift 2"))
    assert encoder_fingerprint(id) != first
