"""Finished clips of any tool: what can be scored is, what cannot is named, and the exit code says
which happened.
"""

import csv
import importlib
import json
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from eval.cli import app
from eval.clips.lossless import read_clip
from eval.clips.media import read_media
from eval.errors import EvalError
from eval.execute.finished import score
from eval.store.status import CellStatus, status

Frames = NDArray[np.uint8]
ROWS, COLUMNS = np.mgrid[0:32, 0:48]
FRAMES = np.stack(
    [
        np.stack([COLUMNS * 5, ROWS * 7, np.full_like(ROWS, 30 * i)], axis=-1).astype(np.uint8)
        for i in range(4)
    ]
)
"""Four smooth frames, 32 x 48, that the left, the right, the top and the bottom tell apart."""


def video(
    path: Path,
    frames: Frames = FRAMES,
    *,
    codec: str = "libx264",
    pixels: str = "yuv444p",
    times: Any = None,
    container: str | None = None,
    **options: str,
) -> None:
    with av.open(str(path), "w", format=container, container_options=options) as file:
        stream = file.add_stream(codec, rate=8, options={"crf": "4"} if codec == "libx264" else {})
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], pixels
        stream.codec_context.colorspace = 6  # BT.601, which is what from_ndarray is encoded as
        for index, pixel in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixel), format="rgb24")
            if times:
                frame.pts, frame.time_base = times[index], Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def transparent(path: Path) -> None:
    alpha = np.where(COLUMNS < 9, 0, 255).astype(np.uint8)
    images = [Image.fromarray(np.dstack([frame, alpha])) for frame in FRAMES]
    images[0].save(path, save_all=True, append_images=images[1:], duration=120, disposal=2)


def alpha_webm(path: Path) -> None:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libvpx-vp9", rate=8)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuva420p"
        for pixel in FRAMES:
            rgba = np.dstack([pixel, np.full(pixel.shape[:2], 99, np.uint8)])
            file.mux(stream.encode(av.VideoFrame.from_ndarray(rgba, format="rgba")))
        file.mux(stream.encode(None))


def gif(path: Path) -> None:
    images = [Image.fromarray(frame) for frame in FRAMES]
    images[0].save(path, save_all=True, append_images=images[1:], duration=120)


def cut(path: Path, share: float, **options: Any) -> None:
    whole = path.with_name(f"whole{path.suffix}")
    gif(whole) if path.suffix == ".gif" else video(whole, **options)
    data = whole.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    whole.unlink()


