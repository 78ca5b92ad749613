"""GIFs: held frames, delays, and uneven ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from i2v_adapter.media.errors import MediaError
from i2v_adapter.training.video_clips import read_clip
from tests.i2v_adapter.media.written_videos import FRAMES, read

PALETTE = [
    Image.fromarray(np.roll(FRAMES[0], 3 * k, axis=1)).quantize(64).convert("RGB")
    for k in range(16)
]


def gif(path: Path, order: Sequence[int], duration: Any = 125) -> Path:
    """As Pillow and diffusers' export_to_gif write it: equal neighbours become one picture."""
    pictures = [PALETTE[k] for k in order]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=duration, loop=0)
    return path


HELD: dict[str, list[int]] = {
    "moving": list(range(16)),
    "held at the end": [*range(12), 11, 11, 11, 11],
    "held at the start": [0, 0, 0, 0, *range(12)],
    "held in the middle": [*range(8), 7, 7, 7, 7, *range(8, 12)],
    "held for long": [0, *[1] * 14, 2],
    "held everywhere but once": [0, 0, 0, 1, 1, 1, 1, 2, 3, 3, 3, 3, 3, 4, 4, 4],
    "still": [3] * 16,
}


@pytest.mark.parametrize("duration", [40, 80, 120, 125])
@pytest.mark.parametrize("case", HELD)
def test_held_gif_frames_are_repeated(case: str, duration: int, tmp_path: Path) -> None:
    order = HELD[case]
    path = gif(tmp_path / "a.gif", order, duration)
    frames, notes, fps = read(path)
    if case == "still":  # no rate is stated: 8 frames a second, over the same time
        assert (fps, len(frames)) == (8.0, round(16 * duration / 125))
        assert notes[0].startswith("holds one picture; it was repeated")
        return
    expected = np.stack([np.asarray(PALETTE[k]) for k in order])
    assert np.array_equal(frames, expected)
    assert fps == pytest.approx(100 / (duration // 10))
    assert bool(notes) == (case != "moving")
    trained = read_clip(str(path), 4, 5, lambda starts: 0)
    assert np.array_equal(trained.frames, frames[::5])


def test_gifs_without_a_delay_run_at_ten_frames_a_second(tmp_path: Path) -> None:
    assert read(gif(tmp_path / "a.gif", range(16), 0))[2] == 10
    _, notes, fps = read(gif(tmp_path / "b.gif", range(16), 10))
    assert (fps, notes) == (10, ["delays below 20 ms were taken for 100 ms, as players do"])


def test_uneven_gifs_are_refused(tmp_path: Path) -> None:
    path = gif(tmp_path / "a.gif", range(6), [100, 100, 150, 170, 100, 130])
    with pytest.raises(MediaError, match="frame durations vary from 100 to 170 ms"):
        read(path)
