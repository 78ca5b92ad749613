"""The command writes its files whole and prints them; importing it is cheap."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from eval.errors import EvalError
from reports.cli import report, write_report
from reports.load import load_run
from reports.markdown import render_markdown
from reports.page import build

GROUPS = ("all", "seen", "unseen")


def test_command_writes_and_prints_its_files(own_run_folder: Path) -> None:
    app = typer.Typer()
    app.command()(report)
    result = CliRunner().invoke(app, [str(own_run_folder), "--samples", "1"])
    assert result.exit_code == 0, result.output
    names = ["report.html", "report.md", "tables", "sheet.png", "figures"]
    assert result.output.split() == [str(own_run_folder / name) for name in names]
    assert all((own_run_folder / name).stat().st_size > 0 for name in names)
    stems = {path.stem for path in (own_run_folder / "tables").glob("*.csv")} - {"comparisons"}
    assert stems == {
        *(
            f"{name}-{group}"
            for name in ("best", "cells", "comparisons", "pairs")
            for group in GROUPS
        ),
        "speed",
        "judges",
        "definitions",
    }
    assert {path.stem for path in (own_run_folder / "tables").glob("*.md")} == stems
    assert {path.stem for path in (own_run_folder / "tables").glob("*.tex")} == stems | {"all"}
    drawn = {path.stem for path in (own_run_folder / "figures").glob("*.svg")}
    assert drawn == {path.stem for path in (own_run_folder / "figures").glob("*.png")}
    assert len(drawn) == 3 * (
        3 + 1 + 2
    )  # three heatmaps, a Pareto plot and two of speed in each of three groups
    assert not list(own_run_folder.rglob("*.partial"))


def test_broken_run_leaves_no_half_report(own_run_folder: Path) -> None:
    (own_run_folder / "samples" / "seen-0" / "image.png").write_bytes(b"")
    with pytest.raises(EvalError, match=r"image\.png: not a readable image"):
        write_report(own_run_folder)
    assert not (own_run_folder / "report.html").exists()
    assert not (own_run_folder / "report.md").exists()


@pytest.mark.parametrize("name", ["nowhere", "n" * 300])
def test_a_folder_that_is_not_there_is_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="no such run folder; make one with"):
        report(tmp_path / name)


def test_markdown_holds_hostile_text_as_text(own_run_folder: Path) -> None:
    path = own_run_folder / "run.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace('"synthetic"', '"<i>a|b</i>"'), encoding="utf-8"
    )
    text = render_markdown(build(load_run(own_run_folder)))
    assert text.startswith("# Image-to-video evaluation: &lt;i&gt;a\\|b&lt;/i&gt;\n")


def test_importing_the_command_loads_nothing_heavy() -> None:
    heavy = {"torch", "pandas", "matplotlib", "av", "numpy", "PIL", "jinja2"}
    code = f"import sys, reports.cli; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
