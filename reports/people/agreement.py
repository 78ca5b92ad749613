"""What ballots say of the raters and of the metrics: agreement, and each metric's correlation with
people.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eval.summary.ballots import Ranking
    from reports.run.folder import RunFolder

MetricRow = tuple[str, float, float, float, int, int]
"""Metric id, correlation, its interval, clips, cases."""


def agreement(rankings: Sequence[Ranking]) -> float:
    """Krippendorff's alpha (ordinal) of the places that raters gave to clips; nan for one rater."""
    from eval.summary.agreement import krippendorff_alpha

    raters = list(dict.fromkeys(ranking.rater for ranking in rankings))
    units = {
        unit: i
        for i, unit in enumerate(dict.fromkeys((r.case, c) for r in rankings for c in r.order))
    }
    table = [[math.nan] * len(units) for _ in raters]
    for ranking in rankings:
        for cell, rank in ranking.ranks().items():
            table[raters.index(ranking.rater)][units[ranking.case, cell]] = rank
    return krippendorff_alpha(table)


def metric_rows(
    run: RunFolder, samples: Mapping[str, str], rankings: Sequence[Ranking]
) -> list[MetricRow]:
    """Rank correlation of each metric of single clips with people, within cases.

    Positive means agreement about better; of a measure without a better direction, that more of it
    is preferred.

    Args:
        run: the run whose clips were ranked.
        samples: case -> sample.
        rankings: what people said; places are averaged over raters.
    """
    from eval.summary.agreement import rank_correlation
    from reports.run.measures import measures_of

    places: dict[tuple[str, str], list[float]] = {}
    for ranking in rankings:
        for cell, rank in ranking.ranks().items():
            places.setdefault((ranking.case, cell), []).append(rank)
    liked = {at: -sum(given) / len(given) for at, given in places.items()}
    rows = run.records[run.records["seed"] == run.first_seed]
    values = {(r.cell, r.sample, r.metric): r.value for r in rows.itertuples()}
    found: list[MetricRow] = []
    for measure in measures_of(run):
        known = [
            (case, values[cell, samples.get(case, ""), measure.id], score)
            for (case, cell), score in liked.items()
            if (cell, samples.get(case, ""), measure.id) in values
        ]
        if not known:
            continue
        cases, numbers, scores = zip(*known, strict=True)
        sign = -1 if measure.lower_is_better else 1
        ends = rank_correlation([sign * n for n in numbers], scores, cases)
        found.append((measure.id, *ends, len(known), len(set(cases))))
    return found


def people_markdown(alpha: float, rows: Sequence[MetricRow]) -> str:
    """Both for ``rank.md``."""
    from reports.tables.cells import to_markdown

    said = (
        "Agreement between raters (Krippendorff's alpha, ordinal): "
        + (f"{alpha:.2f}" if math.isfinite(alpha) else "not defined for one rater")
        + ". 1 is agreement, 0 what chance gives."
    )
    if not rows:
        return f"\n{said}\n"
    texts = [
        [metric, f"{value:.2f} [{low:.2f}, {high:.2f}]", str(clips), str(cases)]
        for metric, value, low, high, clips, cases in rows
    ]
    table = to_markdown(["Metric", "Correlation with people", "Clips", "Cases"], texts)
    note = (
        "Spearman correlation of ranks within cases, 95 % interval by bootstrap over cases; "
        "positive means agreement about better."
    )
    return f"\n{said}\n\n{table}\n\n{note}\n"
