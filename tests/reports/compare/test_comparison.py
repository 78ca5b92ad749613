"""Runs side by side: paired only where samples and encoders are the same, and what differs is
named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from eval.errors import EvalError
from eval.summary.statistics import paired_difference
from reports.cli import write_comparison
from reports.compare.comparison import comparison, comparison_tables, origin_rows
from reports.compare.page import render_html
from reports.run.load import load_run
from tests.reports.conftest import CELLS, Cell, write_run

IDENTITY = "identity.dino_glyph.v1"
CELL = "content-adapter"


def _change(folder: Path, **values: object) -> None:
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    (folder / "run.json").write_text(json.dumps(run | values), encoding="utf-8")


def _shift(folder: Path) -> pd.DataFrame:
    records = pd.read_csv(folder / "records.csv", dtype={"clip_key": str}, keep_default_na=False)
    rows = records["metric"] == IDENTITY
    records.loc[rows, "value"] += np.random.default_rng(1).normal(0.1, 0.02, rows.sum())
    records.to_csv(folder / "records.csv", index=False)
    return records[rows]


@pytest.mark.usefixtures("ten_images")
def test_differences_are_paired_on_the_samples_that_both_have(
    run_folder: Path, own_run_folder: Path
) -> None:
    """Another prompt and another image make another sample; the pair is the later run minus the
    first.
    """
    theirs = pd.read_csv(run_folder / "records.csv").query("metric == @IDENTITY")
    ours = _shift(own_run_folder)
    Image.new("RGB", (16, 16), (0, 0, 0)).save(own_run_folder / "samples" / "seen-0" / "image.png")
    samples = own_run_folder / "samples.csv"
    samples.write_text(
        samples.read_text(encoding="utf-8").replace("a blue heart, growing", "other"),
        encoding="utf-8",
    )
    content = comparison([load_run(run_folder), load_run(own_run_folder)], samples=0)
    assert content.shared == [{"seen-0", "seen-1", "unseen-0", "unseen-1"}, {"seen-1", "unseen-0"}]
    both = [
        frame[(frame["cell"] == CELL) & frame["sample"].isin(["seen-1", "unseen-0"])].sort_values(
            "sample"
        )
        for frame in (ours, theirs)
    ]
    expected = paired_difference(both[0]["value"], both[1]["value"], list(both[0]["sample"]))
    line = next(line for line in content.lines("all") if line.cell == CELL and line.against == 0)
    found = line.entries[[m.id for m in content.measures].index(IDENTITY)]
    assert found is not None
    assert (found.entry.value, found.entry.low, found.entry.high) == pytest.approx(
        expected[:3], abs=1e-12
    )
    assert (found.entry.n, found.verdict, found.entry.few) == (2, "unclear", True)


def test_other_weights_of_a_judge_are_named_and_not_subtracted(
    run_folder: Path, own_run_folder: Path
) -> None:
    _change(
        own_run_folder,
        encoders={"dino_glyph": "f" * 64},
        versions={"torch": "2.13"},
        commit="c" * 40,
    )
    content = comparison([load_run(run_folder), load_run(own_run_folder)], samples=0)
    assert content.other_judges == [("B", IDENTITY)]
    for line in content.lines("all"):
        assert line.against is None or [entry is None for entry in line.entries] == [
            True,
            False,
            True,
        ]
    assert origin_rows(content) == [
        ("versions.torch", ["2.12", "2.13"]),
        ("encoders.dino_glyph", ["e" * 64, "f" * 64]),
        ("commit", ["unknown", "c" * 40]),
    ]


def test_other_weights_are_seen_behind_a_definition_with_a_dot(
    run_folder: Path, tmp_path: Path
) -> None:
    metric = "paper.flow_score.flow_dis.v1"
    for weights in ("e", "f"):
        copy = Path(shutil.copytree(run_folder, tmp_path / weights))
        for path in (*copy.glob("*.csv"), copy / "run.json"):
            path.write_text(
                path.read_text(encoding="utf-8").replace("motion.flow_dis.v1", metric),
                encoding="utf-8",
            )
        _change(copy, encoders={"flow_dis": weights * 64})
    content = comparison([load_run(tmp_path / "e"), load_run(tmp_path / "f")], samples=0)
    assert content.other_judges == [("B", metric)]


def test_a_measure_of_one_run_alone_is_no_matter_of_weights(
    run_folder: Path, own_run_folder: Path
) -> None:
    for path in (*own_run_folder.glob("*.csv"), own_run_folder / "run.json"):
        path.write_text(
            path.read_text(encoding="utf-8").replace("identity.dino_", "text.clip_"),
            encoding="utf-8",
        )
    _change(own_run_folder, encoders={"clip_glyph": "f" * 64})
    assert (
        comparison([load_run(run_folder), load_run(own_run_folder)], samples=0).other_judges == []
    )


def test_cells_of_one_run_alone_and_settings_that_differ(
    run_folder: Path, own_run_folder: Path
) -> None:
    run = json.loads((own_run_folder / "run.json").read_text(encoding="utf-8"))
    run["cells"][0]["settings"]["steps"] = 4
    _change(own_run_folder, cells=run["cells"])
    for name in ("summary", "records"):
        path = own_run_folder / f"{name}.csv"
        path.write_text(
            path.read_text(encoding="utf-8").replace(f"{CELL},", "mine,"), encoding="utf-8"
        )
    content = comparison([load_run(run_folder), load_run(own_run_folder)], samples=0)
    rows = [
        (line.run, line.against) for line in content.lines("all") if line.cell in (CELL, "mine")
    ]
    assert rows == [(0, None), (1, None)]
    assert ("cell i2v-adapter[t0=0.6,p=0.1].settings.steps", ["–", "4"]) in origin_rows(content)


def test_files_of_a_comparison(run_folder: Path, tmp_path: Path) -> None:
    written = write_comparison([run_folder, run_folder, run_folder], tmp_path / "out", samples=1)
    assert written[0] == tmp_path / "out" / "comparison.html"
    names = {path.name for path in written[1:]}
    stems = [f"comparison-{group}" for group in ("all", "seen", "unseen")] + ["differences"]
    assert names == {f"{stem}.{suffix}" for stem in stems for suffix in ("csv", "md", "tex")}
    page = written[0].read_text(encoding="utf-8")
    assert "Nothing: suite, settings, code, versions, weights and machine are the same." in page
    assert page.count('aria-label="Clip of content-adapter in run C for sample') == 1
    frame = pd.read_csv(tmp_path / "out" / "tables" / "comparison-all.csv")
    assert set(frame["Run"]) == {"A", "B", "C", "B − A", "C − A"}
    gaps = frame[frame["Run"] == "C − A"].iloc[:, 2]
    assert all(text.startswith("0.000 (0.000 to 0.000") for text in gaps)


def test_one_run_is_no_comparison(run_folder: Path) -> None:
    with pytest.raises(EvalError, match="compare: 1 run folders given; give 2 to 26"):
        comparison([load_run(run_folder)])
    assert len(comparison_tables(comparison([load_run(run_folder)] * 2, samples=0))) == 4


def _one_cell(folder: Path, name: str, identity: float) -> Path:
    cells = [Cell(name, "mine", identity, 0.3), CELLS[-1]]
    return write_run(folder, cells=cells, reference=None)


def test_cells_of_other_names_are_paired_where_each_run_has_one(tmp_path: Path) -> None:
    folders = [_one_cell(tmp_path / "a", "ours", 0.7), _one_cell(tmp_path / "b", "theirs", 0.6)]
    content = comparison([load_run(folder) for folder in folders], samples=0)
    assert content.pairs == [("ours", "theirs")]
    (line,) = [line for line in content.lines("all") if line.cell == "theirs − ours"]
    found = line.entries[0]
    assert found is not None
    assert found.entry.value == pytest.approx(0.6 - 0.7)  # this minus the first
    assert found.verdict == "worse"
    page = render_html(content)
    assert "each run minus run A: above 0, the later run is higher" in page
    data = json.loads(page.split('id="pair-data">')[1].split("</script>")[0])
    assert data["cells"] == ["A: ours", "A: true-clip", "B: theirs", "B: true-clip"]
    assert data["groups"]["all"][0][1][0] == pytest.approx(0.1)  # A: ours minus B: theirs


def test_pairs_are_asked_for(run_folder: Path, tmp_path: Path) -> None:
    other = _one_cell(tmp_path / "b", "theirs[t0=1.0]", 0.6)
    ours = "i2v-adapter[t0=0.6,p=0.5]"
    written = write_comparison(
        [run_folder, other], tmp_path / "out", samples=1, pairs=[f"{ours}=theirs[t0=1.0]"]
    )
    frame = pd.read_csv(tmp_path / "out" / "tables" / "comparison-all.csv")
    row = frame[frame["Cell"] == f"theirs[t0=1.0] − {ours}"].iloc[0]
    assert row["Run"] == "B − A"
    assert row.iloc[2].startswith("−0.305 (")
    assert "selected>B: theirs[t0=1.0]</option>" in written[0].read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a=b", "no cell 'a' there. Allowed: i2v-adapter"),
        ("content-adapter=b", "no cell 'b' there. Allowed: "),
        ("content-adapter", "as in --pair A=B"),
        ("[a=b]", "as in --pair A=B"),
        ("=b", "as in --pair A=B"),
    ],
)
def test_a_pair_that_is_not_there_is_named(
    text: str, message: str, run_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(EvalError, match=message):
        write_comparison([run_folder, run_folder], tmp_path / "out", pairs=[text])
    assert not (tmp_path / "out").exists()
