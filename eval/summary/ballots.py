"""Rankings that people gave to blinded clips: mean ranks and Bradley-Terry scores with
intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from eval.errors import EvalError
from i2v_adapter.tables.rows import Column, Rows
from i2v_adapter.tables.texts import RowError, parse_json, shorten, shown, text_of

FORMAT = "i2v-ballot.v1"
COLUMNS = (
    Column("page", required=True),
    Column("rater"),
    Column("case", required=True),
    Column("clip", required=True),
    Column("rank", kind="whole", required=True),
)
LARGEST = 2**24
"""Bytes of the largest ballot that is read; 10,000 cases of 26 clips take a third of it."""
PSEUDO_WINS = 0.5
"""Added to each side of every pair, so that a cell that always wins keeps a finite score."""

Key = Mapping[str, Mapping[str, str]]
"""Case -> letter on the page -> cell."""


class Ranking(NamedTuple):
    """One person's order of one case's cells, the best first."""

    rater: str
    case: str
    order: tuple[str, ...]


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


def read_ballots(folder: Path, page: str, key: Key) -> list[Ranking]:
    """Every ranking in the ``.json`` and ``.csv`` ballots of a folder. The file's name stands for
    an unnamed rater.

    Args:
        folder: of ballots as the page exports them.
        page: id of the page that they must come from.
        key: of that page.

    Raises:
        EvalError: no ballots, or one that is unreadable, of another page, incomplete, or a
            rater's second word on a case; the message names file, case and what is wrong.
    """
    paths = (
        sorted(path for path in folder.glob("*") if path.suffix in (".json", ".csv"))
        if folder.is_dir()
        else []
    )
    if not paths:
        raise EvalError(
            f"{folder}: no ballots; put there the .json or .csv files that the ranking page exports"
        )
    rankings: dict[tuple[str, str], Ranking] = {}
    for path in paths:
        found_page, rater, orders = _read(path)
        if found_page != page:
            raise EvalError(
                f"{path}: of page {shown(found_page)}, not of {page!r}; ballots of one "
                "page go together"
            )
        for case, letters in orders.items():
            if case not in key or sorted(letters) != sorted(key[case]):
                known = (
                    ", ".join(key[case])
                    if case in key
                    else f"no such case; there are {', '.join(key)}"
                )
                raise EvalError(
                    f"{path}: case {shown(case)} is ranked {shorten(', '.join(letters))}; allowed: "
                    f"each once of {known}"
                )
            if (rater, case) in rankings:
                raise EvalError(
                    f"{path}: rater {rater!r} ranked case {case!r} in another ballot already; "
                    "remove one"
                )
            rankings[rater, case] = Ranking(
                rater, case, tuple(key[case][letter] for letter in letters)
            )
    if not rankings:
        raise EvalError(f"{folder}: the ballots rank no case")
    return list(rankings.values())


def _read(path: Path) -> tuple[str, str, dict[str, list[str]]]:
    """Page id, rater, and case -> letters from best to worst."""
    try:
        return _json_ballot(path) if path.suffix == ".json" else _csv_ballot(path)
    except RowError as error:
        named = str(error).startswith(str(path))
        raise EvalError(str(error) if named else f"{path}: {error}") from error
    except OSError as error:
        raise EvalError(f"{path}: cannot be read ({error.strerror})") from error


def _json_ballot(path: Path) -> tuple[str, str, dict[str, list[str]]]:
    if not path.is_file() or path.stat().st_size > LARGEST:
        raise RowError(f"not a ballot: a file of at most {LARGEST:,} bytes was expected")
    content = parse_json(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    if not isinstance(content, dict):
        raise RowError("not a ballot: an object was expected")
    if content.get("format") != FORMAT:
        raise RowError(f"not a ballot: format {shown(str(content.get('format')))}, not {FORMAT!r}")
    texts = {}
    for name in ("page", "rater"):
        try:
            texts[name] = text_of(content.get(name, ""))
        except RowError as error:
            raise RowError(f"{name} {error}") from error
    rankings = content.get("rankings")
    if not isinstance(rankings, dict):
        raise RowError("not a ballot: rankings must be an object of cases")
    orders: dict[str, list[str]] = {}
    for case, order in rankings.items():
        if not isinstance(order, list):
            raise RowError(f"case {shown(case)}: the ranking must be a list of letters")
        try:
            orders[case] = [text_of(letter) for letter in order]
        except RowError as error:
            raise RowError(f"case {shown(case)}: a letter {error}") from error
    return texts["page"], texts["rater"].strip() or path.stem, orders


def _csv_ballot(path: Path) -> tuple[str, str, dict[str, list[str]]]:
    ranked: dict[str, list[tuple[int, str]]] = {}
    raters, pages = set(), set()
    for line, row, fault in Rows(path, COLUMNS):
        rank = row.get("rank", "").strip()
        if not fault and not (rank.isascii() and rank.isdecimal() and len(rank) < 6):
            fault = f"rank {shown(rank)} is not a whole number"
        if fault:
            raise RowError(f"{path}:{line}: {fault}")
        ranked.setdefault(row["case"], []).append((int(rank), row["clip"]))
        raters.add(row.get("rater", "").strip())
        pages.add(row["page"])
    for case, pairs in ranked.items():
        if sorted(rank for rank, _ in pairs) != list(range(1, len(pairs) + 1)):
            raise RowError(f"case {shown(case)}: ranks must be 1, 2, ... without ties")
    if len(raters) > 1 or len(pages) > 1:
        raise RowError("more than one rater or page; one ballot a file")
    orders = {case: [letter for _, letter in sorted(pairs)] for case, pairs in ranked.items()}
    return "".join(pages), "".join(raters) or path.stem, orders


def standings(
    rankings: Sequence[Ranking], *, level: float = 0.95, resamples: int = 500, seed: int = 0
) -> list[Standing]:
    """Every cell's standing, the best mean rank first.

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
        for place, cell in enumerate(ranking.order, start=1):
            ranks[row, cells.index(cell)] = place
    wins = (ranks[:, :, None] < ranks[:, None, :]).astype(np.float64)  # nan compares false
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
