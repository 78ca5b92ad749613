"""Ballots against closed forms, a simulated truth, and files that are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eval.errors import EvalError
from eval.summary.ballot_files import FORMAT, OLDER, read_ballots
from eval.summary.ballots import Ranking, bradley_terry, standings

KEY = {"case-01": {"A": "full", "B": "content"}, "case-02": {"A": "content", "B": "full"}}


def test_two_items_give_the_log_odds() -> None:
    for won, lost in ((30, 10), (1, 3), (7, 7)):
        found = bradley_terry([[0, won], [lost, 0]], pseudo_wins=0)
        assert found[0] - found[1] == pytest.approx(np.log(won / lost), abs=1e-5)
        found = bradley_terry([[0, won], [lost, 0]])
        assert found[0] - found[1] == pytest.approx(np.log((won + 0.5) / (lost + 0.5)), abs=1e-5)


def test_an_item_that_always_wins_has_a_finite_score() -> None:
    found = bradley_terry([[0, 20, 20], [0, 0, 10], [0, 10, 0]])
    assert np.isfinite(found).all()
    assert found[0] > found[1] == pytest.approx(found[2], abs=1e-5)
    assert found.mean() == pytest.approx(0.0, abs=1e-9)


def test_expected_wins_give_back_the_strengths() -> None:
    truth = np.array([1.0, 0.2, -0.3, -0.9])
    chance = 1 / (1 + np.exp(truth - truth[:, None]))
    np.fill_diagonal(chance, 0)
    assert bradley_terry(1000 * chance, pseudo_wins=0) == pytest.approx(truth, abs=1e-4)


def _simulated(truth: dict[str, float], raters: int = 8, cases: int = 20) -> list[Ranking]:
    """Plackett-Luce orders: the best of those left wins in proportion to its strength, as
    Bradley-Terry's pairs do.
    """
    generator, names = np.random.default_rng(1), list(truth)
    rankings = []
    for rater in range(raters):
        for case in range(cases):
            noisy = [truth[name] + generator.gumbel() for name in names]
            order = tuple(names[i] for i in np.argsort(noisy)[::-1])
            rankings.append(Ranking(f"r{rater}", f"c{case}", order))
    return rankings


def test_simulated_people_give_the_truth_within_the_intervals() -> None:
    truth = {"good": 0.9, "middle": 0.1, "bad": -1.0}
    found = {standing.cell: standing for standing in standings(_simulated(truth), resamples=200)}
    for cell, strength in truth.items():
        standing = found[cell]
        assert standing.score.low < strength < standing.score.high
        assert standing.score.high - standing.score.low < 1.2
        assert standing.rank.low < standing.rank.value < standing.rank.high
        assert (standing.rankings, standing.raters, standing.cases) == (160, 8, 20)
    assert list(found) == ["good", "middle", "bad"]
    assert sum(standing.rank.value for standing in found.values()) == pytest.approx(6.0)


def test_one_rater_on_one_case_has_no_interval() -> None:
    first, second = standings([Ranking("r", "c", ("a", "b"))])
    assert (first.cell, first.rank.value, second.rank.value) == ("a", 1.0, 2.0)
    assert np.isnan([*first.rank[1:], *first.score[1:]]).all()


def _write(folder: Path, name: str, **changes: object) -> Path:
    content = {
        "format": FORMAT,
        "page": "p1",
        "rater": "ann",
        "rankings": {"case-01": {"overall": [["B"], ["A"]]}},
    } | changes
    path = folder / name
    path.write_text(json.dumps(content))
    return path


def test_letters_become_cells_from_json_and_csv(tmp_path: Path) -> None:
    older = {"case-01": ["B", "A"], "case-02": ["B", "A"]}
    _write(tmp_path, "ann.json", format=OLDER, rankings=older)
    (tmp_path / "bob.csv").write_text(
        "page,rater,case,clip,rank\np1,,case-02,A,2\np1,,case-02,B,1\n"
    )
    assert read_ballots(tmp_path, "p1", KEY) == [
        Ranking("ann", "case-01", ("content", "full")),
        Ranking("ann", "case-02", ("full", "content")),
        Ranking("bob", "case-02", ("full", "content")),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"page": "p2"}, "ann.json: of page 'p2', not of 'p1'"),
        ({"format": "x"}, "ann.json: not a ballot: format 'x'"),
        (
            {"rankings": {"case-01": {"overall": [["A"]]}}},
            "case 'case-01' is ranked A; allowed: each once of A, B",
        ),
        ({"rankings": {"case-01": {"overall": [["A", "A"]]}}}, "case 'case-01' is ranked A, A"),
        (
            {"rankings": {"case-09": {"overall": [["A", "B"]]}}},
            "no such case; there are case-01, case-02",
        ),
        (
            {"rankings": {"case-01": {"looks": [["A", "B"]]}}},
            "no criterion 'looks'; allowed: image",
        ),
        ({"rankings": {"case-01": {"image": ["A", "B"]}}}, "must be a list of letters"),
        ({"rankings": {"case-01": ["A", "B"]}}, "an object of criteria was expected"),
        ({"rankings": {}}, "the ballots rank no case"),
        ({"rankings": 3}, "ann.json: not a ballot"),
    ],
)
def test_a_wrong_ballot_is_named(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    _write(tmp_path, "ann.json", **changes)
    with pytest.raises(EvalError, match=message):
        read_ballots(tmp_path, "p1", KEY)


def test_no_ballots_twice_the_same_rater_and_ties(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="no ballots"):
        read_ballots(tmp_path / "none", "p1", KEY)
    _write(tmp_path, "one.json")
    _write(tmp_path, "two.json")
    with pytest.raises(
        EvalError, match=r"two\.json: rater 'ann' ranked case 'case-01' in another ballot"
    ):
        read_ballots(tmp_path, "p1", KEY)
    (tmp_path / "two.json").unlink()
    (tmp_path / "bob.csv").write_text(
        "page,rater,case,clip,rank\np1,bob,case-02,A,2\np1,bob,case-02,B,2\n"
    )
    with pytest.raises(EvalError, match="without gaps; tied clips share one"):
        read_ballots(tmp_path, "p1", KEY)


def test_ties_and_criteria_are_read_alike_from_json_and_csv(tmp_path: Path) -> None:
    said = {"case-01": {"image": [["B", "A"]], "motion": [["A"], ["B"]]}}
    _write(tmp_path, "ann.json", rankings=said)
    rows = ["case-01,image,B,1", "case-01,image,A,1", "case-01,motion,B,2", "case-01,motion,A,1"]
    lines = "".join(f"p1,bob,{row}\n" for row in rows)
    (tmp_path / "bob.csv").write_text(f"page,rater,case,criterion,clip,rank\n{lines}")
    found = read_ballots(tmp_path, "p1", KEY)
    for rater in ("ann", "bob"):
        assert [ranking[1:] for ranking in found if ranking.rater == rater] == [
            ("case-01", ("content", "full"), (1, 1), "image"),
            ("case-01", ("full", "content"), (), "motion"),
        ]


def test_a_tie_is_half_a_win_for_each() -> None:
    """Closed form for two cells: 2 wins, 1 loss and 2 ties are 3 wins against 2."""
    orders = [("a", "b"), ("a", "b"), ("b", "a")]
    rankings = [Ranking("r", f"c{i}", order) for i, order in enumerate(orders)]
    rankings += [Ranking("r", f"t{i}", ("a", "b"), (1, 1)) for i in range(2)]
    first, second = standings(rankings, resamples=10)
    assert (first.cell, first.rank.value) == ("a", (1 + 1 + 2 + 1.5 + 1.5) / 5)
    assert first.score.value - second.score.value == pytest.approx(np.log(3.5 / 2.5), abs=1e-5)
