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
from reports.media import LONGEST_SIDE, film, picture


def _decoded(uri: str) -> np.ndarray:
    header, data = uri.split(",")
    assert header == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


def test_strip_is_the_clip_bit_for_bit() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, 12, 20, 3), dtype=np.uint8)
    made = film(Clip(frames, 10.0))
    assert (made.width, made.height, made.frames, made.seconds, made.reduced) == (
        20,
        12,
        5,
        0.5,
        False,
    )
    strip = _decoded(made.uri)
    for i, frame in enumerate(frames):
        np.testing.assert_array_equal(strip[:, 20 * i : 20 * (i + 1)], frame)


def test_large_frames_are_reduced_in_proportion() -> None:
    frames = np.full((2, 2 * LONGEST_SIDE, 4 * LONGEST_SIDE, 3), 90, np.uint8)
    made = film(Clip(frames, 8.0))
    assert made.reduced
    assert (made.width, made.height) == (LONGEST_SIDE, LONGEST_SIDE // 2)
    assert _decoded(made.uri).shape == (LONGEST_SIDE // 2, 2 * LONGEST_SIDE, 3)
    assert abs(_decoded(made.uri).astype(int) - 90).max() <= 2


def test_too_many_frames_for_one_picture() -> None:
    with pytest.raises(
        EvalError,
        match="a clip of 200 frames is too long for the page, which holds 163 of 100 px width",
    ):
        film(Clip(np.zeros((200, 1, 100, 3), np.uint8), 8.0))


def test_still_picture(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    made = picture(tmp_path / "image.png")
    assert (made.width, made.height, made.frames) == (7, 9, 1)
    np.testing.assert_array_equal(_decoded(made.uri), pixels)


def test_unreadable_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(b"not an image")
    with pytest.raises(EvalError, match=r"image\.png: not a readable image"):
        picture(tmp_path / "image.png")
