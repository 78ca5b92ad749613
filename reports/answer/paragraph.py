"""The page's first paragraph: what the run shows, in plain words made from its numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from reports.answer.sentences import Name, Sentence
from reports.claims.content import load_claims
from reports.run.measures import MINUS, Measure
from reports.run.sweeps import PRIOR, home, sweeps
from reports.tables.cells import FEW, CellTable, ComparisonTable, Difference

if TYPE_CHECKING:
    from reports.run.folder import RunFolder


_LISTED = 4  # cells that a sentence names before it counts the rest


def focus_group(run: RunFolder) -> str:
    """The group the answer speaks of: "unseen" where there is one (there only the image can help),
    else "all".
    """
    return "unseen" if "unseen" in run.groups else run.groups[0]


def answer(run: RunFolder, table: CellTable, comparisons: ComparisonTable | None) -> list[Sentence]:
    """The paragraph's sentences, for tables of the focus group."""
    identity = _first(table.measures, "identity")
    motion = _first(table.measures, "motion")
    sentences = [*_claims(run), _scope(run, table), *_failed(run)]
    if identity:
        sentences += _leader(table, identity, "Identity is kept best by ")
    if motion:
        sentences += _leader(table, motion, "The most motion comes from ")
    if identity and motion:
        sentences += _prior(run, table.group, identity, motion)
    if identity and comparisons:
        sentences += _reference(run, comparisons, identity)
    return sentences


def _first(measures: Sequence[Measure], family: str) -> Measure | None:
    return next((m for m in measures if m.family == family), None)


def _claims(run: RunFolder) -> list[Sentence]:
    content = load_claims(run)
    if content is None:
        return []
    numbers: dict[str, list[str]] = {}
    for claim in content["claims"]:
        numbers.setdefault(claim["verdict"], []).append(str(claim["number"]))
    found = "; ".join(f"{verdict} {', '.join(of)}" for verdict, of in numbers.items())
    return [
        (
            f"The paper's {len(content['claims'])} claims by verdict: {found} (tests and intervals "
            "below).",
        )
    ]


def _scope(run: RunFolder, table: CellTable) -> Sentence:
    n = f"n = {table.n} clips a cell" if table.n else "all clips of each cell"
    if table.group == "unseen" and run.glyph_world:
        return (
            f"This paragraph is about glyphs no generator saw in training ({n}): only the image "
            "tells what to draw.",
        )
    return (f"This paragraph is about sample group “{table.group}” ({n}).",)


def _failed(run: RunFolder) -> list[Sentence]:
    return [
        ("No clip of ", Name(cell), f" was scored: {why}.")
        for cell, why in run.failed_cells.items()
    ]


def _leader(table: CellTable, measure: Measure, lead: str) -> list[Sentence]:
    at = table.measures.index(measure)
    found = [
        (row, entry)
        for row in table.rows
        if (entry := row.entries[at]) and math.isfinite(entry.value)
    ]
    rivals = [(row, entry) for row, entry in found if not row.anchor]
    if not rivals:
        return []
    worst_is_most = measure.lower_is_better
    top, entry = (min if worst_is_most else max)(rivals, key=lambda pair: pair[1].value)
    quantity = (
        f"cosine {entry.text}"
        if measure.unit == "cosine"
        else f"{entry.text} {measure.unit}".rstrip()
    )
    parts = [
        lead,
        Name(top.cell),
        f" ({quantity}, 95 % interval {entry.interval}{f', {FEW}' if entry.few else ''}",
    ]
    for i, (row, anchor) in enumerate((row, entry) for row, entry in found if row.anchor):
        parts += [", " if i else "; anchors: ", Name(row.cell), f" {anchor.text}"]
    return [(*parts, ").")]


def _prior(run: RunFolder, group: str, identity: Measure, motion: Measure) -> list[Sentence]:
    sentences: list[Sentence] = []
    for sweep in sweeps(run):
        if sweep.axes[0] != PRIOR[0] or not sweep.numeric(0) or len(sweep.axes) < 2:
            continue
        moves = sweep.grid(run, motion.id, group).mean(axis=1).sort_index()
        keeps = sweep.grid(run, identity.id, group).mean(axis=1).sort_index()
        if len(moves) < 2 or moves.isna().any() or keeps.isna().any():
            continue
        low, high = moves.index[0], moves.index[-1]
        correlation = moves.rank().corr(moves.index.to_series().rank())
        written = f"{correlation:.2f}".replace("-", MINUS)
        sentences.append(
            (
                "As t0 goes from ",
                f"{low:g} to {high:g} in ",
                Name(sweep.name),
                f", mean motion goes from {motion.number(moves.iloc[0])} to "
                f"{motion.number(moves.iloc[-1])} "
                f"(Spearman correlation over the {len(moves)} t0 means {written}) and mean "
                "identity "
                f"from {identity.number(keeps.iloc[0])} to {identity.number(keeps.iloc[-1])}.",
            )
        )
    return sentences


def _reference(run: RunFolder, table: ComparisonTable, identity: Measure) -> list[Sentence]:
    if identity not in table.measures:
        return []
    at = table.measures.index(identity)
    compared = [(cell, d) for cell, anchor, ds in table.rows if not anchor and (d := ds[at])]
    own = home(run, table.reference)
    family = set(own.cells.values()) if own else set()
    siblings = [(cell, d) for cell, d in compared if cell in family]
    others = [(cell, d) for cell, d in compared if cell not in family]
    sentences: list[Sentence] = []
    for verdict, words in (
        ("better", "keeps identity better than "),
        ("worse", "keeps identity worse than "),
    ):
        chosen = [(cell, d) for cell, d in others if d.verdict == verdict]
        if chosen:
            sentences.append(
                ("The reference ", Name(table.reference), f" {words}", *_listed(chosen))
            )
    unclear = [(cell, d) for cell, d in others if d.verdict == "unclear"]
    if unclear:
        lead = ("The run does not separate the reference ", Name(table.reference), " from ")
        sentences.append((*lead, *_listed(unclear)))
    if siblings:
        counts = [sum(d.verdict == v for _, d in siblings) for v in ("better", "worse", "unclear")]
        sentences.append(
            (
                f"Of the {len(siblings)} other cells of its own sweep the reference is better than "
                f"{counts[0]}, worse than "
                f"{counts[1]} and not separable from {counts[2]} in identity (paired 95 % "
                "intervals, "
                "table below).",
            )
        )
    return sentences


def _listed(chosen: Sequence[tuple[str, Difference]]) -> list[str]:
    parts: list[str] = []
    shown = chosen if len(chosen) <= _LISTED + 1 else chosen[:_LISTED]
    for i, (cell, d) in enumerate(shown):
        joint = "" if i == 0 else " and " if i == len(chosen) - 1 else ", "
        note = "paired difference " if i == 0 else ""
        interval = f"95 % interval {d.entry.interval}" if i == 0 else d.entry.interval
        parts += [joint, Name(cell), f" ({note}{d.entry.text}, {interval})"]
    left = len(chosen) - len(shown)
    return [*parts, f" and {left} more (table below)." if left else "."]
