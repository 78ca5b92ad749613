"""The claims section: what is said, what is kept apart, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eval.errors import EvalError
from reports.answer.paragraph import answer
from reports.claims.content import claims_html, claims_texts, load_claims, number, paper_tables
from reports.run.load import load_run
from reports.run.measures import measures_of
from reports.tables.cells import cell_table

HOSTILE = "<script>window.hostile=1</script>"


def _test(**changes: Any) -> dict[str, Any]:
    return {
        "title": "identity, full - content adapter",
        "metric": "identity.dino_glyph.v1",
        "unit": "cosine",
        "kind": "more",
        "margin": 0.02,
        "effect": 0.115,
        "low": 0.048,
        "high": 0.18,
        "n": 96,
        "images": 96,
        "verdict": "holds",
        "reason": "",
        "paper": "",
        "prose": "",
    } | changes


def _content() -> dict[str, Any]:
    gone = _test(
        effect=None, low=None, high=None, n=0, images=0, verdict="not measured", reason=HOSTILE
    )
    tests = [
        _test(),
        _test(
            kind="report", verdict="reported", title="only told", effect=-1.5, low=-2.0, high=-1.0
        ),
    ]
    spread = {"mean": -0.4, "low": -0.5, "high": -0.3, "n": 300, "clusters": 100}
    return {
        "rule": "the rule",
        "claims": [
            {"number": 2, "title": "Identity.", "verdict": "holds", "reason": "", "tests": tests},
            {
                "number": 3,
                "title": "Parts.",
                "verdict": "not measured",
                "reason": HOSTILE,
                "tests": [gone],
            },
        ],
        "judges": [
            {
                "metric": "text.clip_glyph.v1",
                "exact": "exact.glyph.pixels.v1",
                "across": spread,
                "within": spread,
            }
        ],
    }


@pytest.fixture
def claimed(own_run_folder: Path) -> Path:
    """A synthetic run whose suite asked for claims."""
    path = own_run_folder / "run.json"
    run = json.loads(path.read_text(encoding="utf-8"))
    run["suite"]["claims"] = True
    path.write_text(json.dumps(run), encoding="utf-8")
    (own_run_folder / "claims.json").write_text(json.dumps(_content()), encoding="utf-8")
    return own_run_folder


def test_verdicts_come_with_effect_interval_and_n_and_reported_rows_have_no_say(
    claimed: Path,
) -> None:
    text = claims_texts(load_run(claimed))["claims.md"]
    row = next(line for line in text.splitlines() if line.startswith("| 2 |"))
    assert "0.115 \\[0.048, 0.18\\] cosine (n = 96, 96 images), holds" in row
    assert "only told" not in row
    assert "−1.5 \\[−2, −1\\] cosine" in text
    assert "−0.40 \\[−0.50, −0.30\\]" in text


def test_the_first_paragraph_begins_with_the_verdicts(claimed: Path) -> None:
    run = load_run(claimed)
    first, *_ = answer(run, cell_table(run, measures_of(run), "all"), None)
    assert first == (
        "The paper's 2 claims by verdict: holds 2; not measured 3 (tests and intervals below).",
    )


def test_nothing_measured_is_a_dash_and_no_number(claimed: Path) -> None:
    row = next(
        line
        for line in claims_texts(load_run(claimed))["claims.md"].splitlines()
        if line.startswith("| 3 |")
    )
    assert "–, not measured" in row or "– cosine, not measured" in row
    assert number(None) == number(float("nan")) == "–"
    assert (number(10157896), number(-0.02566)) == ("10,157,896", "−0.0257")


def test_hostile_text_stays_text(claimed: Path) -> None:
    run = load_run(claimed)
    assert HOSTILE not in claims_html(run)
    assert "&lt;script&gt;window.hostile=1" in claims_html(run)
    assert HOSTILE not in claims_texts(run)["claims.md"]


def test_the_papers_numbers_and_our_own_never_share_a_table(claimed: Path) -> None:
    run = load_run(claimed)
    tables = paper_tables(run)
    assert {table.source for table in tables} == {"Paper, full size", "Measured here, glyph world"}
    texts = {
        source: " ".join(
            str(text) for t in tables if t.source == source for row in t.rows for text in row
        )
        for source in ("Paper, full size", "Measured here, glyph world")
    }
    assert ".9389" in texts["Paper, full size"]
    assert ".9389" not in texts["Measured here, glyph world"]
    ours = next(
        t for t in tables if t.title.startswith("Table 1") and t.source.startswith("Measured")
    )
    measured = next(row for row in ours.rows if row[0] == "content-adapter")
    assert "0.60" in measured[1]  # the synthetic run's mean identity
    assert all(
        text == "–" for text in next(row for row in ours.rows if row[0] == "concatenation")[1:]
    )


def test_a_run_without_claims_has_no_section_and_one_that_lost_them_says_so(
    own_run_folder: Path,
) -> None:
    assert claims_html(load_run(own_run_folder)) == ""
    assert claims_texts(load_run(own_run_folder)) == {}


@pytest.mark.parametrize("broken", [None, "{", "[]", '{"claims": []}'])
def test_claims_that_cannot_be_read_are_an_error(claimed: Path, broken: str | None) -> None:
    path = claimed / "claims.json"
    path.unlink() if broken is None else path.write_text(broken)
    with pytest.raises(EvalError, match=r"claims\.json: not .*run the suite again"):
        load_claims(load_run(claimed))
