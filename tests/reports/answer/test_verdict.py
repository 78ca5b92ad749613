"""Each rule of the verdict on numbers made for it; no winner where intervals do not separate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.summary.cautions import Caution
from reports.answer.verdict import Verdict, verdict
from reports.run.load import load_run
from reports.run.measures import Measure
from reports.run.pairs import Pair
from reports.run.separation import better, leader, with_leads
from reports.tables.cells import CellTable, Entry, Row
from tests.reports.conftest import CELLS, IDENTITY, MOTION, PROMPTS, Cell, write_run

UP = Measure(IDENTITY, "Identity", "cosine", True, 3, "", "")
DOWN = Measure("fvd.x.v1", "FVD", "", False, 1, "", "")
MOVE = Measure(MOTION, "Motion", "frame sizes/s", None, 3, "", "")


def _entry(value: float, half: float = 0.01) -> Entry:
    return Entry(value, value - half, value + half, 12, "", f"{value:.3f}", "a to b")


def _table(values: dict[str, Sequence[float]], measures: Sequence[Measure]) -> CellTable:
    rows = [
        Row(cell, cell in ("true-clip", "still-image"), False, tuple(map(_entry, of)))
        for cell, of in values.items()
    ]
    return CellTable("all", tuple(measures), tuple(rows), 12)


def _pairs(
    table: CellTable, told: int | dict[tuple[str, str], int]
) -> dict[str, dict[tuple[str, str], Pair]]:
    """Paired differences of every two rows, all separated at one level (0, 1, 2) or each at its
    own."""
    found: dict[str, dict[tuple[str, str], Pair]] = {}
    for at, measure in enumerate(table.measures):
        if measure is DOWN:
            continue
        for i, one in enumerate(table.rows):
            for other in table.rows[i + 1 :]:
                a, b = one.entries[at], other.entries[at]
                assert a is not None
                assert b is not None
                d = a.value - b.value
                level = told if isinstance(told, int) else told.get((one.cell, other.cell), 0)
                half = abs(d) / 2 if level else abs(d) * 2
                wide = abs(d) / 2 if level == 2 else abs(d) * 2
                ends = (d, d - half, d + half, d - wide, d + wide)
                found.setdefault(measure.id, {})[one.cell, other.cell] = Pair(*ends, 12, 12)
    return found


def _run(tmp_path: Path, cells: Sequence[str], reference: str | None = None) -> Any:
    made = [
        Cell(name, name if name in ("true-clip", "still-image") else "mine", 0.5, 0.1)
        for name in cells
    ]
    return load_run(write_run(tmp_path / "run", cells=made, reference=reference))


def _words(found: Verdict) -> str:
    assert 1 <= len(found.sentences) <= 2
    return " ".join("".join(sentence) for sentence in found.sentences)


def test_claims_are_counted_and_those_that_fail_are_named(tmp_path: Path) -> None:
    run = _run(tmp_path, ["a", "b"])
    table = _table({"a": [0.5], "b": [0.6]}, [UP])
    claims = {
        "claims": [
            {"number": 1, "verdict": "holds", "title": "first"},
            {"number": 2, "verdict": "fails", "title": "text is kept"},
            {"number": 3, "verdict": "holds", "title": "third"},
        ]
    }
    found = verdict(run, table, {}, claims)
    assert (found.rule, found.winner) == ("claims", None)
    assert _words(found) == "Of the paper's 3 claims: 2 hold, 1 fails. Fails: 2, text is kept."


def test_encoders_of_another_world_give_no_verdict(tmp_path: Path) -> None:
    run = _run(tmp_path, ["a", "b"])
    run = replace(run, run={**run.run, "foreign_encoders": ["dino_glyph"]})
    table = _table({"a": [0.9], "b": [0.1]}, [UP])
    found = verdict(run, table, _pairs(table, 2))
    assert (found.rule, found.winner) == ("foreign", None)
    assert _words(found).startswith("No verdict: dino_glyph of the glyph world measured other")


def test_anchors_alone_do_not_compete(tmp_path: Path) -> None:
    run = _run(tmp_path, ["true-clip", "still-image"])
    table = _table({"true-clip": [0.9], "still-image": [1.0]}, [UP])
    found = verdict(run, table, {})
    assert (found.rule, found.winner) == ("nothing", None)
    assert found.cells == ["true-clip", "still-image"]


def test_one_cell_has_no_winner_but_a_yardstick(tmp_path: Path) -> None:
    run = _run(tmp_path, ["a", "true-clip"])
    table = _table({"a": [0.6, 0.02], "true-clip": [0.95, 0.04]}, [UP, MOVE])
    found = verdict(run, table, {})
    assert (found.rule, found.winner) == ("one", None)
    assert _words(found) == (
        "One cell competes, so there is no winner: a has identity 0.600 (a to b) (true clips 0.950)"
        " and motion 0.020 (a to b) (true clips 0.040)."
    )


@pytest.mark.parametrize(
    ("told", "values", "words", "winner"),
    [
        (1, ([0.7, 20], [0.6, 30]), "a is better than b on 2 (identity, FVD) of 2 measures", "a"),
        (1, ([0.6, 30], [0.7, 20]), "b is better than a on 2 (identity, FVD) of 2 measures", "b"),
        (1, ([0.7, 30], [0.6, 20]), "a is better on 1 (identity), b on 1 (FVD) of 2 m", None),
        (0, ([0.7, 20], [0.6, 20]), "The run does not separate a from b on any of 2", None),
        (
            1,
            ([0.7, 20], [0.6, 20]),
            "measures with a better direction; the run does not separate them on 1 (FVD).",
            "a",
        ),
        (0, ([0.7, 20], [0.6, 30]), "a is better than b on 1 (FVD) of 2 measures", "a"),
    ],
)
def test_two_cells(
    told: int,
    values: tuple[list[float], list[float]],
    words: str,
    winner: str | None,
    tmp_path: Path,
) -> None:
    run = _run(tmp_path, ["a", "b"])
    table = _table(dict(zip("ab", values, strict=True)), [UP, DOWN])
    found = verdict(run, table, _pairs(table, told))
    assert (found.rule, found.winner) == ("two", winner)
    assert words in _words(found)


def test_two_cells_without_a_direction(tmp_path: Path) -> None:
    run = _run(tmp_path, ["a", "b"])
    table = _table({"a": [0.1], "b": [0.2]}, [MOVE])
    found = verdict(run, table, _pairs(table, 1))
    assert found.winner is None
    assert "no measure with a better direction for a and b, so it names no winner" in _words(found)
    assert "a minus b: motion −0.100" in _words(found)


MANY = {
    "frozen": [0.95, 0.004],
    "good": [0.80, 0.025],
    "wild": [0.50, 0.039],
    "fair": [0.75, 0.030],
    "true-clip": [0.96, 0.040],
}


def test_many_cells_the_best_identity_among_those_that_move(tmp_path: Path) -> None:
    run = _run(tmp_path, list(MANY))
    table = _table(MANY, [UP, MOVE])
    found = verdict(run, table, _pairs(table, 2))
    assert (found.rule, found.winner) == ("many", "good")
    assert found.cells == ["good", "frozen", "wild"]
    assert _words(found) == (
        "Take good: of the 3 cells that move at least half as much as the true clips it has the "
        "highest identity 0.800 (a to b), motion 62% of the true clips. The trade-off: frozen has "
        "the highest identity of all that compete (0.950) but moves 10% as much as the true clips; "
        "wild moves most (98%) at identity 0.500."
    )


def test_of_cells_that_move_alike_the_best_is_the_end_of_the_trade_off(tmp_path: Path) -> None:
    cells = {**MANY, "alike": [0.60, 0.038], "less": [0.65, 0.036]}
    run = _run(tmp_path, list(cells))
    table = _table(cells, [UP, MOVE])
    found = verdict(run, table, _pairs(table, 2))
    assert found.first == "good"
    assert "alike moves as much as any (95%) at identity 0.600." in _words(found)


def test_no_winner_where_the_corrected_interval_holds_zero(tmp_path: Path) -> None:
    run = _run(tmp_path, list(MANY))
    table = _table(MANY, [UP, MOVE])
    told = {("good", "wild"): 2, ("good", "fair"): 1}
    found = verdict(run, table, _pairs(table, told))
    assert found.winner is None
    assert _words(found).startswith("No cell wins; try good first: of the 3 cells")
    assert "the run does not separate it from 1 of the other 2." in _words(found)


def test_without_true_clips_the_reference_is_the_yardstick(tmp_path: Path) -> None:
    run = _run(tmp_path, ["frozen", "good", "wild"], reference="wild")
    values = {cell: MANY[cell] for cell in ("frozen", "good", "wild")}
    table = _table(values, [UP, MOVE])
    words = _words(verdict(run, table, _pairs(table, 2)))
    assert "Take good: of the 2 cells that move at least half as much as the reference" in words


def test_without_motion_every_cell_counts(tmp_path: Path) -> None:
    run = _run(tmp_path, ["a", "b", "c"])
    table = _table({"a": [0.5], "b": [0.6], "c": [0.7]}, [UP])
    words = _words(verdict(run, table, _pairs(table, 2)))
    assert words == "Take c: of 3 cells it has the highest identity 0.700 (a to b)."


def test_of_distances_the_lowest(tmp_path: Path) -> None:
    run = _run(tmp_path, ["a", "b", "c"])
    table = _table({"a": [50], "b": [60], "c": [70]}, [DOWN])
    assert "Of 3 cells a has the lowest FVD 50.000" in _words(verdict(run, table, {}))


FLICKER = Measure("flicker.pixels.v1", "Flicker", "share of range", False, 3, "", "")
LPIPS = Measure("lpips.lpips_alex.v1", "LPIPS", "LPIPS", False, 3, "", "")


@pytest.mark.parametrize(("measure", "recommends"), [(FLICKER, False), (LPIPS, True)])
def test_only_a_measure_of_the_image_recommends_a_cell(
    measure: Measure, recommends: bool, tmp_path: Path
) -> None:
    """Noise can flicker less than other noise."""
    run = _run(tmp_path, ["a", "b", "c"], reference="c")
    table = _table({"a": [0.1, 0.5], "b": [0.2, 0.5], "c": [0.3, 0.5]}, [measure, MOVE])
    found = verdict(run, table, _pairs(table, 2))
    if recommends:
        assert (found.winner, found.first) == ("a", "a")
        assert _words(found).startswith("Take a: of the 3 cells")
    else:
        assert (found.winner, found.first) == (None, None)
        assert _words(found) == (
            "Undecided: whether the clips keep the image was not measured. Of the 3 cells that "
            "move at least half as much as the reference a has the lowest flicker 0.100 (a to b), "
            "motion 100% of the reference, which recommends no cell."
        )


def test_of_two_cells_flicker_alone_names_no_winner(tmp_path: Path) -> None:
    run = _run(tmp_path, ["a", "b"])
    table = _table({"a": [0.1], "b": [0.2]}, [FLICKER])
    found = verdict(run, table, _pairs(table, 1))
    assert found.winner is None
    assert _words(found).startswith(
        "Undecided: whether the clips keep the image was not measured. a is better than b on 1 "
        "(flicker) of 1 measure"
    )


@pytest.mark.usefixtures("ten_images")
@pytest.mark.parametrize("cells", ["ab", "abc"])
@pytest.mark.parametrize("images", [9, 10])
def test_fewer_than_ten_images_decide_nothing(images: int, cells: str, tmp_path: Path) -> None:
    run = _run(tmp_path, list(cells))
    table = _table({cell: [0.9 - i / 10] for i, cell in enumerate(cells)}, [UP])
    pairs = {
        metric: {both: pair._replace(images=images) for both, pair in of.items()}
        for metric, of in _pairs(table, 2).items()
    }
    found = verdict(run, table, pairs)
    marked = [row.cell for row in with_leads(table, pairs).rows if row.entries[0].leads]  # type: ignore[union-attr]
    if images < 10:
        assert (found.winner, found.first, marked) == (None, None, [])
        assert _words(found).startswith("Undecided: n is too small (9 input images: the interval")
    else:
        assert (found.winner, marked) == ("a", ["a"])
        assert "Undecided" not in _words(found)


def test_values_without_pairs_lead_only_if_their_n_is_large_enough() -> None:
    table = _table({"a": [10], "b": [20]}, [DOWN])
    assert leader(table, {}, DOWN) == "a"
    biased = Caution("mostly_bias", {"n": 4, "dimension": 64})
    rows = [
        replace(row, entries=tuple(replace(e, cautions=(biased,)) for e in row.entries if e))
        for row in table.rows
    ]
    assert leader(replace(table, rows=tuple(rows)), {}, DOWN) is None


@given(st.lists(st.integers(0, 30), min_size=2, max_size=6))
@settings(max_examples=60, deadline=None)
def test_a_leader_is_beyond_every_rival(values: list[int]) -> None:
    """Oracle: of unpaired values with intervals of +- 1 the leader is more than 2 beyond all."""
    table = _table({str(i): [v] for i, v in enumerate(values)}, [DOWN])
    rows = [replace(r, entries=(_entry(v, 1.0),)) for r, v in zip(table.rows, values, strict=True)]
    table = replace(table, rows=tuple(rows))
    least, *rest = sorted(values)
    expected = str(values.index(least)) if least + 2 < rest[0] else None
    assert leader(table, {}, DOWN) == expected
    marked = [r.cell for r in with_leads(table, {}).rows if r.entries[0] and r.entries[0].leads]
    assert marked == ([] if expected is None else [expected])


def test_better_reads_a_pair_in_either_order() -> None:
    table = _table({"a": [0.7], "b": [0.6]}, [UP])
    pairs = _pairs(table, 1)
    assert better(table, pairs, UP, "a", "b", corrected=False) is True
    assert better(table, pairs, UP, "b", "a", corrected=False) is False
    assert better(table, pairs, UP, "a", "b", corrected=True) is None


def test_a_run_of_the_harness_has_a_verdict_in_every_group(run_folder: Path) -> None:
    from reports.page.report import build

    report = build(load_run(run_folder), samples=0)
    assert set(report.verdicts) == {"all", *(group for group, _ in PROMPTS.values())}
    assert {found.rule for found in report.verdicts.values()} == {"many"}
    assert all(cell.id in report.run.cells for cell in CELLS)
