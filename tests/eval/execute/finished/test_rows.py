"""Rows of a manifest that cannot be used, and what is said where nothing can be scored."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.eval.execute.finished.clip_files import FRAMES, cut, invoke, manifest


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
