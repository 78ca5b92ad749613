"""Tables in three forms hold the same texts, and LaTeX that is whole."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.files import plain_tables, slug, table_files
from reports.load import load_run
from reports.page import Report, build
from reports.plain import PlainTable, latex_text


@pytest.fixture(scope="module")
def report(run_folder: Path) -> Report:
    return build(load_run(run_folder), samples=0)


def _latex_rows(text: str) -> list[list[str]]:
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    lines = [line for line in body.splitlines() if line.endswith(r"\\")]
    return [re.split(r"(?<!\\)&", line.removesuffix(r"\\")) for line in lines]


def test_every_table_is_whole_in_every_form(report: Report) -> None:
    files = table_files(report)
    tables = list(plain_tables(report))
    assert len(tables) == 4 * 3 + 3
    for table in tables:
        latex, columns = table.latex(), len(table.header)
        rows = _latex_rows(latex)
        assert {len(row) for row in rows} == {columns}
        assert len(rows) == len(table.rows) + 1
        spec = re.search(r"\\begin\{tabular\}\{([lr]+)\}", latex)
        assert spec is not None
        assert len(spec[1]) == columns
        for name in ("table", "tabular"):
            assert latex.count(rf"\begin{{{name}}}") == latex.count(rf"\end{{{name}}}") == 1
        assert _depth(latex) == 0
        assert latex in files["tables/all.tex"]
        assert [table.header, *table.rows] == list(csv.reader(io.StringIO(table.csv())))
        lines = [line for line in table.markdown().splitlines() if line.startswith("|")]
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {columns + 1}


def _depth(latex: str) -> int:
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", latex):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    return depth


def test_the_best_is_bold_in_latex(report: Report) -> None:
    table = next(table for table in plain_tables(report) if table.name == "cells-all")
    bold = re.findall(r"\\textbf\{([^}]*)\}", table.latex())
    assert bold == ["0.905 (0.895 to 0.915)", "9.50 (no interval, n too small)"]
    assert r"i2v-adapter[t0=0.6,p=0.5] & \textbf" in table.latex()


@given(st.text(max_size=40))
def test_latex_text_leaves_nothing_to_interpret(text: str) -> None:
    written = latex_text(text)
    assert _depth(written) == 0
    assert "\n" not in written
    commands = r"\\(?:text[a-z]+\{\}|ldots\{\}|[&%$#_{}])|\$(?:-|\^2|\\[a-z]+)\$"
    assert not re.search(r"[\\$&%#_{}]", re.sub(commands, "", written))


def test_texts_that_latex_would_interpret() -> None:
    table = PlainTable("t", "50 % & more", ["a_b", "c"], [[r"\input{x}", "−1 × 2"]], numbers=True)
    assert r"\caption{50 \% \& more}" in table.latex()
    assert r"\textbackslash{}input\{x\} & $-$1 $\times$ 2 \\" in table.latex()


def test_names_of_files_stay_in_their_folder() -> None:
    assert slug("../a b/<c>") == "a-b-c"
    assert slug("..") == "unnamed"
    assert len(slug("x" * 1000)) == 120
