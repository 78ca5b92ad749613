"""The first paragraph says what the numbers say."""

from __future__ import annotations

from pathlib import Path

from reports.answer.paragraph import Name, _listed, answer
from reports.run.load import load_run
from reports.run.measures import measures_of
from reports.tables.cells import cell_table, comparison_table


def _paragraph(folder: Path, group: str) -> str:
    run = load_run(folder)
    measures = measures_of(run)
    sentences = answer(
        run, cell_table(run, measures, group), comparison_table(run, measures, group)
    )
    return " ".join(
        "".join(f"`{part}`" if isinstance(part, Name) else part for part in s) for s in sentences
    )


def test_answer_from_known_numbers(run_folder: Path) -> None:
    text = _paragraph(run_folder, "unseen")
    assert text.startswith(
        "This paragraph is about glyphs no generator saw in training (n = 2 clips a cell)"
    )
    assert (
        "Identity is kept best by `i2v-adapter[t0=0.6,p=0.5]` (cosine 0.905, 95 % interval 0.895 "
        "to 0.915; "
        "anchors: `still-image` 1.000, `true-clip` 0.900)." in text
    )
    assert (
        "The most motion comes from `content-adapter` (0.550 frame sizes/s, 95 % interval 0.540 to "
        "0.560" in text
    )
    assert "As t0 goes from 0.6 to 1 in `i2v-adapter`, mean motion goes from 0.303 to 0.503" in text
    assert "t0 means 1.00) and mean identity from 0.895 to 0.815." in text
    assert (
        "The reference `i2v-adapter[t0=1.0,p=0.5]` keeps identity better than `content-adapter` "
        "(paired difference +0.225, 95 % interval +0.210 to +0.240)." in text
    )
    assert (
        "Of the 3 other cells of its own sweep the reference is better than 1, worse than 2 and "
        "not separable from 0" in text
    )


def test_inconclusive_interval_is_not_sold_as_a_win(own_run_folder: Path) -> None:
    path = own_run_folder / "comparisons.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    start = "i2v-adapter[t0=1.0,p=0.5]"
    wide = f'"{start}",content-adapter,unseen,identity.dino_glyph.v1,0.2,-0.1,0.5,2'
    lines = [wide if ",content-adapter,unseen,identity" in line else line for line in lines]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    text = _paragraph(own_run_folder, "unseen")
    assert (
        f"The run does not separate the reference `{start}` from `content-adapter` (paired "
        "difference +0.200" in text
    )
    assert "keeps identity better" not in text


def test_many_cells_are_counted_after_four(run_folder: Path) -> None:
    run = load_run(run_folder)
    table = comparison_table(run, measures_of(run), "unseen")
    assert table is not None
    at = [measure.family for measure in table.measures].index("identity")
    better = next(ds[at] for cell, _, ds in table.rows if cell == "content-adapter")
    assert better is not None
    named = "".join(_listed([(f"cell-{number}", better) for number in range(7)]))
    assert "cell-3 " in named
    assert "cell-4" not in named
    assert named.endswith(" and 3 more (table below).")
    assert "".join(_listed([(f"cell-{number}", better) for number in range(5)])).count("cell-") == 5


def test_answer_without_comparisons_or_identity(own_run_folder: Path) -> None:
    for name in ("summary.csv", "comparisons.csv"):
        path = own_run_folder / name
        kept = [
            line
            for line in path.read_text(encoding="utf-8").splitlines()
            if "identity." not in line
        ]
        path.write_text("\n".join(kept) + "\n", encoding="utf-8")
    text = _paragraph(own_run_folder, "all")
    assert "Identity" not in text
    assert "The most motion comes from" in text
