"""Pan and zoom: drawn frames and stated flow against an image that is a formula."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from eval.errors import EvalError
from eval.methods.pan_zoom import PanZoom
from eval.samples import Sample

SIZE = 48


def pattern(x, y):
    """A smooth image as a function of the plane, float in 0..255."""
    return 127.5 + 60 * np.sin(0.21 * x + 0.3) * np.cos(0.17 * y) + 40 * np.sin(0.11 * (x + y))


def sample():
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    image = np.repeat(np.rint(pattern(columns, rows))[..., None], 3, axis=2).astype(np.uint8)
    return Sample("a", image, "x")


def make(**settings):
    return PanZoom(PanZoom.Settings(**{"frames": 4, "fps": 8.0, **settings}))


def inner(frame, border=12):
    return frame[border:-border, border:-border].astype(float)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_pan_is_the_pattern_shifted_by_the_stated_flow(seed):
    method = make(pan=2.0, zoom=1.0)
    frames = method.generate([sample()], [seed])[0].frames
    flow = method.flow((SIZE, SIZE), 4, seed)
    dx, dy = flow[0, 0, 0]
    assert np.allclose(flow, [dx, dy])
    assert np.hypot(dx, dy) == pytest.approx(2.0)
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    for index, frame in enumerate(frames):
        expected = pattern(columns - index * dx, rows - index * dy)
        assert (
            np.abs(inner(frame[..., 0]) - inner(expected)).max() < 2.5
        )  # rounding and bilinear interpolation


def test_a_zoom_is_the_pattern_scaled_about_the_middle():
    frames = make(pan=0.0, zoom=1.1).generate([sample()], [0])[0].frames
    rows, columns = np.mgrid[0:SIZE, 0:SIZE] - (SIZE - 1) / 2
    for index, frame in enumerate(frames):
        scaled = pattern(columns / 1.1**index + (SIZE - 1) / 2, rows / 1.1**index + (SIZE - 1) / 2)
        assert np.abs(inner(frame[..., 0], 6) - inner(scaled, 6)).max() < 2.5


@pytest.mark.parametrize("zoom", [1.06, 0.95])
def test_following_the_flow_finds_the_same_pixel_in_the_next_frame(zoom):
    method = make(pan=1.5, zoom=zoom)
    frames = method.generate([sample()], [9])[0].frames
    rows, columns = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    for index, flow in enumerate(method.flow((SIZE, SIZE), 4, 9).astype(np.float32)):
        found = cv2.remap(
            frames[index + 1], columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR
        )
        assert np.abs(inner(found) - inner(frames[index])).max() < 3.5


def test_frame_0_is_the_input_and_the_seed_decides_the_rest():
    method, image = make(), sample()
    one, again, other = (method.generate([image], [seed])[0].frames for seed in (4, 4, 5))
    assert np.array_equal(one[0], image.image)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert method.first_frame == "input"


def test_length_and_rate_are_needed():
    with pytest.raises(
        EvalError, match="sample 'a' has no true clip; give the settings frames and fps"
    ):
        PanZoom(PanZoom.Settings()).generate([sample()], [0])
