"""Camera verdicts on photographs that are panned, tilted and zoomed by known amounts."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from eval.clips.lossless import Clip
from eval.encoders.tracks import KltEncoder
from eval.measure.catalogue import parse_metric
from eval.measure.evaluator import Evaluator
from eval.metrics.camera_motion import CLASSES, camera_verdicts, query_points
from eval.metrics.strongest_motion import strongest_motion
from eval.samples import Sample

PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "coffee", "rocket", "coins", "moon", "brick")
HEIGHT, WIDTH, FRAMES = 144, 192, 6
WORDS = {
    "pan_left": "pans left",
    "pan_right": "pans right",
    "tilt_up": "tilts up",
    "tilt_down": "tilts down",
    "zoom_in": "zooms in",
    "zoom_out": "zooms out",
    "static": "static",
}


def photograph(name: str) -> np.ndarray:
    picture = getattr(data, name)()
    return np.stack([picture] * 3, axis=-1) if picture.ndim == 2 else picture[..., :3]


def filmed(picture: np.ndarray, camera: str, share: float) -> np.ndarray:
    """uint8 (F, H, W, 3). The picture moves by ``share`` of the shorter side; in a zoom a point in
    the middle of an edge of the shorter side does."""
    rows, columns = picture.shape[:2]
    scale = min(rows / HEIGHT, columns / WIDTH) / 1.35
    smooth, shown = cv2.GaussianBlur(picture, (0, 0), scale / 2), []
    for time in np.linspace(0, 1, FRAMES):
        moved = share * HEIGHT * time
        dx = {"pan_left": moved, "pan_right": -moved}.get(camera, 0.0)
        dy = {"tilt_up": moved, "tilt_down": -moved}.get(camera, 0.0)
        zoom = {"zoom_in": 1 + 2 * share * time, "zoom_out": 1 / (1 + 2 * share * time)}
        step = scale / zoom.get(camera, 1.0)
        left, top = columns / 2 - (WIDTH / 2 + dx) * step, rows / 2 - (HEIGHT / 2 + dy) * step
        matrix = np.array([[step, 0, left], [0, step, top]], np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        shown.append(cv2.warpAffine(smooth, matrix, (WIDTH, HEIGHT), flags=flags))
    return np.stack(shown)


@pytest.fixture(scope="module")
def tracks() -> dict[tuple[str, str, float], np.ndarray]:
    """Tracks of every photograph under every camera, at two strengths."""
    encoder, points = KltEncoder(), query_points(HEIGHT, WIDTH)
    return {
        (name, camera, share): encoder.encode_tracks(filmed(picture, camera, share), points)
        for name, picture in ((name, photograph(name)) for name in PHOTOGRAPHS)
        for camera in CLASSES
        for share in (0.03, 0.1)
    }


def test_the_strongest_motion_is_the_right_one(
    tracks: dict[tuple[str, str, float], np.ndarray],
) -> None:
    wrong = {
        case: found
        for case, points in tracks.items()
        if (found := strongest_motion(points, HEIGHT, WIDTH)) != case[1]
    }
    assert len(wrong) <= 0.05 * len(tracks), wrong


def test_the_right_one_is_among_vbench_s_verdicts(
    tracks: dict[tuple[str, str, float], np.ndarray],
) -> None:
    """The rule of four points names the right motion; of a strong zoom it names pan or tilt too."""
    found = {case: camera_verdicts(points, HEIGHT, WIDTH) for case, points in tracks.items()}
    wrong = {case: names for case, names in found.items() if case[1] not in names}
    assert len(wrong) <= 0.05 * len(found), wrong
    alone = {case for case, names in found.items() if names == (case[1],)}
    plain = {case for case in found if not case[1].startswith("zoom")}
    assert len(plain - alone) <= 0.05 * len(plain), plain - alone
    strong = {case for case in found if case[1].startswith("zoom") and case[2] == 0.1}
    assert len(strong & alone) < len(strong) / 2


def test_the_metrics_read_the_asked_motion_from_the_prompt() -> None:
    metrics = [
        parse_metric(f"{name}.tracks_klt.v1") for name in ("camera_motion", "vbench.camera_motion")
    ]
    frames = filmed(photograph("coffee"), "pan_left", 0.1)
    clip = Clip(frames, 8.0)
    prompts = [f"a cup, camera {WORDS[name]}" for name in CLASSES]
    samples = [Sample(f"s{k}", frames[0], prompt) for k, prompt in enumerate([*prompts, "a cup"])]
    values = Evaluator(metrics).measure(samples, [clip] * len(samples))
    right = dict.fromkeys((metric.id for metric in metrics), 1.0)
    wrong = dict.fromkeys(right, 0.0)
    assert values[0] == right
    assert values[1:7] == [wrong] * 6
    assert values[7] == {}  # no camera motion is asked for, so there is no value
