"""Sentences of the verdict: their parts, and how measures, values and claims are put in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from reports.tables.cells import FEW, Entry

if TYPE_CHECKING:
    from reports.run.measures import Measure


class Name(str):
    """A cell's id inside a sentence; typeset as code."""


class Strong(str):
    """The part of a sentence that answers; typeset in bold."""


Sentence = tuple[str, ...]
"""Parts of a sentence, to be joined: plain text, `Strong` text and `Name`s."""
MOST_NAMED = 3
"""Cells or numbers that a sentence names before it counts the rest."""


def listed_labels(measures: Sequence[Measure]) -> str:
    """How many they are, and their names while they are few."""
    names = list(dict.fromkeys(map(inline_label, measures)))
    return (
        f"{len(measures)} ({', '.join(names)})" if len(names) <= MOST_NAMED else f"{len(measures)}"
    )


def best_end(measure: Measure) -> str:
    """The better end of a measure's scale."""
    return "lowest" if measure.lower_is_better else "highest"


def inline_label(measure: Measure) -> str:
    """A measure's label inside a sentence: FVD stays FVD."""
    return measure.label if measure.label[:2].isupper() else measure.label.lower()


def quantity(measure: Measure, entry: Entry) -> str:
    """A measure's label, value and interval, and whether n is too small."""
    known = isfinite(entry.low) and isfinite(entry.high)
    interval = entry.interval if known else "no interval"
    return f"{inline_label(measure)} {entry.text} ({interval}{f', {FEW}' if entry.few else ''})"


def claim_sentences(content: Mapping[str, Any]) -> list[Sentence]:
    """How many claims have which verdict, and which fail; `content` is that of ``claims.json``."""
    by: dict[str, list[Mapping[str, Any]]] = {}
    for claim in content["claims"]:
        by.setdefault(str(claim["verdict"]), []).append(claim)
    plural = {"holds": "hold", "fails": "fail"}
    found = ", ".join(
        f"{len(of)} {plural.get(name, name) if len(of) > 1 else name}" for name, of in by.items()
    )
    lead = f"Of the paper's {len(content['claims'])} claims: {found}."
    sentences: list[Sentence] = [(Strong(lead),)]
    titles = "; ".join(f"{c['number']}, {c['title'].rstrip('.')}" for c in by.get("fails", []))
    return [*sentences, (f"Fails: {titles}.",)] if titles else sentences
