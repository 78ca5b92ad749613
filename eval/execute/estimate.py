"""How long finished clips will take to measure, told from a few frames of each size."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

from eval.clips.lossless import Clip, encoded
from eval.clips.media import MediaFormat, first_frames, media_format
from eval.errors import EvalError
from eval.execute.prepared import prepare
from eval.io.loading import loaded
from eval.measure.evaluator import Evaluator, EvaluatorLike
from eval.metrics import Metric
from eval.metrics.vbench import sampling_stride
from eval.plan.batches import Item
from eval.plan.cells import Plan
from eval.plan.suite import suite_placement
from eval.samples.clip_manifest import Entry

SIZES = 3
"""Sizes of frames that are timed, those of most frames first; the others are told by their
pixels."""
READING = "reading"


class Estimate(NamedTuple):
    """What one process takes.

    Attributes:
        clips, frames: to measure; clips that cannot be opened are not among them.
        unread: clips that cannot be opened.
        seconds: encoder, or ``reading`` -> seconds for all clips, without loading weights.
        metrics: encoder -> its metrics, by name.
        warnings: of the choice of metrics.
    """

    clips: int
    frames: int
    unread: int
    seconds: dict[str, float]
    metrics: dict[str, list[str]]
    warnings: list[str]


def estimate(
    folder: Path, manifest: Path | None, out: Path, *, fps: float | None = None, **options: Any
) -> Estimate:
    """Measures a few frames of the first clip of each size, and tells the rest from that. Nothing
    is written. Arguments and errors are those of :func:`eval.execute.finished.score`; what a run
    folder already holds counts as if it had to be measured again.
    """
    options.setdefault("console", Console(stderr=True))
    options.setdefault("evaluator", None)
    options.setdefault("rows", None)
    placement = suite_placement(options["device"], options["dtype"])
    in_memory = partial(Evaluator, **({"device": "auto"} | placement))
    prepared = prepare(folder, manifest, out, fps=fps, **options)
    where = {"hdr": options["hdr"], "root": options["root"] or folder}
    sizes: dict[tuple[int, int], list[tuple[Item, Entry, MediaFormat]]] = {}
    unread = len(prepared.failures)
    for item in _items(prepared.plan):
        entry = prepared.rows[item.place]
        try:
            found = media_format(entry.clip, fps=fps, **where)
        except EvalError:
            unread += 1
            continue
        if found.frames < 2:
            unread += 1
            continue
        sizes.setdefault((found.height, found.width), []).append((item, entry, found))
    encoders: dict[str, list[Metric]] = {}
    for metric in prepared.plan.metrics:
        encoders.setdefault(metric.encoder, []).append(metric)
    seconds = dict.fromkeys([READING, *encoders], 0.0)
    ordered = sorted(sizes.values(), key=lambda clips: -sum(one[2].frames for one in clips))
    paces: list[tuple[int, dict[str, float]]] = []
    for clips in ordered:
        item, entry, found = clips[0]
        pixels, frames = found.height * found.width, sum(one[2].frames for one in clips)
        scale = 1.0
        if len(paces) < SIZES:
            read = partial(first_frames, entry.clip, fps=fps, **where)
            pace = _pace(item, read, found, encoders, options["evaluator"] or in_memory)
            paces.append((pixels, pace))
        else:
            known, pace = min(paces, key=lambda one: abs(one[0] - pixels))
            scale = pixels / known
        for name, each in pace.items():
            seconds[name] += each * scale * frames
    formats = [one[2] for clips in ordered for one in clips]
    named = {
        encoder: list(dict.fromkeys(metric.family for metric in some))
        for encoder, some in encoders.items()
    }
    count = sum(found.frames for found in formats)
    return Estimate(len(formats), count, unread, seconds, named, prepared.warnings)


def _items(plan: Plan) -> list[Item]:
    return [Item(cell, *pair) for cell in plan.cells for pair in plan.pairs(cell)]


def _pace(
    item: Item,
    read: Callable[[int], list[Any]],
    found: MediaFormat,
    encoders: dict[str, list[Metric]],
    make_evaluator: Callable[[list[Metric]], EvaluatorLike],
) -> dict[str, float]:
    """Seconds a frame, of reading and of each encoder."""
    count = min(found.frames, max(3, sampling_stride(found.fps) + 1))
    pace = {}
    start = time.perf_counter()
    clip = Clip(np.stack(read(count)), found.fps)
    encoded(clip)
    pace[READING] = (time.perf_counter() - start) / count
    for encoder, metrics in encoders.items():
        measuring = make_evaluator(metrics)
        start, (_, loading) = time.perf_counter(), loaded()
        if any(metric.scope == "clip" for metric in metrics):
            measuring.measure([item.sample], [clip])
        if any(metric.scope == "set" for metric in metrics):
            measuring.video_features([clip], encoder)
        taken = time.perf_counter() - start - (loaded()[1] - loading)
        pace[encoder] = max(taken, 0.0) / max(1, count - 1)  # as many pairs as that
    return pace
