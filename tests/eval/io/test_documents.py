"""Files written whole: text, JSON, CSV, and what is said when the disk refuses."""

from __future__ import annotations

import csv
import errno
import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.errors import EvalError, StoreError
from eval.io.arrays import read_array, write_array
from eval.io.documents import csv_text, read_json, write_csv, write_json, write_text


def test_json_has_null_for_numbers_that_are_not_finite_at_any_depth(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    write_json(path, {"a": [1.5, math.nan, (math.inf, {"b": -math.inf})], "é": 0.1})
    assert json.loads(path.read_bytes().decode()) == {
        "a": [1.5, None, [None, {"b": None}]],
        "é": 0.1,
    }
    assert read_json(path)["é"] == 0.1
    assert "é" in path.read_text(encoding="utf-8")


def test_csv_reads_back_and_none_is_an_empty_field(tmp_path: Path) -> None:
    rows = [["a,b", 'say "x"', None], ["line\nbreak", 1, True], ["\rx", "y\r", "\r\n"]]
    write_csv(tmp_path / "t.csv", ("x", "y", "z"), rows)
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        read = list(csv.reader(file))
    assert read == [
        ["x", "y", "z"],
        ["a,b", 'say "x"', ""],
        ["line\nbreak", "1", "True"],
        *rows[2:],
    ]
    assert (tmp_path / "t.csv").read_bytes().count(b"\r") == 3


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "no space left .*make room, and run the same command again"),
        (errno.EDQUOT, "no space left"),
        (errno.EROFS, "cannot be written .*give another --out"),
        (errno.EIO, "what is stored stays"),
    ],
)
@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_text(path, "new"),
        lambda path: write_json(path, {}),
    ],
)
def test_a_refused_file_is_one_line_and_leaves_what_was_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Path], None],
    code: int,
    message: str,
) -> None:
    path = tmp_path / "kept"
    path.write_text("old")

    def refuse(number: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError, match=message) as error:
        write(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    assert [file.name for file in tmp_path.iterdir()] == ["kept"]
    assert path.read_text() == "old"


def test_the_content_is_on_the_disk_before_the_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []

    def note(name: str, real: Any) -> None:
        def call(*arguments: Any) -> Any:
            steps.append(name)
            return real(*arguments)

        monkeypatch.setattr(os, name, call)

    note("fsync", os.fsync)
    note("replace", os.replace)
    write_text(tmp_path / "a", "text")
    assert steps == ["fsync", "replace", "fsync"]


def test_arrays_read_back_and_other_files_are_refused(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    write_array(tmp_path / "a.npy", array, "a")
    assert np.array_equal(read_array(tmp_path / "a.npy", "a"), array)
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01")
    with pytest.raises(EvalError, match=r"a\.npy: not a stored feature"):
        read_array(tmp_path / "a.npy", "a")


@pytest.mark.parametrize("text", ["[1]", "{", ""])
def test_a_file_that_is_no_json_object_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(EvalError, match=r"x\.json: not"):
        read_json(tmp_path / "x.json")
    assert read_json(tmp_path / "missing.json") == {}


def test_a_long_table_is_written_in_parts_and_reads_back(tmp_path: Path) -> None:
    """Longer than what is written at a time, with line ends of every kind in its fields."""
    odd = {7: "a\rb", 5000: "a\nb", 5001: "a\r\nb", 9000: 'a"b,', 9999: ""}
    rows = [[str(number), odd.get(number, "plain")] for number in range(10_000)]
    write_csv(tmp_path / "t.csv", ("n", "text"), (row for row in rows))
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["n", "text"], *rows]
    content = (tmp_path / "t.csv").read_bytes()
    assert content.count(b"\r") == 2
    assert content.decode() == csv_text(("n", "text"), rows)


def test_a_table_whose_rows_end_in_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    def rows() -> Iterator[tuple[int]]:
        yield (1,)
        raise EvalError("no more")

    (tmp_path / "t.csv").write_text("old")
    with pytest.raises(EvalError, match="no more"):
        write_csv(tmp_path / "t.csv", ("n",), rows())
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    assert (tmp_path / "t.csv").read_text() == "old"
