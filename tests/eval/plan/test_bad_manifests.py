"""Manifests that cannot be read are refused in one line; hostile prompts are only text."""

import csv
import json
import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from eval.cli import app

Content = dict[str, Any]
Refuse = Callable[..., None]


ROWS: dict[str, tuple[str | bytes, list[str]]] = {
    "no rows": ("id,image,prompt\n", ["the manifest has no rows; at least one sample"]),
    "nothing": ("", ["the manifest has no rows"]),
    "empty prompt": ("id,image,prompt\na,0.png,hello\nb,1.png,\n", [":3: prompt is missing"]),
    "missing column": (
        "id,image\na,0.png\n",
        ["bad.csv: no column 'prompt'; the header has 'id', 'image'"],
    ),
    "misspelt column": (
        "id,imag,prompt\na,0.png,x\n",
        ["bad.csv: no column 'image'", "Is 'imag' meant to be 'image'?"],
    ),
    "short row": (
        "id,image,prompt\na,0.png\n",
        [":2: the row does not have the header's 3 values"],
    ),
    "missing image": ("id,image,prompt\na,gone.png,x\n", [":2: image: 'gone.png' is not in "]),
    "unreadable image": (
        "id,image,prompt\na,broken.png,x\n",
        [":2: image: '", "broken.png' is not a readable image"],
    ),
    "truncated image": (
        "id,image,prompt\na,cut.png,x\n",
        [":2: image: '", "cut.png' is not a readable image"],
    ),
    "missing clip": (
        "id,image,prompt,clip\na,0.png,x,gone.mkv\n",
        [":2: ", "clip: 'gone.mkv' is not in "],
    ),
    "unreadable clip": (
        "id,image,prompt,clip\na,0.png,x,broken.png\n",
        [":2: ", "broken.png: not a readable mp4"],
    ),
    "id twice": (
        "id,image,prompt\na,0.png,x\na,1.png,y\n",
        [":3: sample id 'a' appears twice, first in line 2; ids must be unique"],
    ),
    "id with a path": ("id,image,prompt\n../a,0.png,x\n", [":2: sample id '../a' is not allowed"]),
    "id of dots": ("id,image,prompt\n..,0.png,x\n", [":2: sample id '..' is not allowed"]),
    "id of zeros": ("id,image,prompt\na\0b,0.png,x\n", [":2: sample id 'a?b' is not allowed"]),
    "id too long": (
        f"id,image,prompt\n{'a' * 101},0.png,x\n",
        [":2: sample id 'aaa", "1 to 100 letters"],
    ),
    "blank prompt": ("id,image,prompt\na,0.png,  \n", [":2: prompt is missing"]),
    "an impossible image": (
        f"id,image,prompt\na,{'n' * 3000},x\n",
        [":2: image: 'nnn", "...' is not in "],
    ),
    "an impossible clip": (
        f"id,image,prompt,clip\na,0.png,x,{'n' * 300}.mkv\n",
        [":2: clip: 'nnn", "...' is not in "],
    ),
    "a folder for an image": ("id,image,prompt\na,.,x\n", [":2: image: '", "not a regular file"]),
    "an empty image": (
        "id,image,prompt\na,empty.png,x\n",
        [":2: image: '", "empty.png' is not a readable image"],
    ),
    "a decompression bomb": (
        "id,image,prompt\na,bomb.png,x\n",
        [":2: image: '", "bomb.png' has 3,600,000,000 pixels, over the limit of 67,108,864"],
    ),
    "a page for an image": (
        "id,image,prompt\na,page.png,x\n",
        [":2: image: '", "page.png' is not a readable image"],
    ),
    "a pickle for a clip": (
        "id,image,prompt,clip\na,0.png,x,pickle.mkv\n",
        [":2: ", "pickle.mkv: not a readable mp4"],
    ),
    "an image for a clip": (
        "id,image,prompt,clip\na,0.png,x,empty.png\n",
        [":2: ", "empty.png: the file is empty"],
    ),
    "long row": (
        "id,image,prompt\na,0.png,x,y\n",
        [":2: the row does not have the header's 3 values"],
    ),
    "endless value": (
        f"id,image,prompt\na,0.png,{'x' * 140_000}\n",
        ["bad.csv:2: not CSV (field larger than"],
    ),
    "latin text": (
        b"id,image,prompt\na,0.png,caf\xe9\n",
        ["bad.csv: not UTF-8 text (byte 0xe9); save it as UTF-8"],
    ),
}

