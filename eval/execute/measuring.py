"""Measures stored clips: features for set metrics, records for the others, one fixed batch at a
time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from rich.console import Console

from eval.clips.lossless import Clip
from eval.errors import ClipError, EvalError
from eval.io.progress import progress
from eval.measure.evaluator import EvaluatorLike
from eval.plan.batches import Batch
from eval.plan.cells import Plan
from eval.store.store import Record, Store
from eval.summary.tables import true_key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Shelf(Protocol):
    """Where clips are read from, and features and records go: an `eval.store.store.Store`, or a
    worker's files.
    """

    def read(self, key: str) -> Clip: ...
    def add_features(self, encoder: str, features: Mapping[str, NDArray[np.float32]]) -> None: ...
    def add_records(self, records: Iterable[Record]) -> None: ...


def measure(
    store: Shelf,
    plan: Plan,
    batches: Sequence[Batch],
    evaluator: EvaluatorLike,
    fingerprints: Mapping[str, str],
    console: Console,
) -> int:
    """Measures the clips of ``batches`` as decoded from the store; features first, then all records
    in one transaction.

    Returns:
        How many clips were measured.

    Raises:
        EvalError: naming cell, sample and seed, for a value that is not finite or a clip that
            cannot be measured.
    """
    total = sum(len(batch.items) for batch in batches)
    with progress(console, "measuring", total) as advance:
        for batch in batches:
            keys = [item.key for item in batch.items]
            clips = [store.read(key) for key in keys]
            try:
                for encoder in plan.set_encoders:
                    _check_shapes(batch, clips)
                    vectors = evaluator.video_features(clips, encoder)
                    store.add_features(encoder, dict(zip(keys, vectors, strict=True)))
                store.add_records(_records(plan, batch, keys, clips, evaluator, fingerprints))
            except EvalError as error:
                raise batch.failure(error) from error
            advance(len(clips))
    return total


def measure_true(store: Store, plan: Plan, evaluator: EvaluatorLike) -> None:
    """Stores the video features of the true clips, which set metrics compare with."""
    for encoder in plan.set_encoders:
        for batch in plan.batches(plan.cells[:1]):
            clips = {true_key(sample): sample.clip for _, sample, _ in batch.items if sample.clip}
            if all(store.has_features(encoder, key) for key in clips):
                continue
            vectors = evaluator.video_features(list(clips.values()), encoder)
            store.add_features(encoder, dict(zip(clips, vectors, strict=True)))


FOREIGN = "foreign_encoder"
"""Flag of values by the glyph world's encoders on other pictures; see `Plan.foreign_encoders`."""


def _records(
    plan: Plan,
    batch: Batch,
    keys: Sequence[str],
    clips: Sequence[Clip],
    evaluator: EvaluatorLike,
    fingerprints: Mapping[str, str],
) -> list[Record]:
    if not plan.clip_metrics:
        return []
    measured = evaluator.measure([item.sample for item in batch.items], clips)
    records = []
    for (cell, sample, seed), key, values in zip(batch.items, keys, measured, strict=True):
        own = evaluator.flags(sample)
        for metric in plan.clip_metrics_of(sample):
            flags = ";".join(
                sorted([*own, *([FOREIGN] if metric.encoder in plan.foreign_encoders else [])])
            )
            value = float(values[metric.id])
            if not math.isfinite(value):
                raise ClipError(
                    f"{metric.id} is {value} for sample/seed {sample.id}/{seed} (clip {key}), not "
                    "finite"
                )
            encoder = fingerprints[metric.encoder]
            records.append(Record(cell.id, sample.id, seed, metric.id, value, flags, key, encoder))
    return records


def _check_shapes(batch: Batch, clips: Sequence[Clip]) -> None:
    for (_, sample, seed), clip in zip(batch.items, clips, strict=True):
        true = sample.clip
        if true is not None and clip.frames.shape != true.frames.shape:
            raise EvalError(
                f"sample/seed {sample.id}/{seed}: clip {clip.frames.shape}, true clip "
                f"{true.frames.shape}; "
                "set metrics need equal (F, H, W, 3): change the method's settings, or leave fvd "
                "and kvd out"
            )
