"""Scores of finished clips: cells, pairs, resuming, a reference folder, what is left out."""

import importlib
import json
from pathlib import Path
from typing import Any

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
from tests.eval.execute.finished.clip_files import FRAMES, cut, invoke, manifest, video


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
        frames = np.roll(FRAMES, number, axis=2)[:3, :, :32]
        np.save(folder / f"{number}.npy", frames)
        Image.fromarray(frames[0]).save(folder / f"{number}.png")
        prompt = f"a ramp, number {number}"
        row = {"id": f"c{number}", "clip": f"{number}.npy", "image": f"{number}.png"}
        rows.append(row | {"prompt": prompt})
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
    Image.new("RGB", (16, 16)).save(clips / "a.png")
    samples = manifest(clips, [{"id": "a", "clip": "good.mkv", "prompt": "x", "image": "a.png"}])
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


@pytest.mark.parametrize("column", [{}, {"image": ""}])
def test_a_clip_is_not_held_against_its_own_first_frame(
    clips: Path, column: dict[str, str]
) -> None:
    """Where no row names an image, errors of frame 0 would be perfect."""
    samples = manifest(clips, [{"id": "a", "clip": "good.mkv", "prompt": "x"} | column])
    result = invoke(clips, samples, "--encoders", "pixels")
    assert result.exit_code == 0, result.output
    assert "first_frame.mse.pixels.v1" in result.stderr
    assert "they need the input image of each clip" in result.stderr
    measured = set(pd.read_csv(clips.parent / "out" / "summary.csv")["metric"])
    assert "flicker.pixels.v1" in measured
    assert not any("first" in metric for metric in measured)


def test_a_row_without_the_image_that_others_have_fails_alone(clips: Path) -> None:
    Image.new("RGB", (16, 16)).save(clips / "a.png")
    rows = [
        {"id": "a", "clip": "good.mkv", "prompt": "x", "image": "a.png"},
        {"id": "b", "clip": "good.mkv", "prompt": "y", "image": ""},
    ]
    result = invoke(clips, manifest(clips, rows), "--encoders", "pixels")
    assert result.exit_code == 3, result.output
    assert "line 3, id 'b': image is missing; other rows have one" in result.stderr


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