LINES: dict[str, tuple[str, list[str]]] = {
    "not JSON": ('{"id": "a"', ["bad.jsonl:1: not JSON"]),
    "not an object": ("[1]\n", ["bad.jsonl:1: a row must be a"]),
    "key missing": ('\n{"id": "a", "image": "0.png"}\n', ["bad.jsonl:2: prompt is missing"]),
    "a prompt of null": (
        '{"id": "a", "image": "0.png", "prompt": null}',
        ["bad.jsonl:1: prompt is missing"],
    ),
    "nested without end": ("[" * 100_000, ["bad.jsonl:1: not JSON"]),
}


@pytest.mark.parametrize("case", ROWS)
def test_bad_manifest(
    case: str, refuse: Refuse, toy_folder: Path, write_suite: Any, suite_content: Content
) -> None:
    rows, expected = ROWS[case]
    Image.effect_noise((64, 64), 50).save(toy_folder / "whole.png")
    (toy_folder / "cut.png").write_bytes((toy_folder / "whole.png").read_bytes()[:900])
    (toy_folder / "empty.png").write_bytes(b"")
    (toy_folder / "bomb.png").write_bytes(bomb())
    (toy_folder / "page.png").write_text("<svg onload=alert(1)>")
    (toy_folder / "pickle.mkv").write_bytes(pickle.dumps(print))
    (toy_folder / "bad.csv").write_bytes(rows if isinstance(rows, bytes) else rows.encode())
    suite_content["samples"]["path"] = "bad.csv"
    write_suite(suite_content)
    refuse(["suite.yaml: samples: ", *expected])


def bomb() -> bytes:
    """A PNG of some hundred bytes that says it has 3.6 thousand million pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + chunk(b"IDAT", zlib.compress(bytes(60_000)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("case", LINES)
def test_bad_lines(
    case: str, refuse: Refuse, toy_folder: Path, write_suite: Any, suite_content: Content
) -> None:
    text, expected = LINES[case]
    (toy_folder / "bad.jsonl").write_text(text)
    suite_content["samples"]["path"] = "bad.jsonl"
    write_suite(suite_content)
    refuse(expected)


PROMPTS = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "\x1b[31mred\x07 bell \u202e turned [bold]markup[/bold]",
    'quotes " and , and ; and | and `ticks`',
    "=1+1",
    "line\nbreak and \ttab",
    "long " * 20_000,
    "😀 Ωמ",
)


def test_hostile_prompts_are_only_text(
    toy_folder: Path,
    toy_evaluator: Any,
    write_suite: Any,
    suite_content: Content,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "eval.execute.run.default_evaluator", lambda metrics, folder: toy_evaluator(metrics)
    )
    rows = [{"id": f"p{i}", "image": "0.png", "prompt": prompt} for i, prompt in enumerate(PROMPTS)]
    (toy_folder / "hostile.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    suite_content |= {
        "samples": {"source": "manifest", "path": "hostile.jsonl"},
        "metrics": ["motion.flow_dis.v1"],
    }
    suite_content["methods"] = [suite_content["methods"][0]]
    result = CliRunner().invoke(
        app, ["run", str(write_suite(suite_content)), "--out", str(toy_folder / "out")]
    )
    assert result.exit_code == 0, result.output
    with (toy_folder / "out/samples.csv").open(newline="") as file:
        assert tuple(row["prompt"] for row in csv.DictReader(file)) == PROMPTS