def rotated(path: Path) -> None:
    """A quarter turn clockwise in the track header's display matrix, as phones write it."""
    video(path)
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 44
    data[start : start + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    path.write_bytes(bytes(data))


def frame_folder(path: Path, frames: list[Frames] | None = None) -> None:
    path.mkdir()
    for index, frame in enumerate(frames or list(FRAMES)):
        Image.fromarray(frame).save(path / f"f{9 + index}.png")  # f9 comes before f10


def clear_folder(path: Path) -> None:
    frame_folder(
        path, [np.dstack([frame, np.full(frame.shape[:2], 7, np.uint8)]) for frame in FRAMES]
    )


def misnamed_webm(path: Path) -> None:
    video(path, codec="libvpx-vp9", pixels="yuv420p", container="webm")


def image_named_mp4(path: Path) -> None:
    Image.fromarray(FRAMES[0]).save(path, format="PNG")


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


def manifest(folder: Path, rows: list[dict[str, Any]], name: str = "m.csv") -> Path:
    keys = list(dict.fromkeys(key for row in rows for key in row))
    with (folder / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, keys, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return folder / name


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder with one good clip, ``good.mkv``, and its input image."""
    folder = tmp_path / "clips"
    folder.mkdir()
    video(folder / "good.mkv", codec="ffv1", pixels="bgr0")
    Image.fromarray(FRAMES[0]).save(folder / "image.png")
    return folder


@pytest.fixture
def measured(toy_evaluator: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(
        "eval.execute.prepared.default_evaluator", lambda metrics, folder: toy_evaluator(metrics)
    )
    return toy_evaluator


def invoke(folder: Path, samples: Path, *options: str) -> Any:
    out = folder.parent / "out"
    arguments = ["clips", str(folder), "--samples", str(samples), "--out", str(out), *options]
    return CliRunner().invoke(app, arguments)


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


def test_rows_that_cannot_be_used_are_named(clips: Path, measured: Any) -> None:
    np.save(clips.parent / "out.npy", FRAMES)
    row = {"id": "a", "clip": "good.mkv", "prompt": "x", "image": "image.png", "seed": "0"}
    changes: list[tuple[dict[str, str], str]] = [
        ({}, "the id is in line 2 already, for the same method and seed"),
        ({"id": "b"}, "line 2 has the same image, prompt, method and seed; give each its own seed"),
        ({"seed": "1", "prompt": "y"}, "an earlier row gives this id to another image or prompt"),
        ({"id": "c", "prompt": " "}, "prompt is missing; other rows have one"),
        ({"id": "d", "seed": "-1"}, "seed '-1' is not a whole number"),
        ({"id": "e", "image": "../out.png"}, "image '../out.png' is not in "),
        ({"id": "e", "clip": "../out.npy"}, "clip '../out.npy' leaves the folder"),
        ({"id": "e", "clip": "n" * 300}, "nnn...' is not in "),
        ({"id": "e", "clip": "a\0b"}, "clip 'a?b' is not the name of a file"),
        ({"id": "f", "image": "good.mkv"}, "good.mkv' is not a readable image"),
        ({"id": "g/h", "prompt": "z"}, "sample id 'g/h' is not allowed"),
        ({"id": "i", "method": "a[b"}, "method 'a[b' is not allowed"),
    ]
    result = invoke(clips, manifest(clips, [row, *(row | change for change, _ in changes)]))
    assert result.exit_code == 3
    failed = [line for line in result.stderr.splitlines() if line.startswith("failed")]
    for number, (line, (_, expected)) in enumerate(zip(failed, changes, strict=True)):
        assert line.startswith(f"failed: line {number + 3}, ")
        assert expected in line


def test_json_lines_with_a_broken_line_and_an_unknown_key(clips: Path, measured: Any) -> None:
    row = {"id": "a", "clip": "good.mkv", "prompt": "x", "seed": 4}
    (clips / "m.jsonl").write_text(
        f"{json.dumps(row)}\n{{oops\n{json.dumps(row | {'imag': 'image.png'})}\n"
    )
    result = invoke(clips, clips / "m.jsonl")
    assert result.exit_code == 3
    assert "line 2, id '': not JSON" in result.stderr
    assert (
        "m.jsonl: ignored unknown columns 'imag'; known are id, clip, prompt, image, group, "
        "method, seed. Is 'imag' meant to be 'image'?" in result.stderr
    )


@pytest.mark.parametrize(
    ("rows", "options", "expected"),
    [
        ([], [], "no row can be used"),
        (
            [{"id": "a", "clip": "no.mp4", "prompt": "x"}],
            [],
            "no row can be used; the first: line 2, id 'a': clip",
        ),
        (
            [{"id": "a", "clip": "half.mkv", "prompt": "x"}],
            [],
            "no clip can be scored; the first: line 2, id 'a'",
        ),
        (
            [{"id": "a", "clip": "good.mkv", "prompt": "x"}],
            ["--encoders", "dino_vits61"],
            "Did you mean 'dino_vits16'?",
        ),
        (
            [{"id": "a", "clip": "good.mkv", "prompt": "x"}],
            ["--encoders", "videomae_glyph", "--allow-glyph-encoders"],
            "give --reference FOLDER",
        ),
        (
            [{"id": "a", "clip": "good.mkv", "prompt": "x"}],
            ["--samples", "none.csv"],
            "none.csv: no such manifest",
        ),
    ],
)
def test_nothing_usable(
    rows: list[dict[str, str]], options: list[str], expected: str, clips: Path, measured: Any
) -> None:
    cut(clips / "half.mkv", 0.7, codec="ffv1", pixels="bgr0")
    result = invoke(
        clips, manifest(clips, rows or [{"id": "", "clip": "", "prompt": ""}]), *options
    )
    assert result.exit_code == 2
    [line] = result.stderr.strip().splitlines()[-1:]
    assert line.startswith("error: ")
    assert expected in line


@pytest.fixture
def two_methods(clips: Path) -> Path:
    """Rows of two methods over three images and two seeds; the second method lacks one clip."""
    rows = []
    for number in range(3):
        image = np.roll(FRAMES[0], 5 * number, axis=1)
        Image.fromarray(image).save(clips / f"{number}.png")
        for method, step in (("slow", 1), ("fast", 4)):
            for seed in (0, 1):
                if (number, method, seed) == (2, "fast", 1):
                    continue
                name = f"{method}-{number}-{seed}.npy"
                np.save(
                    clips / name,
                    np.stack([np.roll(image, (step + seed) * i, axis=1) for i in range(4)]),
                )
                rows.append(
                    {
                        "id": f"{method}{number}{seed}",
                        "clip": name,
                        "prompt": "x",
                        "image": f"{number}.png",
                        "method": method,
                        "seed": seed,
                    }
                )
    return manifest(clips, rows)


def test_methods_are_cells_paired_on_image_and_seed(
    two_methods: Path, toy_evaluator: Any, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    encoders = ["dino_glyph", "flow_dis"]
    options: dict[str, Any] = {"fps": 8, "evaluator": toy_evaluator, "allow_glyph_encoders": True}
    scored = score(two_methods.parent, two_methods, out, encoders=encoders, **options)
    assert scored.failures == []
    assert status(out).cells == [CellStatus("slow", 6, 6, 6, 0), CellStatus("fast", 5, 5, 5, 0)]
    records = pd.read_csv(out / "records.csv").query("metric == 'motion.flow_dis.v1'")
    values = records.set_index(["cell", "sample", "seed"])["value"]
    assert sorted(set(records["sample"])) == [
        "slow00",
        "slow10",
        "slow20",
    ]  # the first id of each image
    pairs = [("slow00", 0), ("slow00", 1), ("slow10", 0), ("slow10", 1), ("slow20", 0)]
    expected = np.mean([values["slow", *pair] - values["fast", *pair] for pair in pairs])
    [difference] = (
        pd.read_csv(out / "comparisons.csv").query("metric == 'motion.flow_dis.v1'").itertuples()
    )
    assert (difference.reference, difference.cell, difference.n) == ("slow", "fast", 5)
    assert difference.difference == pytest.approx(expected)


def test_resumes_and_scores_again_only_what_changed(
    two_methods: Path, measured: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, decoded = two_methods.parent, []
    finished = importlib.import_module("eval.methods.finished")
    read = finished.read_media
    monkeypatch.setattr(
        finished, "read_media", lambda path, **k: (decoded.append(path.name), read(path, **k))[1]
    )
    first = score(folder, two_methods, tmp_path / "out", fps=8)
    assert first.clips == 11
    assert len(decoded) == len(set(decoded)) == 11  # one decode a clip, for all metrics
    before = (tmp_path / "out" / "records.csv").read_bytes()
    score(folder, two_methods, tmp_path / "out", fps=8)
    assert len(decoded) == 11
    assert (tmp_path / "out" / "records.csv").read_bytes() == before
    np.save(folder / "slow-0-0.npy", np.load(folder / "slow-0-0.npy")[::-1])
    score(folder, two_methods, tmp_path / "out", fps=8)
    assert decoded[11:] == ["slow-0-0.npy"]
    score(folder, two_methods, tmp_path / "out", fps=16)  # the rate is part of what was measured
    assert len(decoded) == 23


def test_failures_are_tried_again_and_their_cure_leaves_no_trace(
    clips: Path, measured: Any
) -> None:
    cut(clips / "b.mkv", 0.7, codec="ffv1", pixels="bgr0")
    video(clips / "c.mp4", pixels="yuv444p10le")
    names = {"a": "good.mkv", "b": "b.mkv", "c": "c.mp4", "d": "d.mkv"}
    samples = manifest(
        clips, [{"id": key, "clip": name, "prompt": key} for key, name in names.items()]
    )
    assert invoke(clips, samples).exit_code == 3
    failures = pd.read_csv(clips.parent / "out" / "failures.csv")
    assert list(failures.columns) == ["line", "id", "clip", "reason"]
    assert list(zip(failures["line"], failures["id"], strict=True)) == [
        (3, "b"),
        (5, "d"),
    ]  # unreadable, not there
    document = json.loads((clips.parent / "out" / "run.json").read_text())
    assert (document["counts"]["clips"], document["counts"]["failed"]) == (3, 2)
    for name in ("b.mkv", "d.mkv"):
        video(clips / name, codec="ffv1", pixels="bgr0")
    cured = invoke(clips, samples)
    assert cured.exit_code == 0, cured.output
    assert "4 clips scored, 0 failed" in cured.stdout
    assert "sample 'c', method clips, seed 0: 10 bits a channel were reduced to 8" in cured.stderr
    assert pd.read_csv(clips.parent / "out" / "failures.csv").empty
    assert (pd.read_csv(clips.parent / "out" / "summary.csv")["lost"] == 0).all()


def test_reference_folder(two_methods: Path, toy_evaluator: Any, tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    for number in range(5):
        np.save(real / f"{number}.npy", np.roll(FRAMES, 7 * number, axis=2))
    (real / "bad.mp4").write_text("no video")
    (real / "notes.txt").write_text("not looked at")
    options: dict[str, Any] = {"encoders": ["videomae_glyph"], "fps": 8, "evaluator": toy_evaluator}
    options["allow_glyph_encoders"] = True
    scored = score(two_methods.parent, two_methods, tmp_path / "out", reference=real, **options)
    assert [failure.id for failure in scored.failures] == ["bad.mp4"]
    summary = pd.read_csv(tmp_path / "out" / "summary.csv").set_index(["cell", "metric"])
    evaluator = toy_evaluator([])
    fake = np.concatenate(
        [
            evaluator.video_features([read_media(path, fps=8).clip], "videomae_glyph")
            for path in sorted(two_methods.parent.glob("slow-*.npy"))
        ]
    )
    true = np.concatenate(
        [
            evaluator.video_features([read_media(path, fps=8).clip], "videomae_glyph")
            for path in sorted(real.glob("*.npy"))
        ]
    )
    assert summary.loc[("slow", "kvd.videomae_glyph.v1"), "mean"] == pytest.approx(
        cubic_mmd(true, fake), rel=1e-4
    )
    (tmp_path / "none").mkdir()
    with pytest.raises(EvalError, match="0 usable clips; two or more are needed"):
        score(
            two_methods.parent,
            two_methods,
            tmp_path / "out",
            reference=tmp_path / "none",
            **options,
        )


def cubic_mmd(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Unbiased squared maximum mean discrepancy, written as plain sums."""

    def kernel(a: NDArray[Any], b: NDArray[Any]) -> float:
        return (float(np.dot(a.astype(float), b.astype(float))) / len(a) + 1) ** 3

    same = [
        sum(kernel(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j)
        / (len(s) * (len(s) - 1))
        for s in (x, y)
    ]
    return sum(same) - 2 * sum(kernel(a, b) for a in x for b in y) / (len(x) * len(y))


def test_a_report_with_the_shipped_judges(clips: Path, tmp_path: Path) -> None:
    rows = [
        {"id": "a", "clip": "good.mkv", "prompt": "x"},
        {"id": "b", "clip": "c.mp4", "prompt": "x"},
    ]
    video(clips / "c.mp4")
    result = invoke(clips, manifest(clips, rows), "--encoders", "flow_dis")
    assert result.exit_code == 0, result.output
    assert CliRunner().invoke(app, ["report", str(tmp_path / "out")]).exit_code == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "finished-clips" in page
    stored = sorted((tmp_path / "out" / "clips").rglob("*.mkv"))
    assert any(np.array_equal(read_clip(path).frames, FRAMES) for path in stored)


def test_64_clips_with_all_metrics_take_one_decode_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished, store = (
        importlib.import_module("eval.methods.finished"),
        importlib.import_module("eval.store.store"),
    )
    read, again, opened, decoded = finished.read_media, store.read_clip, [], []
    monkeypatch.setattr(
        finished, "read_media", lambda path, **k: (opened.append(path.name), read(path, **k))[1]
    )
    monkeypatch.setattr(
        store, "read_clip", lambda path, **k: (decoded.append(path), again(path, **k))[1]
    )
    folder = tmp_path / "clips"
    folder.mkdir()
    rows = []
    for number in range(64):
        np.save(folder / f"{number}.npy", np.roll(FRAMES, number, axis=2)[:3, :, :32])
        rows.append(
            {"id": f"c{number}", "clip": f"{number}.npy", "prompt": f"a ramp, number {number}"}
        )
    result = invoke(
        folder,
        manifest(folder, rows),
        "--encoders",
        "dino_glyph,clip_glyph,flow_dis,pixels",
        "--allow-glyph-encoders",
        "--fps",
        "8",
    )
    assert result.exit_code == 0, result.output
    assert "64 clips scored, 0 failed, 64 decoded to measure" in result.output
    assert sorted(opened) == sorted(f"{number}.npy" for number in range(64))
    assert len(decoded) == len(set(decoded)) == 64
    families = pd.read_csv(tmp_path / "out" / "records.csv")["metric"].str.split(".").str[0]
    assert {
        "identity",
        "text",
        "motion",
        "warping",
        "flicker",
        "vbench",
        "paper",
        "smoothness",
    } <= set(families)


def test_a_named_metric_that_no_clip_asks_for_is_said(clips: Path) -> None:
    samples = manifest(clips, [{"id": "a", "clip": "good.mkv", "prompt": "a still cat"}])
    both = "flicker.pixels.v1,camera_motion.tracks_klt.v1"
    result = invoke(clips, samples, "--metrics", both)
    assert result.exit_code == 0
    (line,) = (line for line in result.stderr.splitlines() if "camera_motion" in line)
    assert "camera_motion.tracks_klt.v1 has a value for none of the 1 clips" in line


def test_without_weights_the_message_says_what_is_left_out(
    clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("I2V_EVAL_WEIGHTS", str(clips))
    monkeypatch.setenv("HF_HUB_CACHE", str(clips))
    samples = manifest(clips, [{"id": "a", "clip": "good.mkv", "prompt": "x"}])
    result = invoke(clips, samples)
    assert result.exit_code == 0
    (line,) = (line for line in result.stderr.splitlines() if "whose weights are not here" in line)
    assert line.startswith("warning: left out ")
    assert " (dino_vits16, dino_vitb16, " in line
    assert "`i2v-eval weights` says how to get each" in line
    measured = set(pd.read_csv(clips.parent / "out" / "summary.csv")["metric"])
    assert measured
    assert not any("glyph" in metric or "dino" in metric for metric in measured)
    chosen = invoke(clips, samples, "--encoders", "dino_vits16")
    assert chosen.exit_code == 2
    assert "encoder 'dino_vits16': weights not found" in chosen.stderr
