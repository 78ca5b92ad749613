"""Carries a plan out: clips, then measures, then tables. Every stage goes on from what the run folder already holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from .clip import Clip
from .errors import ClipError, EvalError
from .measure import JudgeLike, measure, measure_true
from .metrics import Metric
from .plan import Batch, Plan, make_plan
from .progress import progress
from .provenance import RunDocument
from .samples.export import write_samples
from .seeds import derive_seed
from .store import Store, StoredClip
from .suite import locate_suite
from .tables import write_tables


@dataclass(frozen=True)
class Outcome:
    """What a run did: the folder, clips made, measured and decoded this time, and warnings for the reader."""

    folder: Path
    made: int
    measured: int
    warnings: list[str]
    decoded: int = 0


def run(
    suite: str,
    out: Path | None = None,
    *,
    console: Console | None = None,
    judge: Callable[[list[Metric]], JudgeLike] | None = None,
) -> Outcome:
    """Runs a suite, or goes on with it.

    Killed at any moment, the same call loses at most the batch in hand, makes that very batch again, and ends with the
    same ``records.csv``. Called again when all is done, it makes no clip and loads no network.

    Args:
        suite: path of a suite file, or name of a shipped suite.
        out: the run folder; ``runs/<suite name>`` if None.
        console: for progress; standard error if None.
        judge: makes the judge of the suite's metrics; :class:`eval.judge.Judge` if None.

    Raises:
        EvalError: for anything the user can put right; nothing is made before the whole suite is valid.
        ClipError: naming cell, sample and seed of a batch that failed; what was stored stays.
    """
    plan = make_plan(locate_suite(suite))
    return carry_out(plan, out or Path("runs") / plan.suite.name, console=console, judge=judge)


def carry_out(
    plan: Plan,
    folder: Path,
    *,
    console: Console | None = None,
    judge: Callable[[list[Metric]], JudgeLike] | None = None,
) -> Outcome:
    """:func:`run` for a plan that is made already."""
    console = console or Console(stderr=True)
    referee = judge(plan.metrics) if judge else default_judge(plan.metrics, folder)
    with Store(folder) as store:
        fingerprints = dict(referee.fingerprints())
        for encoder in plan.set_encoders:
            store.use_features(encoder, fingerprints[encoder])
        write_samples(store, plan.samples)

        unmade, unmeasured = stale(store, plan, fingerprints)
        document = RunDocument(store.folder, plan, fingerprints, stale=bool(unmade or unmeasured))
        document.started()

        made = make(store, unmade, console)
        measured = measure(store, plan, unmeasured, referee, fingerprints, console)
        measure_true(store, plan, referee)

        counts, warnings = write_tables(store, plan, fingerprints)
        document.finished(counts, warnings)
        return Outcome(store.folder, made, measured, warnings, store.decoded)


def default_judge(metrics: list[Metric], folder: Path) -> JudgeLike:
    """:class:`eval.judge.Judge` that keeps frame features in the run folder, imported when asked for."""
    from .features import FeatureCache
    from .judge import Judge

    return Judge(metrics, cache=FeatureCache(folder / "features" / "frames"))


def stale(store: Store, plan: Plan, fingerprints: Mapping[str, str]) -> tuple[list[Batch], list[Batch]]:
    """Batches with a clip to make, and batches with a clip to measure; the former are among the latter."""
    unmade, unmeasured = [], []
    for cell in plan.cells:
        keys = store.clip_keys(cell.id)
        known = {(r.sample, r.seed, r.metric): (r.clip_key, r.encoder_fingerprint) for r in store.records(cell.id)}
        for batch in plan.batches([cell]):
            wanted = {(sample.id, seed): cell.clip_key(sample, seed) for sample, seed in batch.items}
            made = all(keys.get(item) == key for item, key in wanted.items())
            measured = made and all(
                known.get((*item, metric.id)) == (key, fingerprints[metric.encoder])
                for item, key in wanted.items()
                for metric in plan.clip_metrics
            )
            if not made:
                unmade.append(batch)
            if not measured or not _have_features(store, plan, wanted.values()):
                unmeasured.append(batch)
    return unmade, unmeasured


def _have_features(store: Store, plan: Plan, keys: Iterable[str]) -> bool:
    return all(store.feature_path(encoder, key).is_file() for key in keys for encoder in plan.set_encoders)


def make(store: Store, batches: Sequence[Batch], console: Console) -> int:
    """Makes and stores the clips of ``batches``. Returns how many.

    Raises:
        EvalError, ClipError: naming the batch whose method failed; earlier batches stay stored.
    """
    total = sum(len(batch.items) for batch in batches)
    with progress(console, "making", total) as advance:
        for batch in batches:
            start = time.perf_counter()
            clips = _generate(batch)
            seconds = (time.perf_counter() - start) / len(clips)
            key = batch.cell.clip_key
            rows = [StoredClip(sample.id, seed, key(sample, seed), seconds) for sample, seed in batch.items]
            store.add_clips(batch.cell.id, rows, clips)
            advance(len(clips))
    return total


def _generate(batch: Batch) -> list[Clip]:
    samples = [sample for sample, _ in batch.items]
    seeds = [derive_seed(sample.id, seed) for sample, seed in batch.items]
    try:
        clips = list(batch.cell.instance.generate(samples, seeds))
    except EvalError as error:
        raise batch.failure(error) from error
    except Exception as error:
        raise ClipError(f"{batch.name}: the method failed with {type(error).__name__}: {_first_line(error)}") from error
    if len(clips) != len(samples) or not all(isinstance(clip, Clip) for clip in clips):
        raise ClipError(f"{batch.name}: the method gave {_kinds(clips)} for {len(samples)} samples, not a Clip each")
    return clips


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["(no message)"])[0]


def _kinds(clips: Sequence[Any]) -> str:
    return f"{len(clips)} of {', '.join(sorted({type(clip).__name__ for clip in clips})) or 'nothing'}"
