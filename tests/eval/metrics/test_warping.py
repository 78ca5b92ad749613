"""Warping error: exact on whole-pixel motion, against OpenCV's remap elsewhere, and blind where it
should be.
"""

import cv2
import numpy as np
import pytest

from eval.errors import EvalError
from eval.metrics.warping import (
    evalcrafter_warping_error,
    read_at,
    seen_pixels,
    visible_pixels,
    warping_error,
)


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


def _evalcrafter_by_loops(frames: np.ndarray, forward: np.ndarray, backward: np.ndarray) -> float:
    """EvalCrafter's rule, pixel by pixel; the place it looks at is held inside the frame."""
    height, width = frames.shape[1:3]
    errors = []
    for one, two, go, come in zip(frames[:-1], frames[1:], forward, backward, strict=True):
        total, count = 0.0, 0
        for row in range(height):
            for column in range(width):
                dx, dy = go[row, column]
                x0, y0 = int(np.floor(column + dx)), int(np.floor(row + dy))
                a, b = column + dx - x0, row + dy - y0
                corners = [
                    (min(max(y, 0), height - 1), min(max(x, 0), width - 1), weight)
                    for y, x, weight in (
                        (y0, x0, (1 - a) * (1 - b)),
                        (y0, x0 + 1, a * (1 - b)),
                        (y0 + 1, x0, (1 - a) * b),
                        (y0 + 1, x0 + 1, a * b),
                    )
                ]
                back = sum(weight * come[y, x] for y, x, weight in corners)
                read = sum(weight * two[y, x] for y, x, weight in corners)
                square = dx * dx + dy * dy
                apart = (dx + back[0]) ** 2 + (dy + back[1]) ** 2
                if apart > 0.01 * (square + back @ back) + 0.5:
                    continue
                jump = 0.0
                if column + 1 < width:
                    jump += ((go[row, column + 1] - go[row, column]) ** 2).sum()
                if row + 1 < height:
                    jump += ((go[row + 1, column] - go[row, column]) ** 2).sum()
                if jump > 0.01 * square + 0.002:
                    continue
                count += 1
                total += ((one[row, column] - read) ** 2).sum()
        errors.append(total / count if count else 0.0)
    return sum(errors) / len(errors)


@pytest.mark.parametrize("steady", [True, False])
def test_evalcrafters_rule_against_loops(steady: bool) -> None:
    generator = np.random.default_rng(7)
    frames = generator.random((4, 12, 15, 3))
    forward = np.broadcast_to(generator.uniform(-3, 3, (3, 1, 1, 2)), (3, 12, 15, 2)).copy()
    forward += generator.normal(0, 0.01 if steady else 0.08, forward.shape)
    backward = -forward + generator.normal(0, 0.4, forward.shape)
    found = evalcrafter_warping_error(frames, forward, backward)
    assert found == pytest.approx(_evalcrafter_by_loops(frames, forward, backward), rel=1e-12)
    assert found != pytest.approx(warping_error(frames, forward, backward), rel=1e-3)


def test_evalcrafter_counts_what_leaves_the_frame_and_no_boundaries() -> None:
    there, back = _flow(3, 0)[0], _flow(-3, 0)[0]
    assert seen_pixels(there, back).all()
    assert not visible_pixels(there, back)[:, 21:].any()
    there[:, 10:] = (4, 0)  # a jump of 1 px: 1 > 0.01 * 9 + 0.002, at the last pixel before it
    back[:, 10:] = (-4, 0)
    seen = seen_pixels(there, back)
    assert not seen[:, 9].any()
    assert seen[:, :6].all()
    assert visible_pixels(there, back)[:, :6].all()
    nothing = evalcrafter_warping_error(np.zeros((2, 20, 24, 3)), _flow(90, 0), _flow(0, 0))
    assert nothing == 0  # no pixel is seen: 0 in EvalCrafter, no value in `warping`


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
    for formula in (warping_error, evalcrafter_warping_error):
        with pytest.raises(EvalError, match=message):
            formula(frames, forward, _flow(0, 0))
