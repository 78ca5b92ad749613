"""Finished clips beside reference clips, all of which are compared; a bad file fails alone."""

import csv
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from eval.clips.lossless import Clip, read_clip, write_clip
from eval.errors import ClipTimeoutError
from eval.execute.finished import score
from eval.execute.options import Options

FRAMES = np.random.default_rng(0).integers(0, 256, (6, 16, 24, 3), dtype=np.uint8)


def gif(path: Path, frames: Any = FRAMES, duration: int = 120) -> None:
    pictures = [Image.fromarray(frame) for frame in frames]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=duration)


def manifest(folder: Path, rows: list[dict[str, str]]) -> Path:
    with (folder / "m.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "clip", "prompt", "method", "image"], restval="")
        writer.writeheader()
        writer.writerows(rows)
    return folder / "m.csv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "clips").mkdir()
    (tmp_path / "real").mkdir()
    for number in range(3):
        gif(tmp_path / "real" / f"{number}.gif", np.roll(FRAMES, number, axis=2))
    return tmp_path / "clips"


def warnings_of(folder: Path, kinds: dict[str, list[Any]], evaluator: Any) -> list[str]:
    """Warnings about the clips of methods: name -> (frames, duration) of each."""
    rows = []
    for method, clips in kinds.items():
        for number, (frames, duration) in enumerate(clips):
            name = f"{method}{number}.gif"
            gif(folder / name, frames, duration)
            rows.append({"id": f"c{number}", "clip": name, "prompt": "x", "method": method})
    scored = score(
        folder,
        manifest(folder, rows),
        folder.parent / "out",
        encoders=["videomae_glyph"],
        allow_glyph_encoders=True,
        reference=folder.parent / "real",
        evaluator=evaluator,
    )
    assert scored.failures == []
    return [line for line in scored.warnings if "like" in line or "first" in line]


def test_every_clip_is_compared_in_length_size_and_rate(folder: Path, toy_evaluator: Any) -> None:
    alike, longer, wider = (FRAMES, 120), (np.concatenate([FRAMES, FRAMES]), 120), FRAMES
    lines = warnings_of(
        folder,
        {
            "same": [alike, alike],
            "last": [alike, alike, longer],
            "fast": [(FRAMES, 60), (FRAMES, 60)],
            "wide": [(np.concatenate([wider, wider], axis=2), 120), alike],
        },
        toy_evaluator,
    )
    reference = "reference: 6 frames of 24 x 16 px at 8.33 fps (3 clips)"
    expected = {
        "last": "1 of 3 clips differ from the reference clips: 12 frames of 24 x 16 px at 8.33 fps",
        "fast": "2 of 2 clips differ from the reference clips: 6 frames of 24 x 16 px at 16.67 fps",
        "wide": "1 of 2 clips differ from the reference clips: 6 frames of 48 x 16 px at 8.33 fps",
    }
    differing = [line for line in lines if "differ from the reference" in line]
    assert len(differing) == len(expected)
    for line, (method, text) in zip(differing, expected.items(), strict=True):
        assert line.startswith(f"{method}: {text}")
        assert reference in line


def test_reference_clips_that_differ_among_themselves(folder: Path, toy_evaluator: Any) -> None:
    gif(folder.parent / "real" / "odd.gif", FRAMES[:4])
    lines = warnings_of(folder, {"m": [(FRAMES, 120), (FRAMES, 120)]}, toy_evaluator)
    assert any(
        line.startswith("reference clips are not alike: 6 frames of 24 x 16 px at 8.33 fps (3")
        for line in lines
    )


def test_frames_that_an_encoder_does_not_read_are_counted(folder: Path, toy_evaluator: Any) -> None:
    class ReadsFour(toy_evaluator):  # type: ignore[misc, valid-type]
        def frames_read(self, encoder: str) -> int:
            return 4

    clips = {"m": [(FRAMES, 120), (FRAMES[:4], 120)]}
    for evaluator in (ReadsFour, toy_evaluator):  # the second time nothing is measured again
        lines = warnings_of(folder, clips, evaluator)
        assert (
            "encoder videomae_glyph read the first 4 of 6 frames of 4 of 5 clips, reference clips "
            "included" in lines
        )


def test_clips_of_a_run_are_compared_with_their_true_clips(
    toy_folder: Path, suite_content: dict[str, Any], run_toy: Any
) -> None:
    suite_content["metrics"] = ["motion.flow_dis.v1", "kvd.videomae_glyph.v1"]
    assert not [line for line in run_toy(suite_content).warnings if "differ" in line]
    write_clip(toy_folder / "1.mkv", Clip(read_clip(toy_folder / "1.mkv").frames, 4.0))
    lines = [line for line in run_toy(suite_content, "other").warnings if "differ" in line]
    assert [line.split(":")[0] for line in lines] == [
        *(f"toy[t0={t0},p={p}]" for t0 in (0.5, 1.0) for p in (0.0, 0.5)),
    ]
    assert all(
        "2 of 12 clips differ from their true clips: 4 frames of 10 x 8 px at 8 fps (2" in line
        for line in lines
    )


def bad_image(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\4IHDR" + bytes(40))


def test_a_bad_file_fails_its_row_alone(folder: Path, toy_evaluator: Any) -> None:
    gif(folder / "good.gif")
    os.mkfifo(folder / "pipe.gif")
    (folder / "zero").mkdir()
    for number in range(3):
        (folder / "zero" / f"{number}.png").symlink_to("/dev/zero")
    bad_image(folder / "bad.png")
    Image.new("RGB", (16, 16)).save(folder / "good.png")
    rows = [
        {"id": "a", "clip": "good.gif", "prompt": "x", "image": "good.png"},
        {"id": "b", "clip": "good.gif", "prompt": "y", "image": "bad.png"},
        {"id": "c", "clip": "pipe.gif", "prompt": "z", "image": "good.png"},
        {"id": "d", "clip": "zero", "prompt": "w", "image": "good.png"},
        {"id": "e", "clip": "good.gif", "prompt": "v", "image": "pipe.gif"},
    ]
    out = folder.parent / "out"
    options: dict[str, Any] = {"encoders": ["flow_dis"], "fps": 8, "evaluator": toy_evaluator}
    start = time.monotonic()
    scored = score(folder, manifest(folder, rows), out, **options)
    assert time.monotonic() - start < 20
    assert [failure.id for failure in scored.failures] == ["b", "c", "d", "e"]
    assert scored.clips == 1
    reasons = dict(pd.read_csv(out / "failures.csv")[["id", "reason"]].itertuples(index=False))
    assert "bad.png" in reasons["b"]
    assert "not a regular file" in reasons["c"]
    assert "leaves the folder" in reasons["d"]
    assert "not a regular file" in reasons["e"]


def test_digests_are_under_the_timeout(
    folder: Path, toy_evaluator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eval.plan import finished as planning

    whole = planning.digest

    def slow(path: Path, *arguments: Any, **options: Any) -> str:
        if path.name == "slow.gif":
            time.sleep(30)
        return whole(path, *arguments, **options)

    monkeypatch.setattr(planning, "digest", slow)
    gif(folder / "good.gif")
    gif(folder / "slow.gif")
    rows = [{"id": name, "clip": f"{name}.gif", "prompt": "x"} for name in ("good", "slow")]
    scored = score(
        folder,
        manifest(folder, rows),
        folder.parent / "out",
        encoders=["flow_dis"],
        evaluator=toy_evaluator,
        options=Options(timeout=1.0),
    )
    [failure] = scored.failures
    assert (failure.id, failure.reason) == ("slow", "took longer than 1 s")
    assert issubclass(ClipTimeoutError, BaseException)


def test_hdr_is_an_option_that_stands_in_the_run_document(folder: Path, toy_evaluator: Any) -> None:
    import json

    gif(folder / "good.gif")
    samples = manifest(folder, [{"id": "a", "clip": "good.gif", "prompt": "x"}])
    score(
        folder,
        samples,
        folder.parent / "out",
        encoders=["flow_dis"],
        hdr="tone-map",
        evaluator=toy_evaluator,
    )
    document = json.loads((folder.parent / "out" / "run.json").read_text())
    assert document["cells"][0]["settings"]["hdr"] == "tone-map"
