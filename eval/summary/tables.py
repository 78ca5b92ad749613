"""records.csv, summary.csv, comparisons.csv and failures.csv from the store. Equal values give
equal bytes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval.errors import EvalError
from eval.io.documents import write_csv, write_text
from eval.io.files import write_errors
from eval.metrics import Metric
from eval.plan.cells import Cell, Plan
from eval.samples import Sample
from eval.store.store import Failure, Record, Store
from eval.summary import vbench_table
from eval.summary.cautions import Caution, few_images, to_json
from eval.summary.clip_values import Pairs, RunValues
from eval.summary.comparison_rows import COMPARISONS, comparison_rows, places_in
from eval.summary.set_metrics import set_value
from eval.summary.statistics import (
    Interval,
    mean_intervals,
)

RECORDS = (
    "cell",
    "method",
    "sample",
    "group",
    "seed",
    "metric",
    "value",
    "flags",
    "clip_key",
    "encoder_fingerprint",
)
SUMMARY = (
    "cell",
    "method",
    "t0",
    "p",
    "group",
    "metric",
    "mean",
    "low",
    "high",
    "n",
    "clusters",
    "lost",
    "bias_corrected",
    "unit",
    "higher_is_better",
    "cautions",
)
"""``clusters``: input images; ``lost``: clips that failed; ``cautions``: see
:mod:`eval.summary.cautions`."""
FAILURES = Failure._fields[:5]
"""Columns of failures.csv; tracebacks lie beside it."""
TRACEBACKS = "tracebacks.txt"
TRUE_CLIPS = "[true clip]"
"""Stands for a cell in the failures of true clips; no cell has such an id."""


def true_key(sample: Sample) -> str:
    """Key of the true clip's features: sha256 hex over its pixels and rate."""
    if sample.clip is None:
        raise EvalError(f"sample '{sample.id}' has no true clip to compare with")
    return hashlib.sha256(f"true|{sample.clip.fingerprint}".encode()).hexdigest()


def write_tables(
    store: Store, plan: Plan, fingerprints: Mapping[str, str], failures: Sequence[Failure] = ()
) -> tuple[dict[str, int], list[Caution]]:
    """Writes the tables of a run whose clips are all made and measured, but for those that failed.

    Args:
        store: holds the records and features.
        plan: says which of them belong to the run; others (of cells since removed) are left out.
        fingerprints: encoder id -> fingerprint.
        failures: clips left out of the other tables, whose column ``lost`` counts them.

    Returns:
        Counts for ``run.json``, and the distinct cautions of each metric and flag.
    """
    clips = sum(len(plan.pairs(cell)) for cell in plan.cells)
    plan, asked = plan.without({failure[:3] for failure in failures}), plan
    run = RunValues(store, plan)
    write_csv(store.folder / "records.csv", RECORDS, _record_rows(plan, run.read()))
    summary = list(_summary_rows(store, plan, asked, run))
    rows = [(*row, to_json(cautions)) for row, cautions in summary]
    _write(store.folder / "summary.csv", SUMMARY, rows)
    _write(store.folder / "comparisons.csv", COMPARISONS, comparison_rows(plan, run))
    _write_scores(store, plan, run)
    counts = {
        "samples": len(plan.samples),
        "cells": len(plan.cells),
        "clips": clips,
        "records": run.records,
    }
    return counts | {"failed": len(failures)}, _cautions(summary, run.flagged)


def _write_scores(store: Store, plan: Plan, run: RunValues) -> None:
    """Writes VBench's scores of the cells that have all dimensions of one; no file if none has."""
    records = {cell.id: run.vbench[cell.id] for cell in plan.cells}
    rows = vbench_table.score_rows(records, plan.suite.reference, run.images)
    path = store.folder / vbench_table.NAME
    if rows:
        _write(path, vbench_table.HEADER, rows)
    else:
        with write_errors(path):
            path.unlink(missing_ok=True)


def write_failures(
    store: Store, failures: Sequence[Sequence[object]], header: Sequence[str] = FAILURES
) -> None:
    """Writes failures.csv, of a header alone if nothing failed, and the tracebacks of what failed
    into tracebacks.txt: each once, after the clips that it was raised for.
    """
    rows = [failure[: len(header)] for failure in failures]
    _write(store.folder / "failures.csv", header, rows)
    clips: dict[str, list[str]] = {}
    for failure in failures:
        if isinstance(failure, Failure) and failure.traceback:
            clips.setdefault(failure.traceback, []).append(str(failure))
    texts = ["\n".join([*names, "", text]) for text, names in clips.items()]
    path = store.folder / TRACEBACKS
    if texts:
        write_text(path, "\n\n".join(texts))
    else:
        with write_errors(path):
            path.unlink(missing_ok=True)


