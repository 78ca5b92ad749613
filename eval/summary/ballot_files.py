"""Ballots: the files in which the ranking page keeps what one person said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.errors import EvalError
from eval.summary.ballots import CRITERIA, Ranking
from i2v_adapter.tables.reader import Column, Rows
from i2v_adapter.tables.texts import RowError, parse_json, shorten, shown, text_of

FORMAT = "i2v-ballot.v2"
OLDER = "i2v-ballot.v1"
"""One order a case, by the criterion "overall", without ties."""
COLUMNS = (
    Column("page", required=True),
    Column("rater"),
    Column("case", required=True),
    Column("criterion"),
    Column("clip", required=True),
    Column("rank", kind="whole", required=True),
)
LARGEST = 2**24
"""Bytes of the largest ballot that is read; 10,000 cases of 26 clips take a third of it."""

Key = Mapping[str, Mapping[str, str]]
"""Case -> letter on the page -> cell."""
Order = list[list[str]]
"""Letters from best to worst; those of one place together."""


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
    rankings: dict[tuple[str, str, str], Ranking] = {}
    for path in paths:
        found_page, rater, orders = _read(path)
        if found_page != page:
            raise EvalError(
                f"{path}: of page {shown(found_page)}, not of {page!r}; ballots of one "
                "page go together"
            )
        for (case, criterion), order in orders.items():
            if criterion not in CRITERIA:
                raise EvalError(
                    f"{path}: case {shown(case)}: no criterion {shown(criterion)}; allowed: "
                    f"{', '.join(CRITERIA)}"
                )
            letters = [letter for tied in order for letter in tied]
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
            if (rater, case, criterion) in rankings:
                raise EvalError(
                    f"{path}: rater {rater!r} ranked case {case!r} in another ballot already; "
                    "remove one"
                )
            places = tuple(place for place, tied in enumerate(order, 1) for _ in tied)
            rankings[rater, case, criterion] = Ranking(
                rater,
                case,
                tuple(key[case][letter] for letter in letters),
                places if len(set(places)) < len(places) else (),
                criterion,
            )
    if not rankings:
        raise EvalError(f"{folder}: the ballots rank no case")
    return list(rankings.values())


Orders = dict[tuple[str, str], Order]
"""(case, criterion) -> order."""


def _read(path: Path) -> tuple[str, str, Orders]:
    """Page id, rater and orders."""
    try:
        return _json_ballot(path) if path.suffix == ".json" else _csv_ballot(path)
    except RowError as error:
        named = str(error).startswith(str(path))
        raise EvalError(str(error) if named else f"{path}: {error}") from error
    except OSError as error:
        raise EvalError(f"{path}: cannot be read ({error.strerror})") from error


def _json_ballot(path: Path) -> tuple[str, str, Orders]:
    if not path.is_file() or path.stat().st_size > LARGEST:
        raise RowError(f"not a ballot: a file of at most {LARGEST:,} bytes was expected")
    content = parse_json(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    if not isinstance(content, dict):
        raise RowError("not a ballot: an object was expected")
    known = content.get("format")
    if known not in (FORMAT, OLDER):
        raise RowError(f"not a ballot: format {shown(str(known))}, not {FORMAT!r}")
    texts = {}
    for name in ("page", "rater"):
        try:
            texts[name] = text_of(content.get(name, ""))
        except RowError as error:
            raise RowError(f"{name} {error}") from error
    rankings = content.get("rankings")
    if not isinstance(rankings, dict):
        raise RowError("not a ballot: rankings must be an object of cases")
    orders: Orders = {}
    for case, said in rankings.items():
        if known == OLDER:
            said = {"overall": [[letter] for letter in _list(case, said)]}
        if not isinstance(said, dict):
            raise RowError(f"case {shown(case)}: an object of criteria was expected")
        for criterion, order in said.items():
            orders[case, criterion] = [_letters(case, tied) for tied in _list(case, order)]
    return texts["page"], texts["rater"].strip() or path.stem, orders


def _list(case: str, value: Any) -> Sequence[Any]:
    if not isinstance(value, list):
        raise RowError(f"case {shown(case)}: the ranking must be a list of letters")
    return value


def _letters(case: str, tied: Any) -> list[str]:
    try:
        return [text_of(letter) for letter in _list(case, tied)]
    except RowError as error:
        if str(error).startswith("case "):
            raise
        raise RowError(f"case {shown(case)}: a letter {error}") from error


def _csv_ballot(path: Path) -> tuple[str, str, Orders]:
    ranked: dict[tuple[str, str], dict[int, list[str]]] = {}
    raters, pages = set(), set()
    for line, row, fault in Rows(path, COLUMNS):
        rank = row.get("rank", "").strip()
        if not fault and not (rank.isascii() and rank.isdecimal() and len(rank) < 6):
            fault = f"rank {shown(rank)} is not a whole number"
        if fault:
            raise RowError(f"{path}:{line}: {fault}")
        criterion = row.get("criterion", "").strip() or "overall"
        places = ranked.setdefault((row["case"], criterion), {})
        places.setdefault(int(rank), []).append(row["clip"])
        raters.add(row.get("rater", "").strip())
        pages.add(row["page"])
    for (case, _), places in ranked.items():
        if sorted(places) != list(range(1, len(places) + 1)):
            raise RowError(
                f"case {shown(case)}: ranks must be 1, 2, ... without gaps; tied clips share one"
            )
    if len(raters) > 1 or len(pages) > 1:
        raise RowError("more than one rater or page; one ballot a file")
    orders = {at: [places[rank] for rank in sorted(places)] for at, places in ranked.items()}
    return "".join(pages), "".join(raters) or path.stem, orders
