"""Camera verdicts on tracks whose camera is known."""

import numpy as np
import pytest

from eval.errors import EvalError
from eval.metrics.camera_motion import CLASSES, asked_class, camera_motion, camera_verdicts

HEIGHT, WIDTH = 400, 600  # a threshold of 2 px
CENTRE = np.array([WIDTH / 2, HEIGHT / 2])


def grid() -> np.ndarray:
    """Integer coordinates, so that truncation changes none of them."""
    xs, ys = np.rint(np.linspace(40, 560, 10)), np.rint(np.linspace(20, 380, 10))
    x, y = np.meshgrid(xs, ys)
    return np.stack([x, y], axis=-1).reshape(100, 2)


def tracks(shift: tuple[float, float] = (0, 0), scale: float = 1.0, frames: int = 5) -> np.ndarray:
    """Points seen by a camera that moves evenly: they shift, and spread from the centre."""
    share = np.linspace(0, 1, frames)[:, None, None]
    last = CENTRE + (grid() - CENTRE) * scale + np.array(shift)
    return grid() * (1 - share) + last * share


CAMERAS = {
    "pan_left": tracks((30, 0)),  # a camera that turns left moves the picture to the right
    "pan_right": tracks((-30, 0)),
    "tilt_up": tracks((0, 30)),
    "tilt_down": tracks((0, -30)),
    "zoom_in": tracks(scale=1.05),
    "zoom_out": tracks(scale=0.95),
    "static": tracks(),
}


@pytest.mark.parametrize("name", CLASSES)
def test_each_class_is_found(name: str) -> None:
    assert camera_verdicts(CAMERAS[name], HEIGHT, WIDTH) == (name,)
    values = [camera_motion(CAMERAS[name], HEIGHT, WIDTH, asked) for asked in CLASSES]
    assert values == [float(asked == name) for asked in CLASSES]


def test_a_strong_zoom_shows_pan_and_tilt_too() -> None:
    """Row and column 5 of 10 lie off the middle, so that their points move sideways as well."""
    found = camera_verdicts(tracks(scale=1.2), HEIGHT, WIDTH)
    assert found == ("pan_left", "tilt_up", "zoom_in")
    found = camera_verdicts(tracks(scale=0.8), HEIGHT, WIDTH)
    assert found == ("pan_right", "tilt_down", "zoom_out")


def moved(**edges: tuple[float, float]) -> np.ndarray:
    """Tracks of which only the four points move; all others run far to the right."""
    first = np.full((10, 10, 2), 100.0)
    last = first + 300.0
    places = {"top": (0, 5), "bottom": (9, 5), "left": (5, 0), "right": (5, 9)}
    for edge, place in places.items():
        last[place] = first[place] + edges.get(edge, (0.0, 0.0))
    return np.stack([first, last]).reshape(2, 100, 2)


L, R, U, D, UL = (-9, 0), (9, 0), (0, -9), (0, 9), (-9, -9)


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ({}, ("static",)),
        ({"top": U, "bottom": D}, ("zoom_in",)),  # static of left and right gives way
        ({"top": D, "bottom": U}, ("zoom_out",)),
        ({"left": L, "right": R}, ("zoom_in",)),
        ({"left": R, "right": L}, ("zoom_out",)),
        ({"top": L, "bottom": R}, ("None",)),  # static gives way to None as well
        ({"top": L, "bottom": R, "left": U, "right": U}, ("tilt_down",)),
        ({"top": UL, "bottom": UL}, ("pan_right", "tilt_down")),
        ({"top": UL, "bottom": (-9, 9)}, ("pan_right", "zoom_in")),
        ({"top": L, "bottom": L, "left": R, "right": R}, ("pan_left", "pan_right")),
        ({"top": L, "bottom": (0, 0), "left": U, "right": D}, ("None",)),
    ],
)
def test_words_of_the_four_points_combine(
    edges: dict[str, tuple[float, float]], expected: tuple[str, ...]
) -> None:
    assert camera_verdicts(moved(**edges), HEIGHT, WIDTH) == expected


@pytest.mark.parametrize(("step", "expected"), [(2, "static"), (3, "pan_left")])
def test_the_threshold_itself_is_not_exceeded(step: int, expected: str) -> None:
    assert camera_verdicts(tracks((step, 0)), HEIGHT, WIDTH) == (expected,)
    assert camera_verdicts(tracks((step, 0)), WIDTH, HEIGHT) == (expected,)  # the shorter side


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        (10.0, 12.99, "static"),  # 2.99 px become 2
        (10.9, 13.0, "pan_left"),  # 2.1 px become 3
        (-1.9, 2.1, "pan_left"),  # towards 0, not downwards: -1 to 2
        (-0.9, 2.9, "static"),
    ],
)
def test_coordinates_are_truncated_before_they_are_subtracted(
    start: float, stop: float, expected: str
) -> None:
    first, last = np.full((100, 2), start), np.full((100, 2), stop)
    first[:, 1] = last[:, 1] = 50.7
    assert camera_verdicts(np.stack([first, last]), HEIGHT, WIDTH) == (expected,)


def test_only_the_first_and_the_last_frame_count() -> None:
    shaken = CAMERAS["static"].copy()
    shaken[1:-1] += 100
    assert camera_verdicts(shaken, HEIGHT, WIDTH) == ("static",)


def test_the_asked_class_is_read_from_the_prompt() -> None:
    asked = [
        asked_class(f"a lake, camera {words}-3.mp4")
        for words in ("pans left", "pans right", "tilts up", "tilts down")
    ]
    asked += [
        asked_class(f"a lake, camera {words}") for words in ("zooms in", "zooms out", "static")
    ]
    assert asked == list(CLASSES)
    with pytest.raises(EvalError, match="names no camera motion"):
        asked_class("a lake")


def test_what_is_no_track_is_refused() -> None:
    for wrong in (tracks()[:1], tracks()[:, :99], tracks()[..., :1], tracks()[0]):
        with pytest.raises(EvalError, match=r"tracks must have shape \(T, 100, 2\)"):
            camera_verdicts(wrong, HEIGHT, WIDTH)
    lost = tracks()
    lost[-1, 0] = np.nan
    with pytest.raises(EvalError, match="not finite"):
        camera_verdicts(lost, HEIGHT, WIDTH)
    with pytest.raises(EvalError, match="unknown"):
        camera_motion(tracks(), HEIGHT, WIDTH, "pans left")
