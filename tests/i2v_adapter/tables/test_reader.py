"""The row reader: what is text stays text, what is not is named, in CSV and JSON lines alike."""

from __future__ import annotations

import csv
import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2v_adapter.tables.named_files import Finder
from i2v_adapter.tables.reader import Column, Rows
from i2v_adapter.tables.texts import RowError

COLUMNS = (
    Column("id", kind="name", required=True),
    Column("prompt", old=("name",), required=True),
    Column("seed", kind="whole"),
)


def read(path: Path, strict: bool = False) -> list[tuple[dict[str, str], str]]:
    rows = Rows(path, COLUMNS, prefix="truth_", strict=strict)
    return [(values, fault) for _, values, fault in rows] + [({}, note) for note in rows.notes]


BOM = b"\xef\xbb\xbf"
SEEN: dict[str, tuple[str, bytes, list[str]]] = {
    # name of the file, its bytes, what each row comes to: its prompt, or "! " and the fault; notes
    "line separator": ("a.jsonl", b'{"id":"a","prompt":"x\xe2\x80\xa8y"}\n', ["x\u2028y"]),
    "next line": ("a.jsonl", b'{"id":"a","prompt":"x\xc2\x85y"}\n', ["x\x85y"]),
    "separators in CSV": ("a.csv", b"id,prompt\na,x\xe2\x80\xa8y\xc2\x85z\n", ["x\u2028y\x85z"]),
    "CRLF": ("a.jsonl", b'{"id":"a","prompt":"x"}\r\n\r\n{"id":"b","prompt":"y"}', ["x", "y"]),
    "CRLF in CSV": ("a.csv", b'id,prompt\r\na,"x\r\ny"\r\n', ["x\r\ny"]),
    "BOM": ("a.jsonl", BOM + b'{"id":"a","prompt":"x"}\n', ["x"]),
    "BOM in CSV": ("a.csv", BOM + b"id,prompt\na,x\n", ["x"]),
    "old spelling": ("a.csv", b"id,name\na,x\n", ["x"]),
    "both spellings": (
        "a.csv",
        b"id,name,prompt\na,x,y\n",
        ["y", "! a.csv: ignored unknown columns 'name'"],
    ),
    "a whole number as an id": ("a.jsonl", b'{"id":7,"prompt":"x","seed":7}\n', ["x"]),
    "list": ("a.jsonl", b'{"id":"a","prompt":["x"]}\n', ["! prompt is a list, not text"]),
    "object": ("a.jsonl", b'{"id":"a","prompt":{"en":"x"}}\n', ["! prompt is an object, not text"]),
    "true": ("a.jsonl", b'{"id":"a","prompt":true}\n', ["! prompt is true, not text"]),
    "number": ("a.jsonl", b'{"id":"a","prompt":3.5}\n', ["! prompt is the number 3.5, not text"]),
    "NaN": ("a.jsonl", b'{"id":"a","prompt":NaN}\n', ["! prompt is NaN, not text"]),
    "true as a seed": (
        "a.jsonl",
        b'{"id":"a","prompt":"x","seed":true}\n',
        ["! seed is true, not a whole number"],
    ),
    "a broken number as a seed": (
        "a.jsonl",
        b'{"id":"a","prompt":"x","seed":6.5}\n',
        ["! seed is the number 6.5, not a whole number"],
    ),
    "infinite truth": (
        "a.jsonl",
        b'{"id":"a","prompt":"x","truth_v":1e999}\n',
        ["! truth_v is too large a number"],
    ),
    "digits without end": (
        "a.jsonl",
        b'{"id":"a","prompt":"x","seed":' + b"9" * 5000 + b"}\n",
        ["! not JSON (Exceeds the limit"],
    ),
    "null": ("a.jsonl", b'{"id":"a","prompt":null}\n', ["! prompt is missing; every row needs id"]),
    "an old spelling of null": (
        "a.jsonl",
        b'{"id":"a","name":null}\n',
        ["! prompt is missing; every row needs id, prompt"],
    ),
    "half a character": (
        "a.jsonl",
        b'{"id":"a","prompt":"\\ud800"}\n',
        ["! prompt holds half a character (\\ud800)"],
    ),
    "a key twice": (
        "a.jsonl",
        b'{"id":"a","prompt":"x","prompt":"y"}\n',
        ["! key 'prompt' is given twice"],
    ),
    "Latin text in a line": (
        "a.jsonl",
        b'{"id":"a","prompt":"x"}\n{"id":"b","prompt":"\xe9"}\n',
        ["x", "! not UTF-8 text (byte 0xe9)"],
    ),
    "nested without end": ("a.jsonl", b"[" * 200_000, ["! not JSON"]),
    "a short row": (
        "a.csv",
        b"id,prompt\na\nb,y\n",
        ["! the row does not have the header's 2 values", "y"],
    ),
    "an unknown column": (
        "a.csv",
        b"id,prompt,promt,note\na,x,y,z\n",
        ["x", "! a.csv: ignored unknown columns 'promt', 'note'; known are id, prompt, seed"],
    ),
    "columns without a name": ("a.csv", b",id,prompt,,\n0,a,x,,\n", ["x"]),
    "an unknown key": (
        "a.jsonl",
        b'{"id":"a","prompt":"x","n":1}\n{"id":"b","prompt":"y","n":[]}\n',
        ["x", "y", "! a.jsonl: ignored unknown columns 'n'; known are"],
    ),
}
REFUSED: dict[str, tuple[str, bytes, str]] = {
    "a column twice": (
        "a.csv",
        b"id,prompt,prompt\na,x,y\n",
        "column 'prompt' is in the header tw",
    ),
    "semicolons": ("a.csv", b"id;prompt\na;x\n", "separated by semicolons (';'), not by commas"),
    "tabs": ("a.csv", b"id\tprompt\na\tx\n", "separated by tabs ('\\t'), not by commas"),
    "quoted semicolons": ("a.csv", b'"id";"prompt"\n"a";"x"\n', "not CSV"),
    "semicolons after a BOM": ("a.csv", BOM + b"id;prompt\na;x,y\n", "separated by semicolons"),
    "UTF-16": ("a.csv", "id,prompt\n".encode("utf-16"), "UTF-16, not UTF-8 text"),
    "Latin text": ("a.csv", b"id,prompt\na,caf\xe9\n", "not UTF-8 text (byte 0xe9)"),
    "misspelt": ("a.csv", b"id,promt\na,x\n", "no column 'prompt'; the header has 'id', 'promt'"),
    "a quote that never ends": ("a.csv", b'id,prompt\na,"x\nb,y\n', "a.csv:3: not CSV"),
    "a field of 200 kB": ("a.csv", b"id,prompt\na," + b"x" * 200_000, "a.csv:2: not CSV (field"),
    "another type": ("a.tsv", b"id\tprompt\n", "unknown manifest type '.tsv'"),
    "missing": ("b.csv", b"", "no such file"),
}


