"""The Pareto front by its definition, and SVG that is well-formed, inert and in the page's
colours."""

from __future__ import annotations

import io
import math
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from reports.figures import heat
from reports.figures.heat import heatmap, shade
from reports.figures.scatter import Point, pareto, pareto_front, points_of
from reports.figures.style import axis_of
from reports.run.load import load_run
from reports.run.measures import Measure, measures_of
from reports.run.sweeps import sweeps
from reports.tables.cells import cell_table

MEASURE = Measure("fvd.x.v1", "FVD", "", False, 1, "", "")
HOSTILE = "<script>alert(1)</script> $\\frac{1}{2}$ & co"


def _point(name: str, x: float, y: float, anchor: bool = False) -> Point:
    return Point(name, (x, x - 0.1, x + 0.1), (y, math.nan, math.nan), anchor)


def test_front_of_known_points() -> None:
    points = [
        _point("a", 1, 3),
        _point("b", 2, 2),
        _point("dominated", 1, 2),
        _point("c", 3, 1),
        _point("top", 9, 9, anchor=True),
    ]
    assert [p.cell for p in pareto_front(points)] == ["a", "b", "c"]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_front_holds_exactly_what_a_staircase_sweep_keeps(pairs: list[tuple[int, int]]) -> None:
    """Oracle: walking from most to least motion, a point stays if it reaches a new height."""
    kept: set[tuple[int, int]] = set()
    height = -1
    for x, y in sorted(set(pairs), reverse=True):
        if y > height:
            kept.add((x, y))
            height = y
    front = pareto_front([_point(str(i), x, y) for i, (x, y) in enumerate(pairs)])
    assert {(p.x[0], p.y[0]) for p in front} == kept
    assert len(front) == sum(pair in kept for pair in pairs)


def test_sweep_grid_holds_the_summary_means(run_folder: Path) -> None:
    run = load_run(run_folder)
    found = sweeps(run)
    assert [(sweep.name, sweep.axes) for sweep in found] == [("i2v-adapter", ("t0", "p"))]
    values = found[0].grid(run, "identity.dino_glyph.v1", "all")
    assert list(values.index) == [1.0, 0.6]
    assert list(values.columns) == [0.1, 0.5]
    assert math.isclose(values.loc[0.6, 0.5], 0.905)
    assert math.isclose(values.loc[1.0, 0.1], 0.805)


def _texts(svg: str) -> list[str]:
    return [
        "".join(node.itertext()).strip()
        for node in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    ]


def test_heatmap_writes_each_mean_and_leaves_gaps() -> None:
    values = pd.DataFrame([[1.0, 2.5], [math.nan, 4.0]], index=[1.0, 0.6], columns=[0.1, 0.5])
    svg = heatmap("h", values, MEASURE).svg
    assert {"1.0", "2.5", "–", "4.0", "t0", "p", "0.6", "0.5"} <= set(_texts(svg))
    assert "currentColor" in svg
    assert "#010203" not in svg
    assert "<metadata" not in svg


def test_heatmap_of_equal_values_draws() -> None:
    values = pd.DataFrame([[1.0, 1.0]], index=[1.0], columns=[0.1, 0.5])
    assert _texts(heatmap("h", values, MEASURE).svg).count("1.0") == 2
    worst_and_best = [shaded for (shaded,) in shade(pd.DataFrame([[1.0], [2.0]]), MEASURE)]
    assert not set(shade(values, MEASURE)[0]) & set(worst_and_best)


def test_heatmap_has_room_for_its_title_and_names_the_unit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = pd.DataFrame([[1.0], [2.0]], index=[1.0, 0.6], columns=[0.5])
    measure = replace(MEASURE, label="A measure of a long name", unit="1000 x squared difference")
    drawn = []
    with monkeypatch.context() as patch:
        patch.setattr(heat, "draw", lambda name, figure, look: drawn.append(figure))
        heatmap("h", values, measure)
    picture = io.BytesIO()
    drawn[0].savefig(picture, format="png", dpi=150, facecolor="white")
    with Image.open(picture) as opened:
        ink = np.asarray(opened.convert("L")) < 128
    assert "1000 x squared difference" in _texts(heatmap("h", values, measure).svg)
    margin = 4  # px at 150 dpi: nothing runs into the edge
    assert not ink[:, -margin:].any()
    assert not ink[:margin].any()


def test_ids_differ_between_figures_and_repeat_between_runs() -> None:
    values = pd.DataFrame([[1.0, 2.0]], index=[1.0], columns=[0.1, 0.5])
    one, again, other = (heatmap(name, values, MEASURE).svg for name in ("one", "one", "other"))
    assert one == again
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (one, other)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for svg, known in zip((one, other), ids, strict=True):
        assert set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", svg)) <= known


def test_pareto_names_the_front_and_what_is_no_sweep(run_folder: Path) -> None:
    run = load_run(run_folder)
    identity, motion, _ = measures_of(run)
    points = points_of(cell_table(run, [identity, motion], "all"), motion, identity)
    assert len(points) == 7
    assert [p.cell for p in pareto_front(points)] == [
        "i2v-adapter[t0=0.6,p=0.5]",
        "i2v-adapter[t0=1.0,p=0.5]",
        "content-adapter",
    ]
    texts = _texts(pareto("p", run, points, axis_of(motion), axis_of(identity)).svg)
    assert {
        "t0 0.6, p 0.5",
        "t0 1, p 0.5",
        "content-adapter",
        "still-image",
        "true-clip",
        "Pareto front",
    } <= set(texts)
    assert "t0 0.6, p 0.1" not in texts


def test_names_are_inert_in_svg(run_folder: Path) -> None:
    run = load_run(run_folder)
    identity, motion, _ = measures_of(run)
    svg = pareto("p", run, [_point(HOSTILE, 1, 1)], axis_of(motion), axis_of(identity)).svg
    assert "<script" not in svg
    assert HOSTILE in _texts(svg)
