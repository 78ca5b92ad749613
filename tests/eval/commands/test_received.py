"""A run folder that somebody else sent: nothing it names is opened unasked, damaged tables are one
line, and a table for a spreadsheet runs no formula.
"""

import csv
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eval.cli import app
from eval.errors import EvalError
from eval.io import files
from eval.io.files import OPEN_STORAGE, named_place
from eval.store.store import Failure, Record, Store
from tests.eval.commands.test_folder_commands import fill

COMMANDS = [
    ("status", "RUN"),
    ("export", "RUN"),
    ("export", "RUN", "--format", "vbench"),
    ("gate", "RUN", "--baseline", "BASE"),
    ("report", "RUN"),
    ("compare", "RUN", "RUN"),
    ("rank", "RUN"),
]


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fill(tmp_path / "run")
    return tmp_path / "run"


# export --spreadsheet

FORMULAS = ["=1+cmd|' /C calc'!A0", "+1+cmd", "-2+3", "@SUM(1,2)", "\t=1", "\r=1"]


def test_a_table_for_a_spreadsheet_runs_no_formula(folder: Path) -> None:
    with Store(folder) as store:
        failures = [
            Failure(text, f"s{number}", 0, "make", "x") for number, text in enumerate(FORMULAS)
        ]
        store.add_failures(failures)
        store.add_records([Record("toy[t0=0.5]", "s9", 0, "m.e.v1", -1.5, "=A1", "aa", "w")])
    noted = invoke("export", folder, "--out", folder / "plain.csv")
    assert noted.exit_code == 0
    assert f"note: {len(FORMULAS) + 1} texts begin with =, +, - or @" in noted.stderr
    shielded = invoke("export", folder, "--spreadsheet", "--out", folder / "safe.csv")
    assert (shielded.exit_code, shielded.stderr) == (0, "")
    tables = []
    for name in ("plain.csv", "safe.csv"):
        with (folder / name).open(newline="", encoding="utf-8") as file:
            tables.append(list(csv.reader(file)))
    plain, safe = ([field for row in table for field in row] for table in tables)
    assert [field.removeprefix("'") for field in safe] == plain
    texts = [field for field in safe if field.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert texts == ["-1.5"]  # a number stays a number
    assert sum(field.startswith("'") for field in safe) == len(FORMULAS) + 1


@pytest.mark.parametrize("format", ["json", "parquet", "vbench"])
def test_only_csv_goes_into_a_spreadsheet(format: str, folder: Path) -> None:
    result = invoke("export", folder, "--spreadsheet", "--format", format)
    assert result.exit_code == 2
    assert f"--spreadsheet goes with --format csv, not {format}" in result.stderr


# --open-storage


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that are opened, none of them really."""
    found: list[str] = []

    def note(text: str) -> Path:
        found.append(text)
        return Path("/nowhere")

    monkeypatch.delenv(OPEN_STORAGE, raising=False)
    monkeypatch.setattr("eval.io.files.place", note)
    return found


URLS = ["http://example.org/x", "ftp://h/x", "zip://a.zip", "reference://x", "dir://x", "s3://b/x"]


@pytest.mark.parametrize("url", [*URLS, "data:,x://", "filecache://h/x", "HTTP://h/x"])
def test_an_address_in_a_run_folder_is_not_opened_unasked(
    url: str, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EvalError, match=r"not opened unasked.*i2v-eval --open-storage COMMAND"):
        named_place(url, Path("run"))
    assert opened == []
    monkeypatch.setenv(OPEN_STORAGE, "1")
    named_place(url, Path("run"))
    assert opened == [url]


@pytest.mark.parametrize("command", [c for c in COMMANDS if c[0] in ("status", "export")])
@pytest.mark.parametrize("where", ["database", "run.json"])
def test_commands_open_it_with_the_option_alone(
    where: str,
    command: tuple[str, ...],
    folder: Path,
    opened: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = "http://127.0.0.1:9/clips"
    monkeypatch.setattr("eval.store.opened.place", files.place)
    if where == "database":
        with Store(folder) as store:
            store.set_meta("storage", url)
        opened.clear()
    else:
        document = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps(document | {"storage": url}))
    arguments = [str(folder) if part == "RUN" else part for part in command]
    result = invoke(*arguments)
    assert opened == []
    if where == "database":
        assert result.exit_code == 2
        assert url in result.stderr
        assert "--open-storage" in result.stderr
        invoke("--open-storage", *arguments)
        assert set(opened) == {url}


# Damaged tables

WORDS = ["", "nan", "inf", "1e999", "x" * 200, '"', "\n", "9" * 5000, "[", "null", "../../x", "\0"]


def damaged(content: bytes, draw: random.Random) -> bytes:
    """A field replaced, bytes cut out, or a bit flipped."""
    for _ in range(draw.choice((1, 1, 3))):
        kind = draw.randrange(3)
        start = draw.randrange(len(content) or 1)
        if kind == 0:
            lines = content.split(b"\n")
            place = draw.randrange(len(lines))
            fields = lines[place].split(b",")
            fields[draw.randrange(len(fields))] = draw.choice([*WORDS, "\xff"]).encode("latin-1")
            lines[place] = b",".join(fields)
            content = b"\n".join(lines)
        elif kind == 1:
            content = content[:start] + content[start + draw.randrange(1, 60) :]
        elif content:
            flipped = content[start] ^ (1 << draw.randrange(8))
            content = content[:start] + bytes([flipped]) + content[start + 1 :]
    return content


def test_any_damage_to_a_received_run_is_one_line(
    run_toy: Any, suite_content: dict[str, Any], tmp_path: Path
) -> None:
    """By the commands that read its tables; also a baseline that is no baseline."""
    suite_content |= {"methods": [{"method": "toy_method:Toy", "label": "toy"}]}
    suite_content |= {"reference": None}
    folder = run_toy(suite_content, "run").folder
    base = tmp_path / "base.json"
    assert invoke("gate", folder, "--baseline", base, "--update", "x").exit_code == 0
    tables = ("records.csv", "summary.csv", "comparisons.csv", "samples.csv", "failures.csv")
    files = [base, folder / "run.json", *(folder / name for name in tables)]
    whole = {path: path.read_bytes() for path in files}
    draw, ended = random.Random(0), {0: 0, 1: 0, 2: 0, 4: 0}
    for number in range(7 * int(os.environ.get("TORTURE_KILLS", "2"))):
        path = files[number % len(files)]
        path.write_bytes(damaged(whole[path], draw))
        for command in (COMMANDS[1], COMMANDS[3]):
            names = {"RUN": folder, "BASE": base}
            result = invoke(*(names.get(part, part) for part in command))
            ended[result.exit_code] += 1
            if result.exit_code not in (0, 1):
                assert isinstance(result.exception, SystemExit), (path.name, command)
                [line] = result.stderr.strip().splitlines()
                assert line.startswith("error: ")
                assert line.isprintable()
        path.write_bytes(whole[path])
    assert ended[0] > 0 < ended[2]


BASELINES = {
    "another version": ({"format": 2}, "format: 2 is not allowed"),
    "no entries": ({"entries": []}, "entries"),
    "not a number": ({"entries": [{"cell": "c", "metric": "m", "mean": "x", "n": 1}]}, "mean"),
    "an unknown key": ({"version": 3}, "unknown key 'version'"),
    "a negative tolerance": ({"tolerances": {"default": {"absolute": -1}}}, "absolute"),
}


@pytest.mark.parametrize("case", BASELINES)
def test_a_baseline_of_another_version_is_named(case: str, tmp_path: Path) -> None:
    changes, said = BASELINES[case]
    entry = {"cell": "c", "metric": "m", "mean": 1.0, "n": 1}
    content = {"format": 1, "suite": "toy", "reason": "x", "entries": [entry]} | changes
    (tmp_path / "base.json").write_text(json.dumps(content))
    result = invoke("gate", tmp_path, "--baseline", tmp_path / "base.json")
    assert result.exit_code == 2
    assert "base.json" in result.stderr
    assert said in result.stderr
