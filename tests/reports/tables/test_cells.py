"""Numbers as written, verdicts, and texts that cannot leave a Markdown table."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.summary.cautions import Caution
from reports.run.load import load_run
from reports.run.measures import Measure, measures_of
from reports.tables.cells import (
    cell_frame,
    cell_table,
    comparison_table,
    difference,
    markdown_text,
)
from reports.tables.plain import plain_cells

MEASURE = Measure("identity.dino_glyph.v1", "Identity", "cosine", True, 3, "", "")


@pytest.mark.parametrize(
    ("value", "sign", "text"),
    [
        (0.12345, False, "0.123"),
        (-0.5, False, "−0.500"),
        (0.5, True, "+0.500"),
        (-0.0001, True, "0.000"),
        (math.nan, False, "–"),
        (math.inf, True, "–"),
    ],
)
def test_numbers_as_written(value: float, sign: bool, text: str) -> None:
    assert MEASURE.number(value, sign=sign) == text


@pytest.mark.parametrize(
    ("low", "high", "better", "verdict"),
    [
        (0.1, 0.3, True, "better"),
        (0.1, 0.3, False, "worse"),
        (-0.3, -0.1, True, "worse"),
        (-0.3, -0.1, False, "better"),
        (0.1, 0.3, None, "higher"),
        (-0.3, -0.1, None, "lower"),
        (-0.1, 0.3, True, "unclear"),
        (0.0, 0.3, True, "unclear"),
        (math.nan, math.nan, True, "unclear"),
    ],
)
def test_verdict_needs_an_interval_without_zero(
    low: float, high: float, better: bool | None, verdict: str
) -> None:
    assert (
        difference(replace(MEASURE, higher_is_better=better), 0.2, low, high, 4).verdict == verdict
    )


def test_an_interval_that_excludes_zero_is_not_shown_as_touching_it() -> None:
    flicker = replace(MEASURE, higher_is_better=False, decimals=4)
    found = difference(flicker, 0.00004, 0.00002, 0.00007, 12)
    assert (found.verdict, found.entry.text) == ("worse", "+0.00004")
    assert found.entry.interval == "+0.00002 to +0.00007"
    across = difference(flicker, 0.00004, -0.00002, 0.00007, 12)
    assert (across.entry.text, across.entry.interval) == ("0.0000", "0.0000 to +0.0001")


def test_few_images_give_no_verdict() -> None:
    few = [Caution("few_images", {"clusters": 9})]
    assert difference(MEASURE, 0.2, 0.1, 0.3, 9).verdict == "better"
    assert difference(MEASURE, 0.2, 0.1, 0.3, 9, few).verdict == "unclear"


def test_digits_follow_the_intervals(run_folder: Path) -> None:
    identity, motion, fvd = measures_of(load_run(run_folder))
    assert identity.decimals == 3  # half-widths of 0.01: two significant digits
    assert identity.heading == "Identity\N{NO-BREAK SPACE}↑"
    assert motion.heading == "Motion"
    assert (fvd.arrow, fvd.unit) == ("↓", "squared feature distance")
    assert "Fréchet" in fvd.description


def test_best_is_the_best_of_the_cells_that_compete(run_folder: Path) -> None:
    run = load_run(run_folder)
    table = cell_table(run, measures_of(run), "all")
    best = {
        m.family: [row.cell for row in table.rows if (e := row.entries[i]) and e.best]
        for i, m in enumerate(table.measures)
    }
    assert best == {
        "identity": ["i2v-adapter[t0=0.6,p=0.5]"],
        "motion": [],
        "fvd": ["i2v-adapter[t0=0.6,p=0.5]"],
    }
    assert table.n == 4
    assert [row.cell for row in table.rows if row.anchor] == ["still-image", "true-clip"]
    assert [row.cell for row in table.rows if row.reference] == ["i2v-adapter[t0=1.0,p=0.5]"]


def test_missing_interval_is_said(run_folder: Path) -> None:
    run = load_run(run_folder)
    text = plain_cells(cell_table(run, measures_of(run), "all")).markdown()
    assert "| 0.905 (0.895 to 0.915) |" in text  # bold only where pairs separate it
    assert "40.00 (no interval, bias-corrected 7.50, n too small)" in text
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1


def test_comparison_is_reference_minus_cell(run_folder: Path) -> None:
    run = load_run(run_folder)
    table = comparison_table(run, measures_of(run), "unseen")
    assert table is not None
    assert [m.family for m in table.measures] == [
        "identity",
        "motion",
    ]  # set measures are not paired
    rows = {cell: differences for cell, _, differences in table.rows}
    assert table.reference not in rows
    content = rows["content-adapter"][0]
    assert content is not None
    assert (content.entry.value, content.verdict) == (pytest.approx(0.825 - 0.6), "better")


def test_csv_keeps_full_precision(run_folder: Path, tmp_path: Path) -> None:
    run = load_run(run_folder)
    cell_frame(run, "seen").to_csv(tmp_path / "cells.csv", index=False)
    written = pd.read_csv(tmp_path / "cells.csv").set_index("cell")
    summary = pd.read_csv(run_folder / "summary.csv")
    rows = summary[
        (summary["group"] == "seen") & (summary["metric"] == "motion.flow_dis.v1")
    ].set_index("cell")
    for name in ("mean", "low", "high", "n"):
        pd.testing.assert_series_equal(
            written[f"motion.flow_dis.v1.{name}"],
            rows[name].reindex(written.index),
            check_names=False,
            check_dtype=False,
            rtol=0,
            atol=0,
        )


def test_a_corrected_value_has_the_digits_of_its_measure(run_folder: Path) -> None:
    run = load_run(run_folder)
    table = cell_table(run, measures_of(run), "all")
    assert {row.entries[2].detail for row in table.rows if row.entries[2]} == {
        "bias-corrected 7.50"
    }
    assert {row.entries[0].detail for row in table.rows if row.entries[0]} == {""}


@given(st.text(max_size=60))
def test_markdown_text_stays_in_its_place(text: str) -> None:
    written = markdown_text(text)
    assert "\n" not in written
    assert "<" not in written
    bare = written.replace("\\\\", "")
    assert all(
        before == "\\" for before, char in zip(" " + bare, bare, strict=False) if char == "|"
    )


def test_versions_of_one_metric_have_labels_of_their_own() -> None:
    ids = [f"vbench.i2v_subject.dino_vitb16.{version}" for version in ("v2", "noaa.v1")]
    ids += ["identity.dino_vitb16.v2", "identity.dino_vits16.v2", "motion.flow_dis.v1"]
    rows = pd.DataFrame(
        {"metric": ids, "unit": "score", "higher_is_better": True, "low": 0.1, "high": 0.2}
    ).assign(mean=0.15)
    run: Any = SimpleNamespace(metrics=ids, summary=rows, run={})
    labels = [m.label for m in measures_of(run)]
    assert len(set(labels)) == len(labels)
    assert labels[0].endswith("(v2)")
    assert labels[1].endswith("(noaa.v1)")
    assert labels[2:] == ["Identity (dino_vitb16)", "Identity (dino_vits16)", "Motion"]