def _record_rows(plan: Plan, records: Iterable[Record]) -> Iterator[tuple[object, ...]]:
    groups = {sample.id: sample.group for sample in plan.samples}
    methods = {cell.id: cell.method for cell in plan.cells}
    for cell, sample, seed, *rest in records:
        yield (cell, methods[cell], sample, groups[sample], seed, *rest)


Summary = tuple[tuple[object, ...], list[Caution]]
"""A row of ``summary.csv`` but for its last column, and that."""


def _summary_rows(store: Store, plan: Plan, asked: Plan, run: RunValues) -> Iterator[Summary]:
    for cell in plan.cells:
        for group in plan.groups:
            places = places_in(run.cells[cell.id].pairs, group)
            every = [run.cells[cell.id].pairs[place] for place in places]
            rows, asked_for = run.about.rows(every), run.about.rows(asked.pairs(cell, group))
            intervals = _intervals(plan, run, cell, places, every)
            for metric in plan.metrics if every else ():
                corrected: float | None = None
                wanted = len(asked_for[metric.id])
                if metric.scope == "clip":
                    if metric.id not in intervals:
                        continue
                    interval = intervals[metric.id]
                    cautions = few_images(interval.clusters)
                else:
                    usable = [
                        pair
                        for pair in (every[row] for row in rows[metric.id])
                        if _comparable(store, plan, pair[0], metric)
                    ]
                    if not usable:
                        continue
                    fake, real, owners = _features(store, plan, cell, usable, metric)
                    paired = not plan.reference_keys
                    interval, corrected, cautions = set_value(
                        metric, real, fake, owners, paired=paired
                    )
                lost = wanted - interval.n
                if lost:
                    cautions = [
                        Caution("clips_failed", {"lost": lost, "wanted": wanted}),
                        *cautions,
                    ]
                yield _summary_row(cell, group, metric, interval, lost, corrected), cautions


def _intervals(
    plan: Plan, run: RunValues, cell: Cell, places: Sequence[int], every: Pairs
) -> dict[str, Interval]:
    """Metric id -> interval over a cell's clips at these places, which are `every`; metrics with
    the same clips share their draws."""
    values, found = run.cells[cell.id].values, {}
    for rows, metrics in run.about.alike(plan.clip_metrics, every):
        of = [places[row] for row in rows]
        table = np.stack([values[metric.id][of] for metric in metrics], axis=1)
        owners = [run.images[every[row][0].id] for row in rows]
        for metric, interval in zip(metrics, mean_intervals(table, owners), strict=True):
            found[metric.id] = interval
    return found


def _summary_row(
    cell: Cell,
    group: str,
    metric: Metric,
    interval: Interval,
    lost: int,
    corrected: float | None,
) -> tuple[object, ...]:
    swept = (cell.settings.get("t0"), cell.settings.get("p"))
    return (
        *(cell.id, cell.method, *swept, group, metric.id),
        *interval,
        *(lost, corrected, metric.unit, metric.higher_is_better),
    )


def _comparable(store: Store, plan: Plan, sample: Sample, metric: Metric) -> bool:
    """Whether there are features to compare clips of ``sample`` with: a reference set, or those of
    its true clip.
    """
    return (
        bool(plan.reference_keys) or store.files.feature(metric.encoder, true_key(sample)).is_file()
    )


def _features(
    store: Store, plan: Plan, cell: Cell, pairs: Sequence[tuple[Sample, int]], metric: Metric
) -> tuple[NDArray[np.float32], NDArray[np.float32], list[int]]:
    """Features of the clips (N, D) and of what they are compared with (R, D), and for each clip its
    sample's number, which is the row of its true clip if the plan has no reference set."""
    samples = list({sample.id: sample for sample, _ in pairs}.values())
    numbers = {sample.id: number for number, sample in enumerate(samples)}
    fake = store.features(metric.encoder, [cell.clip_key(sample, seed) for sample, seed in pairs])
    real = store.features(
        metric.encoder, plan.reference_keys or [true_key(sample) for sample in samples]
    )
    return fake, real, [numbers[sample.id] for sample, _ in pairs]


def _cautions(summary: Iterable[Summary], flagged: Mapping[str, set[str]]) -> list[Caution]:
    """Each caution of a metric once, however many cells and groups carry it; then the flags."""
    metric = SUMMARY.index("metric")
    found = dict.fromkeys(
        replace(caution, metric=str(row[metric]))
        for row, cautions in summary
        for caution in cautions
    )
    flags = sorted(flagged.items())
    return [*found, *(Caution("flag", {"flag": f, "samples": len(of)}) for f, of in flags)]


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    write_csv(path, header, ([_text(value) for value in row] for row in rows))


def _text(value: object) -> str:
    """Floats in the shortest form that reads back the same; unknown is empty."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(float(value)) if isinstance(value, float) else str(value)
