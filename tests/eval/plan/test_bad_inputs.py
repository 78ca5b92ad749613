"""Bad input: one line with file, key, value and what to do, exit code 2, and not a byte of the run
folder lost.
"""

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
from eval.store.store import Record, Store

Content = dict[str, Any]
Refuse = Callable[..., None]

BROKEN = "1 / 0\n"
NAMELESS = """
from toy_method import Toy
class Nameless(Toy):
    def fingerprint(self):
        raise OSError("no weights")
"""


@pytest.fixture
def refuse(
    toy_folder: Path, toy_evaluator: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Refuse:
    """Runs a suite over a folder that holds a run, and checks the one line, the exit code and the
    folder.
    """
    monkeypatch.setattr(
        "eval.execute.run.default_evaluator", lambda metrics, folder: toy_evaluator(metrics)
    )
    (toy_folder / "broken_method.py").write_text(BROKEN)
    (toy_folder / "nameless_method.py").write_text(NAMELESS)
    (toy_folder / "broken.png").write_bytes(b"not an image")
    folder = tmp_path / "out"
    with Store(folder) as store:
        store.add_records(
            [Record("cell", "s", 0, "motion.flow_dis.v1", 1 / 3, "", "key", "weights")]
        )
    (folder / "run.json").write_text("{}")

    def contents() -> dict[str, bytes]:
        return {
            str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
        }

    def check(expected: list[str]) -> None:
        before = contents()
        result = CliRunner().invoke(
            app, ["run", str(toy_folder / "suite.yaml"), "--out", str(folder)]
        )
        assert result.exit_code == 2, result.output
        (line,) = result.stderr.strip().splitlines()
        assert line.startswith("error: ")
        assert line.isprintable()
        assert len(line) < 1000
        for text in ("suite.yaml", *expected):
            assert text in line
        assert result.stdout == ""
        with Store(folder) as store:
            assert [record.value for record in store.records("cell")] == [1 / 3]
        assert contents() == before

    return check


SUITES: dict[str, tuple[tuple[Any, ...], Any, list[str]]] = {
    "unknown key": (
        ("metric",),
        [],
        ["suite.yaml: metric: unknown key 'metric'", "Did you mean 'metrics'?"],
    ),
    "unknown key of a method": (
        ("methods", 0, "sweeps"),
        {},
        [
            "methods[0].sweeps: unknown key 'sweeps'",
            "Allowed: method, label, settings, sweep, groups, limit, base.",
        ],
    ),
    "unknown method": (
        ("methods", 1, "method"),
        "still-imag",
        ["methods[1].method: unknown method 'still-imag'", "Did you mean 'still-image'?"],
    ),
    "unknown module": (
        ("methods", 1, "method"),
        "no_such:Class",
        ["methods[1].method: method 'no_such:Class'", "no module"],
    ),
    "unknown class": (
        ("methods", 1, "method"),
        "toy_method:Toi",
        ["'toy_method' has no 'Toi'", "Did you mean 'Toy'?"],
    ),
    "not a method": (
        ("methods", 1, "method"),
        "toy_method:Clip",
        ["toy_method:Clip", "it has no 'Settings'"],
    ),
    "unknown setting": (
        ("methods", 0, "settings"),
        {"t": 1},
        ["methods[0] (toy).t: unknown key 't'", "Allowed: t0, p, fail_on."],
    ),
    "t0 too large": (
        ("methods", 0, "sweep", "t0"),
        [1.5],
        ["methods[0] (toy).t0: 1.5 is not allowed", "less than or equal to 1"],
    ),
    "t0 zero": (
        ("methods", 0, "sweep", "t0"),
        [0.5, 0],
        ["(toy).t0: 0 is not allowed", "greater than 0"],
    ),
    "p negative": (
        ("methods", 0, "sweep", "p"),
        [-0.1],
        ["(toy).p: -0.1 is not allowed", "greater than or equal to 0"],
    ),
    "p no number": (
        ("methods", 0, "sweep", "p"),
        ["half"],
        ["(toy).p: 'half' is not allowed", "valid number"],
    ),
    "empty sweep": (
        ("methods", 0, "sweep", "p"),
        [],
        ["methods[0].sweep.p: [] is not allowed", "at least 1 item"],
    ),
    "set twice": (
        ("methods", 0, "settings"),
        {"p": 1},
        ["methods[0]", "'p' is in settings and in sweep"],
    ),
    "duplicate cell": (
        ("methods", 2),
        {"method": "still-image"},
        ["methods[2]: cell 'still-image' is in methods[1] already"],
    ),
    "duplicate in sweep": (
        ("methods", 0, "sweep", "p"),
        [0.5, 0.5],
        ["methods[0]: cell 'toy[t0=0.5,p=0.5]'", "already"],
    ),
    "no methods": (("methods",), [], ["suite.yaml: methods: [] is not allowed"]),
    "unknown metric": (
        ("metrics", 1),
        "moton.flow_dis.v1",
        ["metrics[1]", "'moton.flow_dis.v1'", "unknown family 'moton'", "Did you mean 'motion'?"],
    ),
    "unknown encoder": (
        ("metrics", 0),
        "identity.dino_glyf.v1",
        ["metrics[0]", "Did you mean 'dino_glyph'?"],
    ),
    "metric twice": (
        ("metrics", 0),
        "motion.flow_dis.v1",
        ["suite.yaml: metrics", "'motion.flow_dis.v1' is listed twice"],
    ),
    "unknown source": (
        ("samples", "source"),
        "manifst",
        ["samples.source", "'manifst'", "Did you mean 'manifest'?"],
    ),
    "no source": (
        ("samples",),
        {"path": "samples.csv"},
        ["samples.source", "Allowed: aigcbench, glyph-world, images, manifest"],
    ),
    "unknown sample key": (
        ("samples", "file"),
        "x",
        ["samples.file: unknown key 'file'", "Allowed: path, strict, root, fps, hdr."],
    ),
    "no manifest": (
        ("samples", "path"),
        "none.csv",
        ["samples: path: '", "none.csv' not found; give a .csv or .jsonl"],
    ),
    "unknown reference": (
        ("reference",),
        "toy[t0=1,p=0.5]",
        ["reference: no cell 'toy[t0=1,p=0.5]'", "Did you mean 'toy[t0=1.0,p=0.5]'?"],
    ),
    "batch size": (
        ("batch_size",),
        0,
        ["suite.yaml: batch_size: 0 is not allowed", "greater than or equal to 1"],
    ),
    "seed twice": (("seeds",), [1, 1], ["suite.yaml: seeds", "'1' is listed twice"]),
    "name with a slash": (("name",), "a/b", ["suite.yaml: name: 'a/b' is not allowed"]),
    "name no text": (("name",), 5, ["suite.yaml: name: 5 is not allowed", "valid string"]),
    "name empty": (("name",), "", ["suite.yaml: name: '' is not allowed"]),
    "name of dots": (("name",), "..", ["suite.yaml: name: '..' is not allowed"]),
    "name with a line break": (("name",), "a\nb", ["suite.yaml: name: 'a\\nb' is not allowed"]),
    "name too long": (("name",), "n" * 101, ["suite.yaml: name: ", "at most 100 characters"]),
    "samples a list": (
        ("samples",),
        ["samples.csv"],
        ["suite.yaml: samples: ", "valid dictionary"],
    ),
    "metrics a text": (("metrics",), "motion.flow_dis.v1", ["suite.yaml: metrics: ", "valid list"]),
    "no metrics": (("metrics",), [], ["suite.yaml: metrics: [] is not allowed"]),
    "metric of two parts": (
        ("metrics", 0),
        "motion.v1",
        ["metrics[0]", "expected <family>.<encoder>.<version>"],
    ),
    "metric of another version": (
        ("metrics", 0),
        "motion.flow_dis.v9",
        ["unknown version 'v9'", "allowed: v1"],
    ),
    "encoder of another kind": (
        ("metrics", 0),
        "motion.dino_glyph.v1",
        ["'dino_glyph' is of kind 'image', not 'flow'"],
    ),
    "methods a mapping": (
        ("methods",),
        {"method": "still-image"},
        ["suite.yaml: methods: ", "valid list"],
    ),
    "method a number": (
        ("methods", 1, "method"),
        7,
        ["methods[1].method: 7 is not allowed", "valid string"],
    ),
    "method without a class": (
        ("methods", 1, "method"),
        "toy_method:",
        ["'toy_method:' is not of the form module:Class"],
    ),
    "method by path": (
        ("methods", 1, "method"),
        "../toy:Toy",
        ["'../toy:Toy' is not of the form module:Class"],
    ),
    "method that is a function": (
        ("methods", 1, "method"),
        "os:system",
        ["method 'os:system': it has no 'Settings'"],
    ),
    "method whose module breaks": (
        ("methods", 1, "method"),
        "broken_method:M",
        ["method 'broken_method:M'", "importing it fails with ZeroDivisionError: division by zero"],
    ),
    "method without fingerprint": (
        ("methods", 1),
        {"method": "nameless_method:Nameless", "label": "n"},
        ["suite.yaml: cell n: its fingerprint fails with OSError: no weights"],
    ),
    "label with brackets": (
        ("methods", 0, "label"),
        "a[b]",
        ["methods[0].label: 'a[b]' is not allowed"],
    ),
    "escape codes": (("methods", 0, "\x1b[31mred"), 1, ["unknown key '?[31mred'"]),
    "t0 not a number": (
        ("methods", 0, "sweep", "t0"),
        [float("nan")],
        ["methods[0].sweep.t0[0]: nan is not allowed"],
    ),
    "t0 infinite": (
        ("methods", 0, "sweep", "t0"),
        [float("inf")],
        ["methods[0].sweep.t0[0]: inf is not allowed"],
    ),
    "sweep of mappings": (
        ("methods", 0, "sweep", "t0"),
        [{"a": 1}],
        ["methods[0].sweep.t0[0]", "{'a': 1} is not allowed"],
    ),
    "sweep no list": (
        ("methods", 0, "sweep", "t0"),
        0.5,
        ["methods[0].sweep.t0: 0.5 is not allowed", "valid list"],
    ),
    "batch size no number": (
        ("batch_size",),
        "many",
        ["suite.yaml: batch_size: 'many' is not allowed"],
    ),
    "batch size huge": (
        ("batch_size",),
        10**9,
        ["suite.yaml: batch_size: 1000000000 is not allowed"],
    ),
    "seed negative": (("seeds",), [-1], ["suite.yaml: seeds[0]: -1 is not allowed"]),
    "seed too large": (
        ("seeds",),
        [2**63],
        ["suite.yaml: seeds[0]: 9223372036854775808 is not allowed"],
    ),
    "seed a fraction": (("seeds",), [0.5], ["suite.yaml: seeds[0]: 0.5 is not allowed"]),
    "no seeds": (("seeds",), [], ["suite.yaml: seeds: [] is not allowed"]),
    "reference a list": (
        ("reference",),
        ["toy"],
        ["suite.yaml: reference: ['toy'] is not allowed"],
    ),
    "a very long value": (
        ("name",),
        "x/" * 10**5,
        ["suite.yaml: name: 'x/x/", "... is not allowed"],
    ),
    "a very long key": (
        ("k" * 10**5,),
        1,
        ["suite.yaml: kkk", "unknown key 'kkk", "...'. Allowed: name"],
    ),
    "manifest of an impossible name": (
        ("samples", "path"),
        "a" * 3000,
        ["path: '", "aaa...aaa", "not found; give a"],
    ),
    "manifest a folder": (
        ("samples", "path"),
        ".",
        ["path: '", "not found; give a .csv or .jsonl"],
    ),
    "manifest of another type": (
        ("samples", "path"),
        "broken.png",
        ["unknown manifest type '.png'", "Allowed: .csv, .jsonl"],
    ),
}


@pytest.mark.parametrize("case", SUITES)
def test_bad_suite(case: str, refuse: Refuse, write_suite: Any, suite_content: Content) -> None:
    path, value, expected = SUITES[case]
    place: Any = suite_content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    write_suite(suite_content)
    refuse(expected)


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
        ["sample id 'a' appears twice; ids must be unique"],
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
        [":2: image: '", "bomb.png' is not a readable image"],
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

FILES: dict[str, tuple[bytes, list[str]]] = {
    "open bracket": (b"a: [1", ["suite.yaml", "not valid YAML"]),
    "nothing": (b"", ["suite.yaml: a suite is a mapping with the keys name, samples", "nothing"]),
    "a list": (b"- 1", ["suite.yaml: a suite is a mapping", "a list"]),
    "a key twice": (
        b"name: a\nname: b\n",
        ["suite.yaml:2: not valid YAML", "key 'name' is written twice"],
    ),
    "almost nothing": (b"name: a\n", ["suite.yaml: samples: the key is missing"]),
    "no text": (b"\x89PNG\r\n", ["suite.yaml: the suite file is not UTF-8 text"]),
    "control characters": (b"name: a\x00b", ["suite.yaml: not valid YAML"]),
    "tabs": (
        b"samples:\n\tsource: manifest\n",
        ["suite.yaml:2: not valid YAML", "cannot start any token"],
    ),
    "two documents": (
        b"name: a\n---\nname: b\n",
        ["suite.yaml:2: not valid YAML", "but found another document"],
    ),
    "an object": (
        b"name: !!python/object/apply:os.system [ls]",
        ["suite.yaml:1: not valid YAML", "constructor for the tag"],
    ),
    "a list as a key": (b"? [a]\n: b\n", ["suite.yaml:1: not valid YAML", "unhashable key"]),
    "an alias to nowhere": (b"name: *gone\n", ["suite.yaml:1: not valid YAML", "undefined alias"]),
    "an alias to itself": (
        b"name: &a [*a]\n",
        ["suite.yaml:1: not valid YAML", "an alias that holds itself"],
    ),
    "a bomb of aliases": (
        b"a0: &a0 [x, x]\n"
        + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (i, i, i - 1, i - 1) for i in range(1, 40)),
        ["suite.yaml:", "not valid YAML", "aliases make more than 100000 values of it"],
    ),
    "nested without end": (
        b"name: " + b"[" * 1000,
        ["suite.yaml: not valid YAML (nested too deeply)"],
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


@pytest.mark.parametrize("case", FILES)
def test_bad_file(case: str, refuse: Refuse, toy_folder: Path) -> None:
    text, expected = FILES[case]
    (toy_folder / "suite.yaml").write_bytes(text)
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
