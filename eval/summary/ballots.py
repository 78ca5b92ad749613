"""Rankings that people gave to blinded clips: mean ranks and Bradley-Terry scores with
intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError

PSEUDO_WINS = 0.5
"""Added to each side of every pair, so that a cell that always wins keeps a finite score."""
CRITERIA = {
    "image": "keeps the image",
    "prompt": "follows the prompt",
    "motion": "moves well",
    "overall": "is best overall",
}
"""What people may be asked: name -> what the best clip does."""


class Ranking(NamedTuple):
    """One person's order of one case's cells by one criterion, the best first.

    Attributes:
        rater, case: who ranked what.
        order: the cells.
        places: of each, equal for tied cells; empty where none are tied.
        criterion: one of `CRITERIA`.
    """

    rater: str
    case: str
    order: tuple[str, ...]
    places: tuple[int, ...] = ()
    criterion: str = "overall"

    def ranks(self) -> dict[str, float]:
        """Cell -> rank, 1 is best; tied cells share the mean of their ranks.

        Examples:
            >>> Ranking("ann", "case-01", ("a", "b", "c"), (1, 1, 2)).ranks()
            {'a': 1.5, 'b': 1.5, 'c': 3.0}
        """
        places = self.places or tuple(range(1, len(self.order) + 1))
        return {
            cell: sum(other < place for other in places) + (places.count(place) + 1) / 2
            for cell, place in zip(self.order, places, strict=True)
        }


class Estimate(NamedTuple):
    """A value with its interval, nan where there are fewer than two raters and fewer than two
    cases.
    """

    value: float
    low: float
    high: float


class Standing(NamedTuple):
    """What the ballots say of a cell: mean rank (1 is best; the paper's AUR), Bradley-Terry score
    (log odds against the average cell), and how many rankings, raters and cases that rests on."""

    cell: str
    rank: Estimate
    score: Estimate
    rankings: int
    raters: int
    cases: int


def standings(
    rankings: Sequence[Ranking], *, level: float = 0.95, resamples: int = 500, seed: int = 0
) -> list[Standing]:
    """Every cell's standing, the best mean rank first. A tie is half a win for each.

    Args:
        rankings: by one criterion.
        level, resamples, seed: of the intervals.

    Intervals are percentiles of a bootstrap that draws whole raters and whole cases, each with
    replacement, and weighs a ranking by the product of how often its rater and its case were drawn;
    neither people nor images are independent.

    Source: Bradley and Terry 1952; Owen 2007, "The pigeonhole bootstrap".
    """
    cells = sorted({cell for ranking in rankings for cell in ranking.order})
    raters = {
        name: i for i, name in enumerate(dict.fromkeys(ranking.rater for ranking in rankings))
    }
    cases = {name: i for i, name in enumerate(dict.fromkeys(ranking.case for ranking in rankings))}
    of = np.asarray([[raters[ranking.rater], cases[ranking.case]] for ranking in rankings])
    ranks = np.full((len(rankings), len(cells)), np.nan)
    for row, ranking in enumerate(rankings):
        for cell, rank in ranking.ranks().items():
            ranks[row, cells.index(cell)] = rank
    ours, theirs = ranks[:, :, None], ranks[:, None, :]  # nan compares false
    wins = (ours < theirs) + 0.5 * (ours == theirs) * ~np.eye(len(cells), dtype=bool)
    means, scores = _means(ranks, np.ones(len(rankings))), bradley_terry(wins.sum(axis=0))

    generator = np.random.default_rng(seed)
    drawn_means, drawn_scores = [], []
    for _ in range(resamples if max(len(raters), len(cases)) > 1 else 0):
        counts = [generator.multinomial(n, np.full(n, 1 / n)) for n in (len(raters), len(cases))]
        weights = (counts[0][of[:, 0]] * counts[1][of[:, 1]]).astype(np.float64)
        if weights.sum() > 0:
            drawn_means.append(_means(ranks, weights))
            drawn_scores.append(bradley_terry(np.einsum("r,rij->ij", weights, wins)))
    found = []
    for column, cell in enumerate(cells):
        judged = np.isfinite(ranks[:, column])
        found.append(
            Standing(
                cell,
                _estimate(means[column], [draw[column] for draw in drawn_means], level),
                _estimate(scores[column], [draw[column] for draw in drawn_scores], level),
                int(judged.sum()),
                len(set(of[judged, 0].tolist())),
                len(set(of[judged, 1].tolist())),
            )
        )
    return sorted(found, key=lambda standing: standing.rank.value)


def bradley_terry(
    wins: npt.ArrayLike, *, pseudo_wins: float = PSEUDO_WINS
) -> npt.NDArray[np.float64]:
    """Maximum-likelihood log strengths of items that were compared in pairs, float64 (K,), their
    mean 0.

    Args:
        wins: (K, K); entry i, j is how often i was preferred to j.
        pseudo_wins: added to each side of every pair that was compared. 0 asks for data in
            which no item always wins.

    Raises:
        EvalError: wins that are not square or below 0.

    Examples:
        >>> strengths = bradley_terry([[0, 30], [10, 0]], pseudo_wins=0)
        >>> round(float(strengths[0] - strengths[1]), 4)  # the log odds, log 3
        1.0986
    """
    from scipy.optimize import minimize
    from scipy.special import expit, log_expit

    won = np.asarray(wins, dtype=np.float64)
    if won.ndim != 2 or won.shape[0] != won.shape[1] or (won < 0).any():
        raise EvalError(f"Bradley-Terry: wins must be (K, K) and 0 or more, got {won.shape}")
    compared = (won + won.T) > 0
    won = won + pseudo_wins * compared

    def loss(strengths: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        apart = strengths[:, None] - strengths
        lost = won * expit(-apart)
        # The mean of the strengths is free; its square pins it to 0 without moving differences.
        centre = strengths.mean()
        return (
            float(-(won * log_expit(apart)).sum() + centre**2),
            lost.sum(axis=0) - lost.sum(axis=1) + 2 * centre / len(strengths),
        )

    solved = minimize(
        loss, np.zeros(len(won)), jac=True, method="L-BFGS-B", options={"gtol": 1e-8, "ftol": 1e-14}
    )
    return np.asarray(solved.x - solved.x.mean())


def _means(
    ranks: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    known = np.isfinite(ranks) * weights[:, None]
    with np.errstate(invalid="ignore"):
        return np.asarray((np.nan_to_num(ranks) * known).sum(axis=0) / known.sum(axis=0))


def _estimate(value: float, draws: Sequence[float], level: float) -> Estimate:
    finite = [draw for draw in draws if np.isfinite(draw)]
    if not finite:
        return Estimate(float(value), float("nan"), float("nan"))
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(value), float(low), float(high))
