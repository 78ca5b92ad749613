"""One batch made or measured, wherever that happens: it needs files and a judge, and no database."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from rich.console import Console

from .clip import Clip
from .errors import ClipError
from .isolation import Failed, isolate
from .measure import JudgeLike, Shelf, measure
from .plan import Batch, Plan
from .samples import Sample
from .seeds import derive_seed
from .store import Failure, StoredClip

Pair = tuple[Sample, int]


class Made(NamedTuple):
    """The clips of a batch, their rows, and the failures of the others."""

    rows: list[StoredClip]
    clips: list[Clip]
    failures: list[Failure]


def make_batch(batch: Batch, *, timeout: float | None, debug: bool) -> Made:
    """Makes the clips of a batch, or says why there is none; writes nothing. See :func:`eval.isolation.isolate`."""
    cell, start = batch.cell, time.perf_counter()

    def generate(pairs: Sequence[Pair]) -> list[Clip]:
        return _generate(replace(batch, items=tuple(pairs)))

    results = isolate(batch.items, generate, timeout=timeout, debug=debug)
    seconds = (time.perf_counter() - start) / len(results)
    made = Made([], [], [])
    for (sample, seed), result in zip(batch.items, results, strict=True):
        if isinstance(result, Failed):
            made.failures.append(Failure(cell.id, sample.id, seed, "make", result.reason))
        else:
            made.rows.append(StoredClip(sample.id, seed, cell.clip_key(sample, seed), seconds))
            made.clips.append(result)
    return made


def measure_batch(
    shelf: Shelf,
    plan: Plan,
    batch: Batch,
    judge: JudgeLike,
    fingerprints: Mapping[str, str],
    *,
    timeout: float | None,
    debug: bool,
) -> list[Failure]:
    """Measures the clips of a batch, all of which are made, into ``shelf``. Returns those that could not be."""

    def work(pairs: Sequence[Pair]) -> list[None]:
        part = replace(batch, items=tuple(pairs))
        measure(shelf, plan, [part], judge, fingerprints, Console(quiet=True, force_terminal=False))
        return [None] * len(pairs)

    results = isolate(batch.items, work, timeout=timeout, debug=debug) if batch.items else []
    return [
        Failure(batch.cell.id, sample.id, seed, "measure", _without_name(result.reason, batch, (sample, seed)))
        for (sample, seed), result in zip(batch.items, results, strict=True)
        if isinstance(result, Failed)
    ]


def _generate(batch: Batch) -> list[Clip]:
    samples = [sample for sample, _ in batch.items]
    seeds = [derive_seed(sample.id, seed) for sample, seed in batch.items]
    clips = list(batch.cell.instance.generate(samples, seeds))
    if len(clips) != len(samples) or not all(isinstance(clip, Clip) for clip in clips):
        raise ClipError(f"the method gave {_kinds(clips)} for {len(samples)} samples, not a Clip each")
    return clips


def _kinds(clips: Sequence[Any]) -> str:
    return f"{len(clips)} of {', '.join(sorted({type(clip).__name__ for clip in clips})) or 'nothing'}"


def _without_name(reason: str, batch: Batch, pair: Pair) -> str:
    return reason.removeprefix(f"{replace(batch, items=(pair,)).name}: ")
