"""What is printed steers no terminal, fits any encoding, and a full disk is one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from eval.io.console import cell, plain, say, show

HOSTILE = "a\x1b[31mred\x07 \x9b2J [bold]猫\r"


def test_lines_and_cells_hold_nothing_that_a_terminal_obeys(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say(HOSTILE)
    say(HOSTILE, err=True)
    table = Table("name", box=None)
    table.add_row(cell(HOSTILE))
    show(table)
    printed = capsys.readouterr()
    assert printed.out.startswith("a?[31mred? ?2J [bold]猫?\n")
    assert printed.err == "a?[31mred? ?2J [bold]猫?\n"
    assert "a?[31mred? ?2J [bold]猫" in printed.out.splitlines()[2]
    assert all(c.isprintable() or c == "\n" for c in printed.out)
    assert plain("kept\nand\tkept") == "kept\nand\tkept"


SCRIPT = """
from rich.table import Table
from eval.cli import _one_line_errors
from eval.io.console import cell, say, show
@_one_line_errors
def command():
    {line}
import typer
app = typer.Typer(pretty_exceptions_enable=False)
app.command()(command)
app()
"""
SAY = 'say("\\u732b \\ud800")'
SHOW = 'table = Table("\\u732b", box=None); table.add_row(cell("\\u732b")); show(table)'


@pytest.mark.parametrize("line", [SAY, SHOW])
def test_what_an_encoding_lacks_is_written_as_an_escape(line: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(line=line)],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u732b" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("line", [SAY, SHOW])
def test_a_full_disk_is_one_line(line: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT.format(line=line)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    expected = "error: standard output cannot be written (No space left on device)\n"
    assert (done.returncode, done.stderr) == (1, expected)


def test_a_reader_that_goes_away_is_no_error() -> None:
    line = "[say(number) for number in range(100_000)]"
    done = subprocess.run(
        ["bash", "-c", '"$0" -c "$1" | head -1', sys.executable, SCRIPT.format(line=line)],
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("0\n", "")
