"""The table for a paper marks only what the run separates; it compiles where LaTeX is."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from eval.errors import EvalError
from reports.run.measures import Measure
from reports.run.separation import with_leads
from reports.tables.cells import CellTable, Entry, Row
from reports.tables.paper import chosen_measures, paper_table

UP = Measure("identity.x.v1", "Identity", "cosine", True, 2, "", "")
DOWN = Measure("fvd.y.v1", "FVD", "", False, 0, "", "")


def _row(cell: str, up: tuple[float, float], down: float, *, anchor: bool = False) -> Row:
    value, half = up
    entries = (
        Entry(value, value - half, value + half, 8, "", UP.number(value), ""),
        Entry(down, float("nan"), float("nan"), 8, "", DOWN.number(down), ""),
    )
    return Row(cell, anchor, False, entries)


TABLE = CellTable(
    "all",
    (UP, DOWN),
    (
        _row("ours_&_co", (0.9, 0.02), 12),
        _row("theirs", (0.7, 0.03), 40),
        _row("plain", (-0.5, 0.01), 90),
        _row("true-clip", (1.0, 0.0), 0, anchor=True),
        Row("broken", False, False, (None, None), "no clip"),
    ),
    8,
)


def test_bold_and_underlined_are_separated() -> None:
    lines = paper_table(with_leads(TABLE, {}), [UP, DOWN], "ci").splitlines()
    assert r"ours\_\&\_co & \textbf{0.90} {\footnotesize[0.88, 0.92]} & 12 \\" in lines
    assert r"theirs & \underline{0.70} {\footnotesize[0.67, 0.73]} & 40 \\" in lines
    assert r"plain & $-$0.50 {\footnotesize[$-$0.51, $-$0.49]} & 90 \\" in lines
    assert not [line for line in lines if "broken" in line]
    assert lines.index(r"true-clip & 1.00 {\footnotesize[1.00, 1.00]} & 0 \\") > lines.index(
        r"plain & $-$0.50 {\footnotesize[$-$0.51, $-$0.49]} & 90 \\"
    )


def test_nothing_is_bold_where_intervals_overlap() -> None:
    rows = (TABLE.rows[0], _row("theirs", (0.88, 0.03), 40), TABLE.rows[2])
    text = paper_table(with_leads(replace(TABLE, rows=rows), {}), [UP], "pm")
    assert "textbf" not in text
    assert "underline" not in text
    assert r"0.88 {\footnotesize$\pm$0.03}" in text


def test_measures_are_chosen_by_id_or_its_first_part() -> None:
    assert chosen_measures("fvd, identity.x.v1", [UP, DOWN]) == [DOWN, UP]
    with pytest.raises(EvalError, match=r"--metrics fwd: the run has no such measure. Allowed: id"):
        chosen_measures("fwd", [UP, DOWN])
    with pytest.raises(EvalError, match=r"--style se: unknown. Allowed: ci, pm"):
        paper_table(TABLE, [UP], "se")


@pytest.mark.parametrize("style", ["ci", "pm"])
def test_the_table_compiles(style: str, tmp_path: Path) -> None:
    engine = shutil.which("pdflatex") or shutil.which("tectonic")
    if engine is None:
        pytest.skip("needs pdflatex or tectonic on PATH (Debian: texlive-latex-base)")
    body = paper_table(with_leads(TABLE, {}), [UP, DOWN], style)
    document = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
    (tmp_path / "t.tex").write_text(document + body + "\\end{document}\n", encoding="utf-8")
    command = [engine, "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(
        command if "pdflatex" in engine else [engine, "t.tex"], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "t.pdf").stat().st_size > 1000
