"""Warping error: exact on whole-pixel motion, against OpenCV's remap elsewhere, and blind where it
should be.
"""

import cv2
import numpy as np
import pytest

from eval.errors import EvalError
from eval.metrics.warping import read_at, visible_pixels, warping_error


def _flow(dx: float, dy: float, height: int = 20, width: int = 24) -> np.ndarray:
    return np.broadcast_to(np.array([dx, dy]), (1, height, width, 2)).copy()


def test_a_whole_pixel_pan_leaves_no_error() -> None:
    scene = np.random.default_rng(0).random((30, 40, 3))
    frames = np.stack(
        [scene[5:25, 8:32], scene[4:24, 6:30]]
    )  # the second window lies 2 px left and 1 px up
    assert warping_error(frames, _flow(2, 1), _flow(-2, -1)) == pytest.approx(0, abs=1e-24)
    assert (
        warping_error(frames, _flow(0, 0), _flow(0, 0)) > 0.3
    )  # two independent uniforms differ by 1/6 a channel


def test_the_error_is_the_squared_difference_of_what_both_frames_show() -> None:
    frames = np.zeros((2, 20, 24, 3))
    frames[1] = 0.25
    frames[1, :, :2] = 1.0  # moved into the picture: nothing in frame 0 leads there
    assert warping_error(frames, _flow(2, 0), _flow(-2, 0)) == pytest.approx(3 * 0.25**2)


def test_reading_between_pixels_agrees_with_opencv() -> None:
    generator = np.random.default_rng(1)
    image = generator.random((20, 24, 3)).astype(np.float32)
    flow = generator.uniform(-4, 4, (20, 24, 2)).astype(np.float32)
    rows, columns = np.mgrid[0:20, 0:24].astype(np.float32)
    expected = cv2.remap(
        image,
        columns + flow[..., 0],
        rows + flow[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    found = read_at(image.astype(np.float64), flow.astype(np.float64))
    assert np.abs(found - expected).max() < 0.02  # OpenCV's weights have 5 bits


def test_pixels_that_leave_or_do_not_come_back_are_occluded() -> None:
    there, back = _flow(3, 0)[0], _flow(-3, 0)[0]
    visible = visible_pixels(there, back)
    assert visible[:, :21].all()
    assert not visible[:, 21:].any()
    back[:, 10:14] = 0  # the place they go to does not lead back
    assert not visible_pixels(there, back)[:, 7:11].any()
    small = visible_pixels(
        _flow(0.4, 0)[0], _flow(0, 0)[0]
    )  # 0.16 px^2 is within the tolerance of 0.5
    assert small[:, :23].all()


def test_a_pair_that_shows_nothing_twice_has_no_value() -> None:
    with pytest.raises(EvalError, match="no pixel of any of the 1 pairs"):
        warping_error(np.zeros((2, 20, 24, 3)), _flow(90, 0), _flow(-90, 0))


@pytest.mark.parametrize(
    ("frames", "forward", "message"),
    [
        (np.zeros((1, 20, 24, 3)), _flow(0, 0), r"F 2 or more, got \(1, 20, 24, 3\)"),
        (
            np.full((2, 20, 24, 3), 255.0),
            _flow(0, 0),
            r"must lie in \[0, 1\], these reach from 255.0 to 255.0",
        ),
        (np.full((2, 20, 24, 3), np.nan), _flow(0, 0), r"must lie in \[0, 1\]"),
        (
            np.zeros((2, 20, 24, 3)),
            _flow(0, 0, 10),
            r"must have shape \(1, 20, 24, 2\), got \(1, 10",
        ),
        (np.zeros((2, 20, 24, 3)), _flow(np.inf, 0), "not finite"),
    ],
)
def test_bad_input_is_named(frames: np.ndarray, forward: np.ndarray, message: str) -> None:
    with pytest.raises(EvalError, match=message):
        warping_error(frames, forward, _flow(0, 0))
