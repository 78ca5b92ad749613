"""The page's clip grid: which samples it shows, and their clips of every cell."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.measures import Measure
from reports.media import Film, film, picture

if TYPE_CHECKING:
    from reports.load import RunFolder

MEDIA_BUDGET = 5_000_000
"""Characters of embedded pictures after which no further sample is shown."""
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class ShownSample:
    """One column of the clip grid; `films` holds each cell's clip and the numbers written under it."""

    id: str
    group: str
    prompt: str
    image: Film
    truth: Film | None
    films: Mapping[str, tuple[Film, str]]


def choose_samples(run: RunFolder) -> list[str]:
    """All sample ids, the ones to show first: groups take turns, each spread evenly over its own order."""
    queues = []
    for _, ids in run.samples.groupby("group", sort=False)["id"]:
        names = list(ids)
        spread = sorted(range(len(names)), key=lambda i: i * _GOLDEN % 1)  # any first few lie far apart
        queues.append([names[i] for i in spread])
    longest = max(map(len, queues), default=0)
    return [queue[i] for i in range(longest) for queue in queues if i < len(queue)]


def shown_samples(run: RunFolder, measures: Sequence[Measure], limit: int) -> list[ShownSample]:
    """Up to `limit` samples with their clips, in the run's order: one, then as many as `MEDIA_BUDGET` allows.

    The numbers under a clip are its identity and its motion.

    Raises:
        EvalError: a clip or an image is missing or unreadable.
    """
    under = [m for family in ("identity", "motion") for m in measures if m.family == family]
    first = run.records[run.records["seed"] == run.first_seed]
    values = {(r.cell, r.sample, r.metric): r.value for r in first.itertuples()}
    shown: list[ShownSample] = []
    size = 0
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for sample in choose_samples(run)[: max(0, limit)]:
            row = run.samples[run.samples["id"] == sample].iloc[0]
            films = list(pool.map(lambda cell, sample=sample: _cell_film(run, cell, sample), run.cells))  # type: ignore[misc]
            truth = run.true_clip(sample)
            column = ShownSample(
                id=sample,
                group=str(row["group"]),
                prompt=str(row["prompt"]),
                image=picture(run.image_path(sample)),
                truth=None if truth is None else film(truth),
                films={
                    cell: (made, " · ".join(m.number(values.get((cell, sample, m.id), math.nan)) for m in under))
                    for cell, made in zip(run.cells, films, strict=True)
                    if made is not None
                },
            )
            size += sum(len(f.uri) for f in (column.image, *([column.truth] if column.truth else [])))
            size += sum(len(f.uri) for f, _ in column.films.values())
            if shown and size > MEDIA_BUDGET:
                break
            shown.append(column)
    order = {sample: i for i, sample in enumerate(run.samples["id"])}
    return sorted(shown, key=lambda column: order[column.id])


def _cell_film(run: RunFolder, cell: str, sample: str) -> Film | None:
    clip = run.cell_clip(cell, sample)
    return None if clip is None else film(clip)
