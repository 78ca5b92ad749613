"""The human page is blind, complete and safe; its ballots are counted against its key."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from eval.errors import EvalError
from eval.summary.ballot_files import FORMAT
from reports.people.counting import count
from reports.people.page import GREY, Asked, write_page
from reports.ranking import split_cells
from reports.run.load import load_run
from tests.reports.conftest import CELLS, HOSTILE


def overall(cases: int, seed: int = 0) -> Asked:
    return Asked(cases, seed, ("overall",))


@pytest.fixture
def ranked(own_run_folder: Path) -> Path:
    write_page(
        own_run_folder, ["content-adapter", "i2v-adapter[t0=0.6,p=0.1]", "still-image"], overall(3)
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
    write_page(own_run_folder, ["content-adapter", "still-image"], overall(4))
    assert HOSTILE not in _page(own_run_folder)
    assert "&lt;script&gt;window.hostile=1&lt;/script&gt;" in _page(own_run_folder)


def test_every_case_shows_every_cell_once_and_orders_differ(own_run_folder: Path) -> None:
    cells = [cell.id for cell in CELLS]
    write_page(own_run_folder, cells, overall(4))
    key, page = _key(own_run_folder), _page(own_run_folder)
    assert len(key["cases"]) == page.count('class="case"') == 4
    assert all(sorted(letters.values()) == sorted(cells) for letters in key["cases"].values())
    assert len({tuple(letters.values()) for letters in key["cases"].values()}) > 1
    assert page.count('<button type="button" data-letter=') == 4 * len(cells)
    before = key["cases"]
    write_page(own_run_folder, cells, overall(4, 1))
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
            case: {
                "overall": [[at] for at in sorted(letters, key=lambda x: order.index(letters[x]))]
            }
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
    rankings = {case: {"overall": [list(letters)]} for case, letters in key["cases"].items()}
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
        write_page(own_run_folder, ["stil-image"], overall(2))
    with pytest.raises(EvalError, match="--cells still-image: name 2 to 20 different cells"):
        write_page(own_run_folder, ["still-image"], overall(2))
    with pytest.raises(EvalError, match="--criteria looks: name each at most once of image"):
        write_page(own_run_folder, ["still-image", "content-adapter"], Asked(criteria=("looks",)))
    for text, message in (
        ("[]", "not a JSON object"),
        ("{", "not valid JSON"),
        ('{"page": 3}', "not the key of a ranking page"),
        ('{"page": "p", "cases": {"a": 1}}', "not the key of a ranking page"),
    ):
        (own_run_folder / "rank-key.json").write_text(text)
        with pytest.raises(EvalError, match=message):
            count(own_run_folder, tmp_path)


def _save(folder: Path, key: dict, rater: str, rankings: dict) -> None:
    folder.mkdir(exist_ok=True)
    content = {"format": FORMAT, "page": key["page"], "rater": rater, "rankings": rankings}
    (folder / f"{rater}.json").write_text(json.dumps(content))


def test_each_criterion_is_counted_by_itself(own_run_folder: Path, tmp_path: Path) -> None:
    cells = ["content-adapter", "still-image"]
    write_page(own_run_folder, cells, Asked(3, criteria=("image", "motion")))
    key, page = _key(own_run_folder), _page(own_run_folder)
    assert page.count("Which clip keeps the image best?") == 3
    assert page.count("Which clip is best overall?") == 0
    at = {
        case: {cell: letter for letter, cell in letters.items()}
        for case, letters in key["cases"].items()
    }
    for rater in ("ann", "bob"):
        said = {
            case: {
                "image": [[found["still-image"]], [found["content-adapter"]]],
                "motion": [sorted(found.values())],  # a tie
            }
            for case, found in at.items()
        }
        _save(tmp_path / "ballots", key, rater, said)
    count(own_run_folder, tmp_path / "ballots")
    rows = list(csv.DictReader((own_run_folder / "rank.csv").read_text().splitlines()))
    assert [(r["criterion"], r["cell"], float(r["mean_rank"])) for r in rows] == [
        ("image", "still-image", 1.0),
        ("image", "content-adapter", 2.0),
        ("motion", "content-adapter", 1.5),
        ("motion", "still-image", 1.5),
    ]
    text = (own_run_folder / "rank.md").read_text()
    assert text.index("# Which clip keeps the image") < text.index("# Which clip moves well")


def test_who_fails_an_attention_check_is_left_out(own_run_folder: Path, tmp_path: Path) -> None:
    cells = ["content-adapter", "i2v-adapter[t0=0.6,p=0.1]", "still-image"]
    write_page(own_run_folder, cells, Asked(2, criteria=("overall",), checks=1))
    key, page = _key(own_run_folder), _page(own_run_folder)
    checks = [case for case, letters in key["cases"].items() if GREY in letters.values()]
    assert (len(key["cases"]), len(checks)) == (3, 1)
    assert GREY not in page
    assert all(len(letters) == 3 for letters in key["cases"].values())  # looks like any other
    for rater, best in (("ann", False), ("bob", True)):
        said = {
            case: {
                "overall": [
                    [letter]
                    for letter in sorted(letters, key=lambda x: (letters[x] == GREY) != best)
                ]
            }
            for case, letters in key["cases"].items()
        }
        _save(tmp_path / "ballots", key, rater, said)
    count(own_run_folder, tmp_path / "ballots")
    rows = list(csv.DictReader((own_run_folder / "rank.csv").read_text().splitlines()))
    assert sorted(row["cell"] for row in rows) == sorted(cells)
    assert {(row["rankings"], row["raters"]) for row in rows} == {("2", "1")}
    assert (
        "Left out, for not putting the grey clip last: bob."
        in (own_run_folder / "rank.md").read_text()
    )
    (tmp_path / "ballots" / "ann.json").unlink()
    with pytest.raises(EvalError, match="no ranking is left to count; bob failed"):
        count(own_run_folder, tmp_path / "ballots")


def test_cells_are_split_outside_brackets() -> None:
    assert split_cells(" a[t0=1,p=0.5], b ,") == ["a[t0=1,p=0.5]", "b"]
