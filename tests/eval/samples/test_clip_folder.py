"""Finished clips without a manifest, or with one that tells little."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from eval.cli import app
from eval.clips.lossless import Clip, write_clip
from eval.errors import EvalError
from eval.samples.clip_manifest import folder_entries, read_entries

FRAMES = np.random.default_rng(1).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)


def make(folder: Path, *names: str) -> None:
    """A clip for each name: a video, an array, or a folder of frames where there is no suffix."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".npy":
            np.save(path, FRAMES)
        elif path.suffix == ".mkv":
            write_clip(path, Clip(FRAMES, 8.0))
        elif path.suffix:
            path.write_text("no clip")
        else:
            path.mkdir()
            for index, frame in enumerate(FRAMES):
                Image.fromarray(frame).save(path / f"{index}.png")


FOLDERS: dict[str, tuple[tuple[str, ...], list[str], str]] = {
    # what lies there -> method/id of each clip, and part of the note
    "videos": (("b.mkv", "a.mkv"), ["clips/a", "clips/b"], ""),
    "frames and arrays": (("a", "b.npy"), ["clips/a", "clips/b"], ""),
    "methods": (("slow/a.mkv", "fast/a.mkv"), ["fast/a", "slow/a"], ""),
    "methods of frames": (("slow/a.mkv", "slow/b"), ["slow/a", "slow/b"], ""),
    "names to clean": (("a cat-0.mkv",), ["clips/a-cat-0-c5614fd6"], ""),
    "other letters": (("猫.mkv",), ["clips/sample-a810bf84"], ""),
    "other files": (("a.mkv", "read.txt", ".hidden.mkv"), ["clips/a"], "1 files are no clips, suc"),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_a_folder_of_clips(case: str, tmp_path: Path) -> None:
    names, expected, note = FOLDERS[case]
    make(tmp_path, *names)
    found = folder_entries(tmp_path)
    assert [f"{entry.method}/{entry.id}" for entry in found.entries] == expected
    for entry in found.entries:
        assert (entry.prompt, entry.image, entry.seed) == ("", None, 0)
    assert note in " ".join(found.notes)
    assert found.unknown == ("image", "prompt")


def test_two_clips_of_one_name_and_a_folder_without_clips(tmp_path: Path) -> None:
    make(tmp_path / "two", "a.mkv", "a.npy")
    found = folder_entries(tmp_path / "two")
    assert [(failure.clip, failure.reason) for failure in found.failures] == [
        ("a.npy", "another clip is named 'a', too; rename one")
    ]
    assert str(found.failures[0]).startswith("clip 'a': another")  # no manifest has a line of it
    make(tmp_path / "none", "read.txt")
    with pytest.raises(EvalError, match=r"none: no clips in it: .*; it holds 'read\.txt'"):
        folder_entries(tmp_path / "none")
    with pytest.raises(EvalError, match="no such folder"):
        folder_entries(tmp_path / "nowhere")
    with pytest.raises(EvalError, match=r"a\.mkv: a file; give the folder that holds the clips"):
        folder_entries(tmp_path / "two" / "a.mkv")


def test_a_folder_is_enough_for_what_needs_neither_image_nor_prompt(
    tmp_path: Path, toy_evaluator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "eval.execute.prepared.default_evaluator", lambda metrics, folder: toy_evaluator(metrics)
    )
    make(tmp_path / "clips", "slow/a.mkv", "slow/b.mkv", "fast/a.mkv", "fast/b.mkv")
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["clips", str(tmp_path / "clips"), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "they need the input image of each clip; name it in a manifest" in done.stderr
    assert "they need the prompt of each clip" in done.stderr
    summary = pd.read_csv(out / "summary.csv")
    families = {metric.split(".")[0] for metric in summary["metric"]}
    assert {"motion", "flicker", "smoothness"} <= families
    assert not {"identity", "text", "lpips", "dreambooth"} & families
    assert set(summary["cell"]) == {"slow", "fast"}
    report = CliRunner().invoke(app, ["report", str(out)])
    assert report.exit_code == 0, report.output


def test_a_manifest_without_prompts_is_measured_against_its_images(tmp_path: Path) -> None:
    make(tmp_path, "a.npy", "b.npy")
    Image.fromarray(FRAMES[0]).save(tmp_path / "a.png")
    manifest = tmp_path / "m.csv"
    manifest.write_text("id,clip,image,group\na,a.npy,a.png,cats\nb,b.npy,a.png,\n")
    found = read_entries(manifest, tmp_path)
    assert (found.unknown, found.failures) == (("prompt",), [])
    assert [entry.group for entry in found.entries] == ["cats", "all"]


def test_images_lie_anywhere_and_a_root_keeps_them_in(tmp_path: Path) -> None:
    make(tmp_path / "clips", "a.npy")
    for place in ("far", "beside"):
        (tmp_path / place).mkdir()
        Image.fromarray(FRAMES[0]).save(tmp_path / place / f"{place}.png")
    manifest = tmp_path / "beside" / "m.csv"
    far = tmp_path / "far" / "far.png"
    rows = [("a", far, "x"), ("b", "../far/far.png", "y"), ("c", "beside.png", "z")]
    lines = [f"{id},a.npy,{image},{prompt}" for id, image, prompt in rows]
    manifest.write_text("\n".join(["id,clip,image,prompt", *lines]) + "\n")
    found = read_entries(manifest, tmp_path / "clips")
    assert [entry.image.resolve().name for entry in found.entries if entry.image] == [
        "far.png",
        "far.png",
        "beside.png",
    ]
    inside = read_entries(manifest, tmp_path / "clips", root=tmp_path / "clips")
    assert all("leaves the folder" in failure.reason for failure in inside.failures)
    assert len(inside.failures) == 3
    assert len(read_entries(manifest, tmp_path / "clips", root=tmp_path).entries) == 3
