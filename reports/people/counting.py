"""Counted ballots: standings, agreement and correlations of each criterion, as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.errors import EvalError
from reports.people.page import GREY, KEY

if TYPE_CHECKING:
    from eval.summary.ballots import Ranking, Standing

METRICS_HEAD = ("criterion", "metric", "correlation", "low", "high", "clips", "cases")
HEAD = (
    "criterion",
    "cell",
    "mean_rank",
    "mean_rank_low",
    "mean_rank_high",
    "score",
    "score_low",
    "score_high",
    "rankings",
    "raters",
    "cases",
)


def count(directory: Path, ballots: Path) -> list[Path]:
    """Writes ``rank.md``, ``rank.csv`` and ``rank-metrics.csv`` from the ballots of a folder.

    Raises:
        EvalError: the run folder has no key, a ballot does not fit it, or every rater failed an
            attention check.
    """
    from eval.io.documents import csv_text
    from eval.summary.ballot_files import read_ballots
    from eval.summary.ballots import CRITERIA, standings
    from reports.cli import write_file
    from reports.people.agreement import agreement, metric_rows, people_markdown
    from reports.run.load import load_run

    key = _read_key(directory / KEY)
    rankings, failed = _attentive(read_ballots(ballots, key["page"], key["cases"]))
    if not rankings:
        raise EvalError(
            f"{ballots}: no ranking is left to count; {', '.join(failed) or 'nobody'} failed an "
            "attention check"
        )
    run = load_run(directory) if key["samples"] else None
    table: list[tuple[object, ...]] = []
    metrics: list[tuple[object, ...]] = []
    parts = []
    for criterion, words in CRITERIA.items():
        mine = [ranking for ranking in rankings if ranking.criterion == criterion]
        if not mine:
            continue
        found = standings(mine)
        rows = metric_rows(run, key["samples"], mine) if run is not None else []
        table += [(criterion, *row) for row in _rows(found)]
        metrics += [(criterion, *row) for row in rows]
        parts += [
            f"# Which clip {words}\n",
            _markdown(found),
            people_markdown(agreement(mine), rows),
        ]
    if failed:
        parts.append(f"\nLeft out, for not putting the grey clip last: {', '.join(failed)}.\n")
    return [
        write_file(directory / "rank.md", "\n".join(parts).encode()),
        write_file(directory / "rank.csv", csv_text(HEAD, table).encode()),
        write_file(directory / "rank-metrics.csv", csv_text(METRICS_HEAD, metrics).encode()),
    ]


def _attentive(rankings: Sequence[Ranking]) -> tuple[list[Ranking], list[str]]:
    """The rankings of real cases by raters who passed every check, and the other raters.

    A check asks for the grey clip to come last, alone; by the criterion "motion" alone nobody
    fails, because a still clip may be thought to move no worse.
    """
    checks = [ranking for ranking in rankings if GREY in ranking.order]
    failed = {
        ranking.rater
        for ranking in checks
        if ranking.criterion != "motion" and ranking.ranks()[GREY] < len(ranking.order)
    }
    kept = [r for r in rankings if GREY not in r.order and r.rater not in failed]
    return kept, sorted(failed)


def _rows(found: Sequence[Standing]) -> list[tuple[object, ...]]:
    return [(s.cell, *s.rank, *s.score, s.rankings, s.raters, s.cases) for s in found]


def _markdown(found: Sequence[Standing]) -> str:
    from reports.tables.cells import to_markdown

    rows = [
        [
            s.cell,
            *(f"{e.value:.2f} [{e.low:.2f}, {e.high:.2f}]" for e in (s.rank, s.score)),
            str(s.rankings),
            str(s.raters),
            str(s.cases),
        ]
        for s in found
    ]
    head = [
        "Cell",
        "Mean rank (AUR, 1 is best)",
        "Bradley-Terry score (log odds)",
        "Rankings",
        "Raters",
        "Cases",
    ]
    note = (
        "95 % intervals by bootstrap over raters and cases. Scores are log odds against the "
        "average cell."
    )
    return f"{to_markdown(head, rows)}\n\n{note}\n"


def _read_key(path: Path) -> dict[str, Any]:
    from eval.io.documents import read_json

    if not path.is_file():
        raise EvalError(
            f"{path}: no such file; `i2v-eval rank {path.parent}` writes the page and it"
        )
    content = read_json(path)
    page, cases = content.get("page"), content.get("cases")
    samples = content.get("samples") or {}
    if (
        not isinstance(page, str)
        or not isinstance(cases, dict)
        or not isinstance(samples, dict)
        or not all(isinstance(letters, dict) for letters in cases.values())
    ):
        raise EvalError(f"{path}: not the key of a ranking page; write the page again")
    return {"page": page, "cases": cases, "samples": samples}
