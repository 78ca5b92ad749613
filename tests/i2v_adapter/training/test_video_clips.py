"""Frames out of video files, and their fit, against what was written and against torch."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from i2v_adapter.training.video_clips import UnusableVideoError, fit, read_clip

LEVEL = 8


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_the_right_frames_from_every_start(
    write_video: Callable[..., None], tmp_path: Path, codec: str
) -> None:
    path = tmp_path / "video.mp4"
    write_video(path, frames=23, codec=codec)
    starts = 23 - 9
    for start in range(starts):
        clip = read_clip(
            str(path), 4, 3, lambda possible, start=start: start if possible == starts else 1 / 0
        ).frames
        assert clip.shape == (4, 32, 48, 3)
        assert clip.dtype == np.uint8
        shown = clip.mean(axis=(1, 2, 3)) / LEVEL
        assert shown.round().tolist() == [start, start + 3, start + 6, start + 9]


def test_a_file_in_memory(write_video: Callable[..., None], tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_video(path, frames=8)
    in_memory = read_clip(io.BytesIO(path.read_bytes()), 3, 2, lambda starts: starts - 1)
    on_disk = read_clip(str(path), 3, 2, lambda starts: starts - 1)
    assert np.array_equal(in_memory.frames, on_disk.frames)


def test_unusable_videos(write_video: Callable[..., None], tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_video(path, frames=9)
    with pytest.raises(
        UnusableVideoError, match=r"has 9 frames with a time stamp, but 4 at stride 3 need 10"
    ):
        read_clip(str(path), 4, 3, lambda starts: 0)
    whole = path.read_bytes()
    with pytest.raises(UnusableVideoError, match="cannot be decoded"):
        read_clip(io.BytesIO(whole[: len(whole) // 2]), 4, 2, lambda starts: 0)
    with pytest.raises(UnusableVideoError, match=r"cannot be decoded \(no such file"):
        read_clip(str(tmp_path / "absent.mp4"), 4, 2, lambda starts: 0)
    data = whole.index(b"mdat") + 4
    with pytest.raises(UnusableVideoError, match="cannot be decoded"):
        read_clip(
            io.BytesIO(whole[:data] + b"\xff" * 400 + whole[data + 400 :]), 4, 2, lambda starts: 0
        )


@pytest.mark.parametrize(
    ("height", "width", "scaled"),
    [(20, 20, (20, 30)), (10, 30, (20, 30)), (40, 40, (40, 60)), (80, 90, (80, 120))],
)
def test_fit_covers_the_size_and_crops_the_centre(
    height: int, width: int, scaled: tuple[int, int]
) -> None:
    row, column = np.mgrid[0:40, 0:60]
    picture = np.stack(
        [row * 6, column * 4, 128 + 60 * np.sin(row / 6 + column / 9)], axis=-1
    ).astype(np.uint8)
    fitted = fit(picture[None], height, width)[0]

    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].double()
    whole = F.interpolate(pixels, scaled, mode="bilinear", align_corners=False, antialias=True)[0]
    top, left = (scaled[0] - height) // 2, (scaled[1] - width) // 2
    expected = whole[:, top : top + height, left : left + width].permute(1, 2, 0).numpy()
    assert fitted.shape == (height, width, 3)
    assert np.abs(fitted - expected).max() <= 1
