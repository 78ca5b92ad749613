"""A page for every run, however little it holds; and the right cell named best."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eval.clips.lossless import Clip
from reports.answer.best import best_cells, leading
from reports.cli import write_report
from reports.figures.sheet import sheet_rows
from reports.page.report import build, render_html
from reports.run.load import load_run
from reports.run.measures import _label, measures_of
from reports.run.sweeps import sweeps, swept_settings
from reports.tables.cells import cell_frame, cell_table
from tests.reports.conftest import CELLS, FVD, IDENTITY, METRICS, MOTION, PROMPTS, Cell, write_run

SSIM, KVD = "vbench.subject_consistency.dino_vitb16.v1", "kvd.videomae_glyph.v1"
LOWER = (FVD, "squared feature distance", "false")
ANCHORS = [cell for cell in CELLS if cell.method in ("still-image", "true-clip")]
ONE_SAMPLE = {"seen-0": PROMPTS["seen-0"]}


@pytest.mark.parametrize(
    "given",
    [
        {"metrics": [METRICS[0], (SSIM, "score", "true")]},
        {"metrics": [("paper.warping_error.flow_dis.v1", "x", "false"), LOWER]},
        {"metrics": [LOWER, (KVD, "squared feature distance", "false")]},
        {"metrics": [LOWER]},
        {"metrics": [(MOTION, "frame sizes/s", ""), ("motion_top5.flow_dis.v1", "x", "")]},
        {"metrics": [METRICS[0]]},
        {"cells": [CELLS[4]], "reference": None},
        {"cells": ANCHORS, "reference": None},
        {"cells": [CELLS[4], CELLS[5]], "reference": "content-adapter"},
        {"prompts": ONE_SAMPLE},
        {"cells": [CELLS[4]], "prompts": ONE_SAMPLE, "reference": None},
        {"failed": {"content-adapter": "out of memory"}},
        {"failed": {c.id: "out of memory" for c in CELLS if c.id != "still-image"}},
        {"source": "manifest"},
    ],
    ids=[
        "only higher",
        "only lower",
        "only set measures",
        "FVD only",
        "only undirected",
        "identity only",
        "one cell",
        "anchors only",
        "one cell and an anchor",
        "one sample",
        "one clip",
        "one cell failed",
        "all but an anchor failed",
        "photographs",
    ],
)
def test_every_run_has_a_page(given: dict[str, object], tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", **given)  # type: ignore[arg-type]
    written = {path.relative_to(folder).as_posix() for path in write_report(folder)}
    assert {"report.html", "report.md", "sheet.png", "tables/cells-all.tex"} <= written
    page = (folder / "report.html").read_text(encoding="utf-8")
    for cell in given.get("cells", CELLS):  # type: ignore[attr-defined]
        assert cell.id.split("[")[0] in page
    for text in (page, (folder / "report.md").read_text(encoding="utf-8")):
        glyphs = "Measured in the glyph world" in text
        assert glyphs == (given.get("source") is None)


def test_directions_are_plain_values_and_the_smallest_distance_is_best(tmp_path: Path) -> None:
    """Of measures that all have a direction pandas makes a column of numpy bools, which are not
    False."""
    cells = [
        replace(CELLS[4], id="far", identity=0.15),
        replace(CELLS[4], id="near", identity=0.32),
    ]
    run = load_run(write_run(tmp_path / "run", cells=cells, metrics=[LOWER], reference="far"))
    (measure,) = measures_of(run)
    assert measure.higher_is_better is False
    assert measure.arrow == "↓"
    table = cell_table(run, [measure], "all")
    (best,) = best_cells(table, {}, leading([measure]))
    assert (best.cell, best.entry.value) == ("near", pytest.approx(68.0))
    assert [row.cell for row in table.rows if (e := row.entries[0]) and e.best] == ["near"]


def test_a_cell_that_failed_stands_in_the_tables_and_in_the_first_paragraph(
    tmp_path: Path,
) -> None:
    folder = write_run(tmp_path / "run", failed={"content-adapter": "out of memory, 3 GB wanted"})
    report = build(load_run(folder), samples=0)
    row = next(row for row in report.cells["all"].rows if row.cell == "content-adapter")
    assert row.failed == "all 4 clips failed; the first, seen-0: out of memory, 3 GB wanted"
    assert set(row.entries) == {None}
    first = " ".join("".join(sentence) for sentence in report.sentences["all"])
    assert "No clip of content-adapter was scored: all 4 clips failed" in first
    page = render_html(report)
    assert page.count("out of memory, 3 GB wanted") >= 3 + 1  # a table a group, and the paragraph
    write_report(folder, samples=0)
    assert "content-adapter (failed) & failed" in (folder / "tables/cells-all.tex").read_text()


@pytest.mark.parametrize("count", [121, 129])
def test_long_clips_are_shown(count: int, tmp_path: Path) -> None:
    frames = np.zeros((count, 160, 160, 3), np.uint8)
    frames[:, 0, 0, 0] = np.arange(count)
    folder = write_run(
        tmp_path / "run",
        cells=[CELLS[4]],
        prompts=ONE_SAMPLE,
        reference=None,
        clip=lambda cell, sample: Clip(frames, 24.0),
    )
    page = write_report(folder)[0].read_text(encoding="utf-8")
    assert 'class="placeholder"' not in page
    assert f"--loop:{count / 24:.6g}s" in page
    assert f'data-frames="{count}" data-held="0"' in page


def test_labels_of_one_method_have_a_row_each_on_the_sheet(tmp_path: Path) -> None:
    cells = [replace(CELLS[4], id=name) for name in ("ours", "theirs", "third")]
    run = load_run(write_run(tmp_path / "run", cells=cells, reference="theirs"))
    assert sheet_rows(run) == ["theirs", "ours", "third"]
    anchors = load_run(write_run(tmp_path / "anchors", cells=ANCHORS, reference=None))
    assert sheet_rows(anchors) == ["true-clip", "still-image"]


def _swept(name: str, values: list[object]) -> list[Cell]:
    return [
        Cell(f"mine[{name}={v}]", "mine:Method", 0.7 + i / 20, 0.3 - i / 50, {name: v, "fps": 8})
        for i, v in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("name", "values", "columns"),
    [
        ("guidance_scale", [7.5, 2.0, 4.0], [2.0, 4.0, 7.5]),
        ("steps", [10, 25], [10, 25]),
        ("scheduler", ["euler", "ddim", None], ["euler", "ddim", None]),
    ],
)
def test_a_sweep_over_any_setting_has_columns_and_heatmaps(
    name: str, values: list[object], columns: list[object], tmp_path: Path
) -> None:
    cells = [*_swept(name, values), CELLS[4]]
    folder = write_run(tmp_path / "run", cells=cells, reference="content-adapter")
    run = load_run(folder)
    (sweep,) = sweeps(run)
    assert (sweep.name, sweep.axes) == ("mine", (name,))
    assert sweep.numeric(0) == (name != "scheduler")
    grid = sweep.grid(run, IDENTITY, "all")
    assert list(grid.columns) == columns
    expected = {v: 0.7 + i / 20 for i, v in enumerate(values)}
    np.testing.assert_allclose(grid.iloc[0], [expected[v] for v in columns], atol=1e-12)
    assert swept_settings(run) == ["t0", "p", name]
    column = cell_frame(run, "all")[name]
    assert [None if pd.isna(value) else value for value in column] == [*values, None]
    write_report(folder, samples=0, paper=True)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert f'<th scope="col">{name}</th>' in page
    assert page.count('<table class="heat">') == 3 * len(run.groups)
    assert len(list((folder / "figures").glob("heatmap-mine-*-all.pdf"))) == 3


def test_a_third_setting_makes_one_heatmap_a_value(tmp_path: Path) -> None:
    cells = [
        Cell(f"m[t0={t0},p={p},steps={s}]", "m", 0.5, 0.1, {"t0": t0, "p": p, "steps": s})
        for t0 in (0.6, 1.0)
        for p in (0.1, 0.5)
        for s in (5, 10)
    ]
    run = load_run(write_run(tmp_path / "run", cells=cells, reference=cells[0].id))
    assert [(s.name, s.axes, len(s.cells)) for s in sweeps(run)] == [
        ("m[steps=5]", ("t0", "p"), 4),
        ("m[steps=10]", ("t0", "p"), 4),
    ]


@pytest.mark.parametrize(
    ("family", "label"),
    [
        ("vbench.i2v_subject", "VBench: I2V subject"),
        ("evalcrafter.clip_temp", "EvalCrafter: CLIP temp"),
        ("dreambooth.dino", "DreamBooth: DINO"),
        ("paper.warping_error", "Paper: warping error"),
        ("exact.glyph", "Exact: glyph"),
    ],
)
def test_names_are_written_as_their_owners_write_them(family: str, label: str) -> None:
    assert _label(family) == label


def test_no_program_reads_our_sentences() -> None:
    """The words of `eval.summary.cautions` occur in no other module of the reports."""
    from eval.summary.cautions import SENTENCES

    words = {w for text in SENTENCES.values() for w in re.findall(r"[a-z][a-z ,;]{18,}", text)}
    sources = "".join(p.read_text() for p in Path("reports").rglob("*.py"))
    assert words
    assert {w for w in words if w.strip() in sources} == set()
