"""The human page is blind, complete and safe; its ballots are counted against its key."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from eval.errors import EvalError
from eval.summary.ballots import FORMAT
from reports.ranking import count, split_cells, write_page
from reports.run.load import load_run
from tests.reports.conftest import CELLS, HOSTILE


@pytest.fixture
def ranked(own_run_folder: Path) -> Path:
    write_page(
        own_run_folder, ["content-adapter", "i2v-adapter[t0=0.6,p=0.1]", "still-image"], 3, 0
    )
    return own_run_folder


def _page(folder: Path) -> str:
    return (folder / "rank.html").read_text(encoding="utf-8")


def _key(folder: Path) -> dict:
    return json.loads((folder / "rank-key.json").read_text(encoding="utf-8"))


def test_the_page_names_no_method_and_asks_no_network(ranked: Path) -> None:
    page = _page(ranked)
    for cell in CELLS:
        assert cell.id not in page
        assert cell.method not in page
    assert "default-src 'none'" in page
    assert not re.search(r"(?:src|href)=[\"'](?!data:|#)", page)
    assert "http" not in page.replace("http-equiv", "")


def test_hostile_prompts_stay_text(own_run_folder: Path) -> None:
    write_page(own_run_folder, ["content-adapter", "still-image"], 4, 0)
    assert HOSTILE not in _page(own_run_folder)
    assert "&lt;script&gt;window.hostile=1&lt;/script&gt;" in _page(own_run_folder)


def test_every_case_shows_every_cell_once_and_orders_differ(own_run_folder: Path) -> None:
    cells = [cell.id for cell in CELLS]
    write_page(own_run_folder, cells, 4, 0)
    key, page = _key(own_run_folder), _page(own_run_folder)
    assert len(key["cases"]) == page.count('class="case"') == 4
    assert all(sorted(letters.values()) == sorted(cells) for letters in key["cases"].values())
    assert len({tuple(letters.values()) for letters in key["cases"].values()}) > 1
    assert page.count('<button type="button" data-letter=') == 4 * len(cells)
    before = key["cases"]
    write_page(own_run_folder, cells, 4, 1)
    assert _key(own_run_folder)["cases"] != before
    assert _key(own_run_folder)["page"] != key["page"]


def test_the_clip_under_a_letter_is_the_keys(ranked: Path) -> None:
    from reports.page.media import film

    run, key, page = load_run(ranked), _key(ranked), _page(ranked)
    for case, letters in key["cases"].items():
        section = page[page.index(f'data-case="{case}"') :]
        for letter, cell in letters.items():
            button = section[section.index(f'data-letter="{letter}"') :]
            shown = re.search(r'class="film f-([0-9a-f]+)', button)
            clip = run.cell_clip(cell, key["samples"][case])
            assert shown is not None
            assert clip is not None
            made = film(clip)
            assert shown[1] == made.key
            assert f".f-{made.key}{{background-image:url({made.uri})}}" in page


def test_ballots_become_mean_ranks_and_scores(ranked: Path, tmp_path: Path) -> None:
    key = _key(ranked)
    ballots = tmp_path / "ballots"
    ballots.mkdir()
    order = ["still-image", "content-adapter", "i2v-adapter[t0=0.6,p=0.1]"]
    for rater in ("ann", "bob"):
        rankings = {
            case: sorted(letters, key=lambda letter, letters=letters: order.index(letters[letter]))
            for case, letters in key["cases"].items()
        }
        content = {"format": FORMAT, "page": key["page"], "rater": rater, "rankings": rankings}
        (ballots / f"{rater}.json").write_text(json.dumps(content))
    count(ranked, ballots)
    rows = list(csv.DictReader((ranked / "rank.csv").read_text().splitlines()))
    assert [row["cell"] for row in rows] == order
    assert [float(row["mean_rank"]) for row in rows] == [1.0, 2.0, 3.0]
    assert {row["rankings"] for row in rows} == {"6"}
    assert float(rows[0]["score"]) > float(rows[1]["score"]) > float(rows[2]["score"])
    text = (ranked / "rank.md").read_text()
    assert "| still-image | 1.00 \\[1.00, 1.00\\]" in text
    assert "(Krippendorff's alpha, ordinal): 1.00" in text  # both raters said the same
    # identity orders the cells as 1.0, 0.885, 0.6 and people as still, content, adapter
    metrics = {
        row["metric"]: row
        for row in csv.DictReader((ranked / "rank-metrics.csv").read_text().splitlines())
    }
    assert set(metrics) == {"identity.dino_glyph.v1", "motion.flow_dis.v1"}
    identity = metrics["identity.dino_glyph.v1"]
    assert float(identity["correlation"]) == pytest.approx(0.5)  # ranks 3, 2, 1 and 3, 1, 2
    assert (identity["clips"], identity["cases"]) == ("9", "3")


def test_one_rater_has_no_agreement(ranked: Path, tmp_path: Path) -> None:
    key = _key(ranked)
    (tmp_path / "ballots").mkdir()
    rankings = {case: list(letters) for case, letters in key["cases"].items()}
    content = {"format": FORMAT, "page": key["page"], "rater": "ann", "rankings": rankings}
    (tmp_path / "ballots" / "ann.json").write_text(json.dumps(content))
    count(ranked, tmp_path / "ballots")
    assert "not defined for one rater" in (ranked / "rank.md").read_text()


def test_what_cannot_be_done_says_so(own_run_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=r"rank-key\.json: no such file; `i2v-eval rank "):
        count(own_run_folder, tmp_path)
    with pytest.raises(
        EvalError, match=r"--cells stil-image: no such cell.*Did you mean 'still-image'"
    ):
        write_page(own_run_folder, ["stil-image"], 2, 0)
    with pytest.raises(EvalError, match="--cells still-image: name 2 to 20 different cells"):
        write_page(own_run_folder, ["still-image"], 2, 0)
    (own_run_folder / "rank-key.json").write_text("[]")
    with pytest.raises(EvalError, match="not the key of a ranking page"):
        count(own_run_folder, tmp_path)


def test_cells_are_split_outside_brackets() -> None:
    assert split_cells(" a[t0=1,p=0.5], b ,") == ["a[t0=1,p=0.5]", "b"]
