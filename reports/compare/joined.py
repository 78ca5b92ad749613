"""Two or more runs as one, so that any cell of one can be paired with any cell of another."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from eval.errors import EvalError, nearest

if TYPE_CHECKING:
    import pandas as pd

    from reports.run.folder import RunFolder

CellPair = tuple[str, str]
"""A cell of the first run and the cell of another run that is compared with it."""


def split_pair(text: str) -> CellPair:
    """The two cells of ``A=B``; an ``=`` inside [] belongs to the cell.

    Raises:
        EvalError: not two names.

    Examples:
        >>> split_pair("ours[t0=0.6]=theirs")
        ('ours[t0=0.6]', 'theirs')
    """
    depth = 0
    for at, letter in enumerate(text):
        depth += (letter == "[") - (letter == "]")
        if letter == "=" and depth == 0 and text[:at].strip() and text[at + 1 :].strip():
            return text[:at].strip(), text[at + 1 :].strip()
    raise EvalError(
        f"--pair {text}: give a cell of the first run and one of another, as in --pair A=B"
    )


def cell_pairs(runs: Sequence[RunFolder], given: Sequence[CellPair]) -> list[CellPair]:
    """The pairs of cells of other names that are compared.

    Args:
        runs: the first is the one that others are compared with.
        given: asked for; without any, two runs of which each has one cell that competes are
            paired at once, if the cells' names differ.

    Raises:
        EvalError: a cell that its run has not.
    """
    for ours, theirs in given:
        rest = [cell for run in runs[1:] for cell in run.cells]
        for cell, known in ((ours, runs[0].cells), (theirs, rest)):
            if cell not in known:
                raise EvalError(
                    f"--pair {ours}={theirs}: no cell '{cell}' there. Allowed: "
                    f"{', '.join(dict.fromkeys(known))}.{nearest(cell, known)}"
                )
    if given or len(runs[0].competing) != 1:
        return list(given)
    (first,) = runs[0].competing
    alone = [run.competing[0] for run in runs[1:] if len(run.competing) == 1]
    return [(first, other) for other in dict.fromkeys(alone) if other != first]


def joined_run(
    runs: Mapping[str, RunFolder], samples: Collection[str], apart: Collection[tuple[str, str]]
) -> RunFolder:
    """Every run's cells, their names led by the run's letter.

    Args:
        runs: letter -> run.
        samples: the samples that all runs share; records of others are left out.
        apart: (letter, metric id) of what was measured with other weights, and is left out.
    """
    import pandas as pd

    summaries: list[pd.DataFrame] = []
    records: list[pd.DataFrame] = []
    for letter, run in runs.items():
        kept = run.records[
            run.records["sample"].isin(samples)
            & ~run.records["metric"].isin([m for who, m in apart if who == letter])
        ]
        for frame, found in ((run.summary, summaries), (kept, records)):
            found.append(frame.assign(cell=[f"{letter}: {cell}" for cell in frame["cell"]]))
    first = next(iter(runs.values()))
    return replace(
        first,
        run={"suite": first.suite, "cells": []},
        summary=pd.concat(summaries, ignore_index=True),
        records=pd.concat(records, ignore_index=True),
        failures=(),
    )
