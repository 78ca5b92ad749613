"""Tables in three forms hold the same texts, and LaTeX that is whole."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.page.report import Report, build
from reports.run.load import load_run
from reports.tables.files import plain_tables, slug, table_files
from reports.tables.latex import PACKAGES, latex_text
from reports.tables.plain import PlainTable
from tests.reports.conftest import two_images_suffice


@pytest.fixture(scope="module")
def report(run_folder: Path) -> Report:
    with two_images_suffice():
        return build(load_run(run_folder), samples=0)


def _latex_rows(latex: str, columns: int, keys: int) -> list[list[str]]:
    """Header and rows, the parts of a table side by side again."""
    parts = []
    for spec, part in re.findall(
        r"\\begin\{(?:tabular|longtable)\}\{([^\n]*)\}\n(.*?)\\bottomrule", latex, re.DOTALL
    ):
        head = part.rindex(
            r"\toprule"
        )  # a long table says its header twice, for its first page and for the others
        lines = [
            line
            for line in part[head:].splitlines()
            if re.search(r"(?:\\\\|\\tabularnewline)$", line)
        ]
        rows = [
            re.split(r"(?<!\\)&", re.sub(r" (?:\\\\|\\tabularnewline)$", "", line))
            for line in lines
        ]
        assert {len(row) for row in rows} == {len(re.findall(r"[lr]|p\{[^}]*\}", spec))}
        parts.append(
            [[text.strip().removeprefix(r"\raggedright ") for text in row] for row in rows]
        )
    joined = [
        [*row, *(text for part in rest for text in part[keys:])]
        for row, *rest in zip(*parts, strict=True)
    ]
    assert all(part[i][:keys] == row[:keys] for part in parts for i, row in enumerate(joined))
    assert {len(row) for row in joined} == {columns}
    return joined


def test_every_table_is_whole_in_every_form(report: Report) -> None:
    files = table_files(report)
    tables = list(plain_tables(report))
    assert len(tables) == 4 * 3 + 3
    for table in tables:
        latex, columns = table.latex(), len(table.header)
        rows = _latex_rows(latex, columns, table.keys)
        texts = [
            [re.sub(r"^\\textbf\{(.*)\}$|\\allowbreak\{\}", r"\1", text) for text in row]
            for row in rows
        ]
        assert texts == [
            [latex_text(text).strip() for text in row] for row in (table.header, *table.rows)
        ]
        assert latex.count(r"\caption{") == latex.count(r"\label{") == 1
        for name in ("table", "tabular", "longtable"):
            assert latex.count(rf"\begin{{{name}}}") == latex.count(rf"\end{{{name}}}")
        assert _depth(latex) == 0
        assert latex in files["tables/all.tex"]
        assert [table.header, *table.rows] == list(csv.reader(io.StringIO(table.csv())))
        lines = [line for line in table.markdown().splitlines() if line.startswith("|")]
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {columns + 1}


HARD = (
    '"quoted" «å» ‘’ — ĸ 中 🙂 \\ { } $ & # ^ _ ~ % | < > ` \N{SOFT HYPHEN}\x07 '
    "id.with_parts[p=0.5]+more"
)


@pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="needs pdflatex on PATH (Debian: texlive-latex-base)"
)
def test_a_compiler_takes_every_table_and_no_line_is_too_wide(
    report: Report, tmp_path: Path
) -> None:
    number = "−12.345 (−1.000 to 0.001, bias-corrected 12, n too small)"
    tables = [
        *plain_tables(report),
        PlainTable("hard", HARD, [HARD, "b"], [[HARD, HARD]], notes=[HARD]),
        PlainTable(
            "wide",
            "Wide",
            list("abcdefgh"),
            [["cell", *[number] * 7]] * 3,
            frozenset({(0, 1)}),
            numbers=True,
        ),
        PlainTable(
            "long", "Long", list("abc"), [["first", "second", number]] * 150, numbers=True, keys=2
        ),
    ]
    body = "\n".join(table.latex() for table in tables)
    head = rf"\documentclass{{article}}{PACKAGES}\hbadness=10000"
    document = rf"{head}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "tables.tex").write_text(document, encoding="utf-8")
    command = [
        "pdflatex",
        "-interaction=nonstopmode",
        "-halt-on-error",
        "-no-shell-escape",
        "tables.tex",
    ]
    for _ in range(3):  # a long table finds its widths in the run before
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False
        )
        assert done.returncode == 0, done.stdout[-2000:]
    assert "Table widths have changed" not in done.stdout
    assert "Float too large" not in done.stdout
    assert (
        max(map(float, re.findall(r"Overfull \\hbox \(([\d.]+)pt", done.stdout)), default=0.0) < 6
    )
    assert done.stdout.count("Missing character") == 0
    numbered = re.findall(
        r"\\newlabel\{tab:[^}]*\}\{\{(\d+)\}", (tmp_path / "tables.aux").read_text()
    )
    assert sorted(map(int, numbered)) == list(range(1, len(tables) + 1))


def _depth(latex: str) -> int:
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", latex):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    return depth


def test_the_best_is_bold_in_latex(report: Report) -> None:
    table = next(table for table in plain_tables(report) if table.name == "cells-all")
    bold = re.findall(r"\\textbf\{([^}]*)\}", table.latex())
    assert bold == ["0.905 (0.895 to 0.915)"]  # an FVD without an interval leads nothing
    assert r"i2v-adapter[t0=0.6,p=0.5] & \textbf" in table.latex()


@given(st.text(max_size=40))
def test_latex_text_leaves_nothing_to_interpret(text: str) -> None:
    written = latex_text(text)
    assert _depth(written) == 0
    assert "\n" not in written
    commands = r"\\(?:text[a-z]+\{\}|allowbreak\{\}|ldots\{\}|[&%$#_{}])|\$(?:-|\^2|\\[a-z]+)\$"
    assert not re.search(r"[\\$&%#_{}]", re.sub(commands, "", written))


def test_texts_that_latex_would_interpret() -> None:
    table = PlainTable("t", "50 % & more", ["a_b", "c"], [[r"\input{x}", "−1 × 2"]], numbers=True)
    assert r"\caption{50 \% \& more}" in table.latex()
    assert r"\textbackslash{}input\{x\} & $-$1 $\times$ 2 \\" in table.latex()


def test_names_of_files_stay_in_their_folder() -> None:
    assert slug("../a b/<c>") == "a-b-c"
    assert slug("..") == "unnamed"
    assert len(slug("x" * 1000)) == 120
