"""Colours of a video: matrix, range, HDR and primaries, against closed forms."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from i2v_adapter.media.errors import MediaError
from i2v_adapter.training.video_clips import UnusableVideoError, read_clip
from tests.i2v_adapter.media.written_videos import FRAMES, Frames, read, write

KR_KB = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593), 7: (0.212, 0.087)}
"""Weights of red and blue in luma, by the number of the matrix in ITU-T H.273."""


def planes(rgb: Frames, matrix: int, full: bool) -> NDArray[np.uint8]:
    kr, kb = KR_KB[matrix]
    r, g, b = np.moveaxis(rgb / 255.0, -1, 0)
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr))
    scaled = (255 * y, 128 + 255 * cb, 128 + 255 * cr)
    if not full:
        scaled = (16 + 219 * y, 128 + 224 * cb, 128 + 224 * cr)
    return np.clip(np.rint(np.stack(scaled)), 0, 255).astype(np.uint8)


def fill(frame: Any, values: NDArray[Any]) -> None:
    for plane, part in zip(frame.planes, values, strict=True):
        rows = np.frombuffer(plane, part.dtype).reshape(plane.height, -1).copy()
        rows[:, : part.shape[1]] = part
        plane.update(rows.tobytes())


TAGGED = [(matrix, full, True) for matrix in KR_KB for full in (False, True)]


@pytest.mark.parametrize(("matrix", "full", "tagged"), [*TAGGED, (6, False, False)])
def test_colour_matrix_and_range(matrix: int, full: bool, tagged: bool, tmp_path: Path) -> None:
    def prepare(stream: Any) -> None:
        stream.codec_context.colorspace = matrix if tagged else 2
        stream.codec_context.color_range = (2 if full else 1) if tagged else 0

    numbers = iter(range(len(FRAMES)))

    def paint(frame: Any) -> None:
        fill(frame, planes(FRAMES[next(numbers)], matrix, full))
        frame.colorspace = matrix if tagged else 2
        frame.color_range = (2 if full else 1) if tagged else 0

    frames, notes, _ = read(write(tmp_path / "a.mp4", prepare=prepare, paint=paint))
    assert np.abs(frames.astype(int) - FRAMES).max() <= 2
    assert notes == ([] if tagged else ["no colour matrix is stated; it was read as BT.601"])


def pq(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse EOTF of SMPTE ST 2084; cd/m2 -> [0, 1]."""
    power = (light / 10000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def hlg(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse EOTF of HLG on a display of 1000 cd/m2 (ITU-R BT.2100); cd/m2 -> [0, 1]."""
    luminance = light @ [0.2627, 0.6780, 0.0593]
    scene = light / 1000 * np.maximum(luminance / 1000, 1e-9)[..., None] ** (1 / 1.2 - 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    log = a * np.log(np.maximum(12 * scene - b, 1e-9)) + c
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), log)


def hdr(path: Path, encode: Callable[[Any], Any], transfer: int, primaries: int = 9) -> Path:
    """The frames on a display whose white has 203 cd/m2, as HDR video of 10 bits."""
    values = FRAMES / 255.0
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    to_2020 = np.array(
        [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
    )
    signal = encode(linear @ to_2020.T * 203)
    r, g, b = np.moveaxis(signal, -1, 0)
    y = 0.2627 * r + 0.6780 * g + 0.0593 * b
    parts = np.stack([64 + 876 * y, 512 + 896 * (b - y) / 1.8814, 512 + 896 * (r - y) / 1.4746], 1)
    pictures = iter(np.clip(np.rint(parts), 0, 1023).astype("<u2"))

    def prepare(stream: Any) -> None:
        context = stream.codec_context
        context.colorspace, context.color_range = 9, 1
        context.color_primaries, context.color_trc = primaries, transfer

    def paint(frame: Any) -> None:
        fill(frame, next(pictures))
        frame.colorspace, frame.color_range = 9, 1

    return write(path, pixels="yuv444p10le", prepare=prepare, paint=paint)


@pytest.mark.parametrize(("name", "encode", "transfer"), [("PQ", pq, 16), ("HLG", hlg, 18)])
def test_hdr_is_refused_or_tone_mapped(
    name: str, encode: Any, transfer: int, tmp_path: Path
) -> None:
    path = hdr(tmp_path / "a.mp4", encode, transfer)
    message = f"HDR video, {name} .*convert it to SDR .BT.709., or choose hdr 'tone-map'"
    with pytest.raises(MediaError, match=message):
        read(path)
    with pytest.raises(UnusableVideoError, match=message):
        read_clip(str(path), 4, 2, lambda starts: 0)
    frames, notes, _ = read(path, hdr="tone-map")
    error = np.abs(frames.astype(int) - FRAMES)
    assert error.mean() < 1.5
    assert error.max() <= 16  # in dark blue, where 10 bits of BT.2020 are coarse
    assert any(note.startswith(f"HDR, {name}") and "tone-mapped" in note for note in notes)
    trained = read_clip(str(path), 4, 2, lambda starts: 1, hdr="tone-map")
    assert np.array_equal(trained.frames, frames[1:8:2])


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"colorspace": 8}, "colour matrix .number 8 of ITU-T H.273. is not supported"),
        ({"color_trc": 8}, "its values are linear, not meant for display"),
    ],
)
def test_colours_that_cannot_be_converted(
    attributes: dict[str, int], message: str, tmp_path: Path
) -> None:
    def prepare(stream: Any) -> None:
        for key, value in attributes.items():
            setattr(stream.codec_context, key, value)

    path = write(tmp_path / "a.mp4", prepare=prepare)
    with pytest.raises(MediaError, match=message):
        read(path)


def test_wide_primaries_are_noted(tmp_path: Path) -> None:
    def prepare(stream: Any) -> None:
        stream.codec_context.color_primaries = 12

    notes = read(write(tmp_path / "a.mp4", prepare=prepare))[1]
    assert notes == ["Display P3 primaries were read as those of BT.709"]
