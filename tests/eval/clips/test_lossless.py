"""Clips on disk: every bit comes back, equal clips are equal files, and errors name the file."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eval.clips.lossless import (
    Clip,
    open_clip,
    read_clip,
    read_format,
    rounded_clip,
    write_clip,
)
from eval.errors import EvalError, StoreError


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 40), st.integers(1, 40)),
    fps=st.one_of(st.sampled_from([8.0, 24000 / 1001, 29.97]), st.floats(0.5, 240)),
    seed=st.integers(0, 99),
)
def test_what_is_written_is_read(
    shape: tuple[int, int, int], fps: float, seed: int, tmp_path: Path
) -> None:
    frames = np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)
    write_clip(tmp_path / "a.mkv", Clip(frames, fps))
    write_clip(tmp_path / "b.mkv", Clip(frames.copy(), fps))
    read = read_clip(tmp_path / "a.mkv")
    assert np.array_equal(read.frames, frames)
    assert read.fps == fps
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()


def test_frames_need_not_be_contiguous(tmp_path: Path) -> None:
    frames = (
        np.random.default_rng(0)
        .integers(0, 256, (3, 20, 16, 3), dtype=np.uint8)
        .transpose(0, 2, 1, 3)[:, ::-1]
    )
    write_clip(tmp_path / "a.mkv", Clip(frames, 8))
    assert np.array_equal(read_clip(tmp_path / "a.mkv").frames, frames)
    assert Clip(frames, 8).fingerprint == Clip(frames.copy(), 8.0).fingerprint


def test_frames_come_one_by_one_and_the_header_tells_of_them(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (7, 18, 26, 3), dtype=np.uint8)
    for fps in (8.0, 24000 / 1001, 240.0, 0.5):
        write_clip(tmp_path / "a.mkv", Clip(frames, fps))
        assert read_format(tmp_path / "a.mkv") == (7, 18, 26, fps)
        with open_clip(tmp_path / "a.mkv") as clip:
            assert (clip.count, clip.height, clip.width, clip.fps) == (7, 18, 26, fps)
            for number, frame in enumerate(clip.frames):
                assert np.array_equal(frame, frames[number])
            assert number == 6
        with open_clip(tmp_path / "a.mkv") as clip:
            assert np.array_equal(next(clip.frames), frames[0])


def test_a_folder_whose_name_looks_like_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clip = Clip(np.zeros((2, 8, 8, 3), np.uint8), 8.0)
    for name in ("run:1/a.mkv", "concat:a.mkv", "%03d.mkv"):
        write_clip(name, clip)
        assert np.array_equal(read_clip(name).frames, clip.frames)


def test_fingerprint_sees_pixels_shape_and_rate() -> None:
    frames = np.zeros((2, 4, 6, 3), np.uint8)
    other = frames.copy()
    other[1, 3, 5, 2] = 1
    clips = [Clip(frames, 8), Clip(other, 8), Clip(frames, 9), Clip(frames.reshape(2, 6, 4, 3), 8)]
    assert len({clip.fingerprint for clip in clips}) == 4


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mkv"
    write_clip(path, Clip(np.zeros((2, 8, 8, 3), np.uint8), 8))
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(StoreError, match="disk full"):
        write_clip(path, Clip(np.ones((2, 8, 8, 3), np.uint8), 8))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("frames", "fps", "message"),
    [
        (np.zeros((2, 8, 8, 3), np.float32), 8, "uint8 array, not float32"),
        (np.zeros((8, 8, 3), np.uint8), 8, r"not \(8, 8, 3\)"),
        (np.zeros((2, 8, 8, 4), np.uint8), 8, r"not \(2, 8, 8, 4\)"),
        (np.zeros((0, 8, 8, 3), np.uint8), 8, r"not \(0, 8, 8, 3\)"),
        (np.zeros((2, 8, 8, 3), np.uint8), 0, "not 0"),
        (np.zeros((2, 8, 8, 3), np.uint8), float("nan"), "not nan"),
    ],
)
def test_bad_clips(frames: np.ndarray, fps: float, message: str) -> None:
    with pytest.raises(EvalError, match=message):
        Clip(frames, fps)


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=r"gone\.mkv: clip file not found"):
        read_clip(tmp_path / "gone.mkv")
    (tmp_path / "text.mkv").write_text("not a video")
    with pytest.raises(EvalError, match=r"text\.mkv: not a readable video"):
        read_clip(tmp_path / "text.mkv")


def test_generated_values_are_rounded_and_never_invented() -> None:
    values = np.array([[[[0.0, 1.0, 0.5]]], [[[-0.2, 1.3, 254.4 / 255]]]])
    assert rounded_clip(values, 8.0).frames.tolist() == [[[[0, 255, 128]]], [[[0, 255, 254]]]]
    values[1, 0, 0, 2] = np.nan
    with pytest.raises(
        EvalError, match="1 of 6 generated values are not finite; are the weights sound"
    ):
        rounded_clip(values, 8.0)