@pytest.mark.parametrize("case", SEEN)
def test_rows(case: str, tmp_path: Path) -> None:
    name, content, expected = SEEN[case]
    (tmp_path / name).write_bytes(content)
    found = read(tmp_path / name)
    assert len(found) == len(expected), found
    for (values, fault), wanted in zip(found, expected, strict=True):
        if wanted.startswith("! "):
            assert wanted[2:] in fault.replace(str(tmp_path) + "/", "")
        else:
            assert (values["prompt"], fault) == (wanted, "")


@pytest.mark.parametrize("case", REFUSED)
def test_files_that_are_refused_whole(case: str, tmp_path: Path) -> None:
    name, content, expected = REFUSED[case]
    if case != "missing":
        (tmp_path / name).write_bytes(content)
    with pytest.raises(RowError) as refused:
        read(tmp_path / name)
    assert expected in str(refused.value)
    assert str(tmp_path / name) in str(refused.value)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_strict_readers_refuse_unknown_columns(name: str, tmp_path: Path) -> None:
    text = "id,prompt,sed\na,x,1\n" if name == "a.csv" else '{"id":"a","prompt":"x","sed":1}\n'
    (tmp_path / name).write_text(text)
    try:
        [(_, fault)] = read(tmp_path / name, strict=True)
    except RowError as error:
        fault = str(error)
    assert "unknown column 'sed'. Allowed: id, prompt, seed, truth_*. Did you mean 'seed'?" in fault


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).filter(lambda t: t.strip())


@given(prompts=st.lists(TEXT, min_size=1, max_size=5))
def test_any_text_comes_back_as_it_was_written(
    prompts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Written by the csv and json modules, read here, in both formats."""
    folder = tmp_path_factory.mktemp("rows")
    with (folder / "a.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "prompt"], *(["a", text] for text in prompts)])
    lines = (json.dumps({"id": "a", "prompt": text}, ensure_ascii=False) for text in prompts)
    (folder / "a.jsonl").write_bytes("\n".join(lines).encode())
    for name in ("a.csv", "a.jsonl"):
        assert [(row["prompt"], fault) for row, fault in read(folder / name)] == [
            (text, "") for text in prompts
        ]


ACCENTED = "café.png"
COMPOSED, DECOMPOSED = (unicodedata.normalize(form, ACCENTED) for form in ("NFC", "NFD"))


@pytest.mark.parametrize(("stored", "written"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_a_name_in_another_unicode_form_is_found(stored: str, written: str, tmp_path: Path) -> None:
    folder = tmp_path / stored.removesuffix(".png")
    folder.mkdir()
    (folder / stored).write_text("x")
    finder = Finder()
    name = f"{written.removesuffix('.png')}/{written}"
    assert finder.find(tmp_path, name).read_text() == "x"
    assert finder.note() == "1 names were found in another Unicode normal form"
    assert finder.find(tmp_path, f"{folder.name}/{stored}").read_text() == "x"
    assert finder.renamed == 1


def test_files_that_are_not_found(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "a.png").write_text("x")
    (inside / "Cat.png").write_text("x")
    (inside / "link.png").symlink_to(outside / "a.png")
    two = unicodedata.normalize("NFKD", "Å"), "\u212b"  # two spellings, neither of them NFC
    for name in two:
        (inside / name).write_text("x")
    for name, root, expected in [
        ("cat.png", None, "'cat.png' is not in .*in. Is 'Cat.png' meant?"),
        ("dog.png", None, "'dog.png' is not in .*in$"),
        ("a\\b.png", None, "Write folders with '/'"),
        ("a\0b.png", None, "is not the name of a file"),
        ("", None, "is not the name of a file"),
        ("n" * 5000, None, "n\\.\\.\\.' is not in"),
        ("Å", None, "holds 2 files of this name in other Unicode normal forms"),
        ("../out/a.png", inside, "leaves the folder .*in; copy the file there"),
        ("link.png", inside, "leaves the folder"),
        (str(outside / "a.png"), inside, "leaves the folder"),
    ]:
        with pytest.raises(RowError, match=expected):
            Finder(root).find(inside, name)
    for name in ("../out/a.png", "link.png", str(outside / "a.png")):
        assert Finder().find(inside, name).read_text() == "x"
