"""Film strips hold the clip's own pixels; large clips are reduced and say so."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.clips.lossless import Clip
from eval.errors import EvalError
from reports.page.media import Film, film, picture


def _decoded(made: Film) -> np.ndarray:
    header, data = made.uri.split(",")
    assert header == "data:image/webp;base64"
    assert base64.b64decode(data) == made.data
    return np.asarray(Image.open(io.BytesIO(made.data)).convert("RGB"))


def _frame(made: Film, number: int) -> np.ndarray:
    """As the page's CSS shows it: columns before rows."""
    row, column = divmod(number, made.columns)
    strip = _decoded(made)
    top, left = row * made.height, column * made.width
    return strip[top : top + made.height, left : left + made.width]


def test_lossless_strip_is_the_clip_bit_for_bit() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, 12, 20, 3), dtype=np.uint8)
    made = film(Clip(frames, 10.0), lossless=True)
    assert (made.width, made.height, made.frames, made.seconds) == (20, 12, 5, 0.5)
    assert (made.rows, made.held, made.reduced) == (1, 0, False)
    for i, frame in enumerate(frames):
        np.testing.assert_array_equal(_frame(made, i), frame)


def test_a_lossy_strip_is_smaller_and_close() -> None:
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    frames = np.stack([np.roll(np.tile(ramp[:, None, None], (1, 64, 3)), k, 0) for k in range(6)])
    made, whole = film(Clip(frames, 8.0)), film(Clip(frames, 8.0), lossless=True)
    assert abs(_decoded(made).astype(int) - _decoded(whole)).mean() < 2.5
    noise = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
    assert len(film(Clip(noise, 8.0)).data) < 0.7 * len(film(Clip(noise, 8.0), lossless=True).data)


def test_frames_keep_their_size_until_a_strip_is_too_large() -> None:
    frames = np.full((2, 320, 640, 3), 90, np.uint8)
    assert (film(Clip(frames, 8.0)).width, film(Clip(frames, 8.0)).reduced) == (640, False)
    made = film(Clip(frames, 8.0), most_pixels=2 * 160 * 320)
    assert made.reduced
    assert (made.width, made.height) == (320, 160)
    assert abs(_decoded(made).astype(int) - 90).max() <= 2


@pytest.mark.parametrize(
    ("count", "side", "rows", "held"),
    [(102, 160, 1, 0), (121, 160, 11, 0), (129, 160, 3, 0), (49, 512, 7, 0), (97, 256, 2, 1)],
)
def test_long_clips_are_rows_of_frames(count: int, side: int, rows: int, held: int) -> None:
    frames = np.zeros((count, 8, side, 3), np.uint8)
    frames[:] = (2 * np.arange(count) % 256)[:, None, None, None]
    made = film(Clip(frames, 24.0), lossless=True)
    assert (made.held, made.frames) == (held, count + held)
    assert made.rows >= (1 if rows == 1 else 2)
    assert made.columns * side <= 16383
    assert made.seconds == pytest.approx((count + held) / 24)
    for number in (0, 1, made.columns - 1, made.columns, count - 1):
        at = min(number, count - 1)
        np.testing.assert_array_equal(_frame(made, at), frames[at])
    if held:
        np.testing.assert_array_equal(_frame(made, made.frames - 1), frames[-1])


def test_still_picture(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    made = picture(tmp_path / "image.png", lossless=True)
    assert (made.width, made.height, made.frames) == (7, 9, 1)
    np.testing.assert_array_equal(_decoded(made), pixels)


def test_unreadable_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(b"not an image")
    with pytest.raises(EvalError, match=r"image\.png: not a readable image"):
        picture(tmp_path / "image.png")
