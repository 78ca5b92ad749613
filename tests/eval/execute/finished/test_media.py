"""Media files of every kind as finished clips: what can be scored is, what cannot is named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eval.clips.media import read_media
from tests.eval.execute.finished.clip_files import (
    FRAMES,
    alpha_webm,
    clear_folder,
    cut,
    frame_folder,
    gif,
    image_named_mp4,
    invoke,
    manifest,
    misnamed_webm,
    rotated,
    transparent,
    video,
)

Maker = Callable[[Path], None]
BAD: dict[str, tuple[str, Maker, str]] = {
    "cut mp4": ("c.mp4", lambda p: cut(p, 0.9), "not a readable mp4|cut short"),
    "cut mp4, header first": ("c.mp4", lambda p: cut(p, 0.9, movflags="faststart"), "cut short"),
    "cut mkv": ("c.mkv", lambda p: cut(p, 0.7, codec="ffv1", pixels="bgr0"), "cut short"),
    "cut webm": (
        "c.webm",
        lambda p: cut(p, 0.95, codec="libvpx-vp9", pixels="yuv420p"),
        "cut short",
    ),
    "cut gif": ("c.gif", lambda p: cut(p, 0.95), "end mark is missing; the file is cut short"),
    "cut array": (
        "c.npy",
        lambda p: (np.save(p, FRAMES), p.write_bytes(p.read_bytes()[:900]))[0],
        "cut short",
    ),
    "zero bytes": ("c.mp4", lambda p: p.touch(), "the file is empty (0 bytes)"),
    "empty folder": ("c", lambda p: p.mkdir(), "the folder holds no frames"),
    "one frame": ("c.mp4", lambda p: video(p, FRAMES[:1]), "the clip has 1 frame; 2 or more"),
    "one image": ("c", lambda p: frame_folder(p, [FRAMES[0]]), "the clip has 1 frame; 2 or more"),
    "variable rate": (
        "c.mkv",
        lambda p: video(p, times=[0, 125, 500, 625]),
        "frame durations vary from 125 to 375 ms; convert the clip to a constant rate",
    ),
    "transparent gif": ("c.gif", transparent, "transparent pixels; flatten it"),
    "webm with alpha": ("c.webm", alpha_webm, "an alpha channel; flatten it"),
    "transparent frames": ("c", clear_folder, "f9.png' has transparent pixels; flatten it"),
    "frames of two sizes": (
        "c",
        lambda p: frame_folder(p, [FRAMES[0], FRAMES[1][:16]]),
        "frames of several sizes (48 x 16, 48 x 32)",
    ),
    "huge video": (
        "c.mp4",
        lambda p: video(p, np.zeros((8, 160, 160, 3), np.uint8)),
        "over the limit of 100,000",
    ),
    "huge array": (
        "c.npy",
        lambda p: np.save(p, np.zeros((8, 160, 160, 3), np.uint8)),
        "over the limit of 100,000",
    ),
    "image named mp4": ("c.mp4", image_named_mp4, "not a readable mp4"),
    "text named mp4": (
        "c.mp4",
        lambda p: (p.write_text("hello " * 99), None)[1],
        "not a readable mp4",
    ),
    "playlist named mp4": (
        "c.mp4",
        lambda p: (p.write_text("#EXTM3U\n#EXTINF:1,\n../secret.mp4\n#EXT-X-ENDLIST\n"), None)[1],
        "not a readable mp4",
    ),
    "no file": ("c.mp4", lambda p: None, "clip 'c.mp4' is not in"),
    "leaves the folder": ("../out.mp4", video, "clip '../out.mp4' leaves the folder"),
    "a link that leaves the folder": (
        "c.mp4",
        lambda p: (video(p.parents[1] / "out.mp4"), p.symlink_to(p.parents[1] / "out.mp4"))[1],
        "clip 'c.mp4' leaves the folder",
    ),
    "wrong shape": (
        "c.npy",
        lambda p: np.save(p, FRAMES.transpose(0, 3, 1, 2)),
        "shape (4, 3, 32, 48)",
    ),
    "wrong range": ("c.npy", lambda p: np.save(p, FRAMES / 127.5 - 1), "has values from -1 to"),
    "wrong type": ("c.npy", lambda p: np.save(p, FRAMES.astype(np.int32)), "values of type int32"),
    "not a number": (
        "c.npy",
        lambda p: np.save(p, np.full((4, 8, 8, 3), np.nan)),
        "frame 0 holds values that are not",
    ),
    "pickle": (
        "c.npy",
        lambda p: np.save(p, np.array([{}, {}]), allow_pickle=True),
        "not a readable .npy array",
    ),
    "features that are not finite": ("c.mp4", video, "is nan for sample/seed bad/0"),
}
GOOD: dict[str, tuple[str, Maker, str]] = {
    "mp4": ("c.mp4", video, ""),
    "mkv": ("c.mkv", lambda p: video(p, codec="ffv1", pixels="bgr0"), ""),
    "odd size": ("c.mkv", lambda p: video(p, FRAMES[:, :31, :47], codec="ffv1", pixels="bgr0"), ""),
    "webm": ("c.webm", lambda p: video(p, codec="libvpx-vp9", pixels="yuv420p"), ""),
    "gif": ("c.gif", gif, ""),
    "frames": ("c", frame_folder, ""),
    "array": ("c.npy", lambda p: np.save(p, FRAMES), ""),
    "float array": ("c.npy", lambda p: np.save(p, FRAMES / 255), ""),
    "10 bits": (
        "c.mp4",
        lambda p: video(p, pixels="yuv444p10le"),
        "10 bits a channel were reduced to 8",
    ),
    "rotated": ("c.mp4", rotated, "turned by -90 degrees, as its display matrix says"),
    "misnamed": ("c.gif", misnamed_webm, "named '.gif', but holds Matroska / WebM"),
}


@pytest.mark.parametrize("case", [*BAD, *GOOD])
def test_media(case: str, clips: Path, measured: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    name, make, expected = BAD[case] if case in BAD else GOOD[case]
    make(clips / name)
    monkeypatch.setattr("eval.clips.media.MAX_PIXELS", 100_000)
    measured.nan_on = "bad" if "finite" in case else ""
    rows = [
        {"id": "good", "clip": "good.mkv", "prompt": "x"},
        {"id": "bad", "clip": name, "prompt": "y"},
    ]
    result = invoke(clips, manifest(clips, rows), "--fps", "8")
    named = [
        line
        for line in result.stderr.splitlines()
        if line.startswith(("failed", "warning: clip of"))
    ]
    assert result.exit_code == (3 if case in BAD else 0), result.output
    if not expected:
        assert named == []
        return
    [line] = named
    assert any(part in line for part in expected.split("|"))
    assert line.startswith(
        "failed: line 3, id 'bad': " if case in BAD else "warning: clip of sample 'bad', method "
    )
    summary = pd.read_csv(clips.parent / "out" / "summary.csv")
    assert set(summary["n"]) == {1 if case in BAD else 2}
    failures = pd.read_csv(clips.parent / "out" / "failures.csv")
    assert list(failures["id"]) == (["bad"] if case in BAD else [])


@pytest.mark.parametrize("case", GOOD)
def test_pixels_and_rate(case: str, tmp_path: Path) -> None:
    name, make, _ = GOOD[case]
    make(tmp_path / name)
    clip = read_media(tmp_path / name, fps=8.0).clip
    expected = (
        np.rot90(FRAMES, -1, (1, 2)) if case == "rotated" else FRAMES[:, : clip.frames.shape[1]]
    )
    expected = expected[:, :, : clip.frames.shape[2]]
    assert clip.frames.shape == expected.shape
    error = np.abs(clip.frames.astype(int) - expected).mean()
    exact = case in ("mkv", "odd size", "frames", "array", "float array")
    assert error == 0 if exact else error < 9
    assert clip.fps == pytest.approx(1 / 0.12 if case == "gif" else 8.0)
