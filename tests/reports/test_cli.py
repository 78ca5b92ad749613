"""The command writes its files whole and prints them; importing it is cheap."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from eval.errors import EvalError
from eval.summary.ballot_files import FORMAT
from reports.cli import report, write_comparison, write_report
from reports.page.report import build
from reports.people.counting import count
from reports.people.page import Asked, write_page
from reports.run.load import load_run
from reports.tables.markdown import render_markdown

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
        "accuracy",
        "definitions",
    }
    assert {path.stem for path in (own_run_folder / "tables").glob("*.md")} == stems
    assert {path.stem for path in (own_run_folder / "tables").glob("*.tex")} == stems | {"all"} | {
        f"paper-{group}" for group in GROUPS
    }
    drawn = {path.name for path in (own_run_folder / "figures").glob("*")}
    assert {Path(name).suffix for name in drawn} == {".svg"}
    assert len(drawn) == 3 * (1 + 1 + 2)  # curves, a Pareto plot, two of speed in each group
    assert not list(own_run_folder.rglob("*.partial"))


def test_a_paper_has_its_columns_and_figures_one_column_wide(own_run_folder: Path) -> None:
    app = typer.Typer()
    app.command()(report)
    asked = ["--paper", "--metrics", "motion", "--style", "pm", "--samples", "0"]
    result = CliRunner().invoke(app, [str(own_run_folder), *asked])
    assert result.exit_code == 0, result.output
    table = (own_run_folder / "tables" / "paper-all.tex").read_text(encoding="utf-8")
    assert "Motion" in table
    assert "Identity" not in table
    assert "\\pm" in table
    figures = {path.stem: path.read_bytes() for path in (own_run_folder / "figures").glob("*.pdf")}
    # besides what the page shows, three heatmaps in each of three groups
    assert len(figures) == 3 * (3 + 1 + 1 + 2)
    for name, data in figures.items():
        width = float(re.search(rb"/MediaBox \[ ?0 0 ([\d.]+)", data)[1])  # type: ignore[index]
        assert width <= 3.36 * 72, name
        assert b"/Type3" not in data  # outlines that printers and publishers refuse
    wrong = CliRunner().invoke(app, [str(own_run_folder), "--metrics", "speed"])
    assert isinstance(wrong.exception, EvalError)


def test_an_image_or_a_clip_that_cannot_be_shown_is_a_placeholder(own_run_folder: Path) -> None:
    (own_run_folder / "samples" / "seen-0" / "image.png").write_bytes(b"")
    run = load_run(own_run_folder)
    lost, torn = (run.clip_keys[cell, "seen-1", 0] for cell in ("content-adapter", "still-image"))
    (own_run_folder / "clips" / lost[:2] / f"{lost}.mkv").unlink()
    clip = own_run_folder / "clips" / torn[:2] / f"{torn}.mkv"
    clip.write_bytes(clip.read_bytes()[:100])
    page = write_report(own_run_folder)[0].read_text(encoding="utf-8")
    shown = re.findall(r'class="placeholder" role="img" aria-label="([^"]+): cannot', page)
    clips = {name for name in shown if name.startswith("Clip of")}
    assert {name for name in clips if not name.endswith(" on the sheet")} == {
        "Clip of content-adapter for sample seen-1",
        "Clip of still-image for sample seen-1",
    }
    assert "Input image of sample seen-0" in shown
    assert f"{lost}.mkv: no such file" in page


def test_a_broken_table_leaves_no_half_report(own_run_folder: Path) -> None:
    (own_run_folder / "summary.csv").write_text("cell\n", encoding="utf-8")
    with pytest.raises(EvalError, match=r"summary\.csv: "):
        write_report(own_run_folder)
    assert not (own_run_folder / "report.html").exists()
    assert not (own_run_folder / "report.md").exists()


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "no space left"), (errno.EROFS, "cannot be written"), (errno.EIO, "put it")],
)
@pytest.mark.parametrize("command", ["report", "compare", "rank", "count"])
def test_a_disk_that_refuses_is_one_line_and_leaves_nothing_half(
    command: str,
    code: int,
    words: str,
    run_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = Path(shutil.copytree(run_folder, tmp_path / "own"))
    write_page(folder, ["content-adapter", "still-image"], Asked(2))
    key = json.loads((folder / "rank-key.json").read_text())
    (tmp_path / "ballots").mkdir()
    case, letters = next(iter(key["cases"].items()))
    ballot = {
        "format": FORMAT,
        "page": key["page"],
        "rater": "one",
        "rankings": {case: {"overall": [list(letters)]}},
    }
    (tmp_path / "ballots" / "one.json").write_text(json.dumps(ballot))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("os.replace", refuse)
    calls: dict[str, Callable[[], object]] = {
        "report": lambda: write_report(folder, samples=0),
        "compare": lambda: write_comparison([folder, folder], folder / "out", samples=0),
        "rank": lambda: write_page(folder, ["content-adapter", "still-image"], Asked(2, 1)),
        "count": lambda: count(folder, tmp_path / "ballots"),
    }
    with pytest.raises(EvalError, match=words) as caught:
        calls[command]()
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


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
