"""Makes or measures one batch, in any process: this needs files and an evaluator, but no
database."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Console

from eval import device as devices
from eval.clips.lossless import Clip, encoded
from eval.errors import ClipError, EvalError
from eval.execute.isolation import Failed, isolate
from eval.execute.measuring import Shelf, measure
from eval.io.loading import loaded
from eval.measure.evaluator import EvaluatorLike
from eval.methods import Method, device_of, varying
from eval.methods.guard import seed_everything
from eval.plan.batches import Batch, Item
from eval.plan.cells import Plan
from eval.samples.seeds import derive_seed
from eval.store.store import Failure, StoredClip

_CALLED: set[type] = set()
"""Classes of methods that were called in this process. A first call may pay for loading; where it
says how long that took (:func:`eval.io.loading.loading`), its clips' time is without it."""


class Made(NamedTuple):
    """The clips of a batch as the contents of their files, their rows, the failures of the others,
    and the device, as :func:`eval.device.describe` tells it."""

    rows: list[StoredClip]
    contents: list[bytes]
    failures: list[Failure]
    device: str = "cpu"


def make_batch(batch: Batch, *, timeout: float | None, debug: bool) -> Made:
    """Makes the clips of a batch, and a failure with its reason for each clip that cannot be made.
    Writes nothing. See `eval.execute.isolation`.
    """

    def work(items: Sequence[Item]) -> list[bytes]:
        return [encoded(clip) for clip in _generate(items)]

    start, (blocks, loading) = time.perf_counter(), loaded()
    results = isolate(
        batch.items, work, timeout=timeout, debug=debug, relieve=lambda: devices.release("encoders")
    )
    more, longer = loaded()
    seconds = max(time.perf_counter() - start - (longer - loading), 0.0) / len(results)
    method = type(batch.items[0].cell.instance)
    cold = method not in _CALLED and more == blocks
    _CALLED.add(method)
    made = Made([], [], [], _device(batch.items[0].cell.instance))
    for item, result in zip(batch.items, results, strict=True):
        if isinstance(result, Failed):
            failure = Failure(*item.place, "make", result.reason, result.traceback)
            made.failures.append(failure)
        else:
            sha256 = hashlib.sha256(result).hexdigest()
            row = StoredClip(*item.place, item.key, seconds, cold, len(result), sha256)
            made.rows.append(row)
            made.contents.append(result)
    return made


def _device(method: Method) -> str:
    """Where a method runs; ``unknown`` for a device that is not here, on which it made nothing."""
    try:
        return devices.describe(device_of(method))
    except EvalError:
        return "unknown"


def device_of_evaluator(evaluator: EvaluatorLike) -> str:
    """The device of an evaluator's networks, as :func:`eval.device.describe` tells it."""
    return devices.describe(str(getattr(evaluator, "device", "cpu")))


def measure_batch(
    shelf: Shelf,
    plan: Plan,
    batch: Batch,
    evaluator: EvaluatorLike,
    fingerprints: Mapping[str, str],
    *,
    timeout: float | None,
    debug: bool,
) -> list[Failure]:
    """Measures the clips of a batch, all of which are made, into ``shelf``. Returns a failure for
    each clip that cannot be measured.
    """

    def work(items: Sequence[Item]) -> list[None]:
        part = Batch(tuple(items))
        measure(
            shelf, plan, [part], evaluator, fingerprints, Console(quiet=True, force_terminal=False)
        )
        return [None] * len(items)

    if not batch.items:
        return []
    results = isolate(
        batch.items,
        work,
        timeout=timeout,
        debug=debug,
        relieve=lambda: devices.release(*devices.GENERATORS),
    )
    return [
        Failure(
            *item.place,
            "measure",
            result.reason.removeprefix(f"{Batch((item,)).name}: "),
            result.traceback,
        )
        for item, result in zip(batch.items, results, strict=True)
        if isinstance(result, Failed)
    ]


def _generate(items: Sequence[Item]) -> list[Clip]:
    samples = [item.sample for item in items]
    seeds = [derive_seed(item.sample.id, item.seed) for item in items]
    cells = Batch(tuple(items)).cells
    names = varying(cells[0].instance) if len(cells) > 1 else ()
    generate: Any = cells[0].instance.generate
    seed_everything(derive_seed(json.dumps([item.place[1:] for item in items]), 0))
    clips = list(
        generate(
            samples, seeds, **{name: [item.cell.settings[name] for item in items] for name in names}
        )
    )
    if len(clips) != len(samples) or not all(isinstance(clip, Clip) for clip in clips):
        raise ClipError(
            f"the method gave {_kinds(clips)} for {len(samples)} samples, not a Clip each"
        )
    return clips


def _kinds(clips: Sequence[Any]) -> str:
    return (
        f"{len(clips)} of {', '.join(sorted({type(clip).__name__ for clip in clips})) or 'nothing'}"
    )
