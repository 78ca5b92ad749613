"""records.csv, summary.csv, comparisons.csv and failures.csv from the store. Equal values give
equal bytes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval.errors import EvalError
from eval.io.documents import write_csv, write_text
from eval.io.files import write_errors
from eval.measure.catalogue import applies
from eval.metrics import Metric
from eval.plan.cells import Cell, Plan
from eval.samples import Sample
from eval.store.store import Failure, Record, Store
from eval.summary import vbench_table
from eval.summary.cautions import Caution, few_images, to_json
from eval.summary.clusters import image_clusters
from eval.summary.set_metrics import set_value
from eval.summary.statistics import (
    Interval,
    excludes_zero,
    family_wise_level,
    mean_interval,
    paired_difference,
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
COMPARISONS = (
    "reference",
    "cell",
    "group",
    "metric",
    "difference",
    "low",
    "high",
    "n",
    "clusters",
    "comparisons",
    "survives_correction",
    "cautions",
)
"""``comparisons``: intervals of one metric and group that are read together;
``survives_correction``: whether an interval that excludes 0 still does when corrected for them
(Bonferroni), empty where it holds 0."""
FAILURES = Failure._fields[:5]
"""Columns of failures.csv; tracebacks lie beside it."""
TRACEBACKS = "tracebacks.txt"
TRUE_CLIPS = "[true clip]"
"""Stands for a cell in the failures of true clips; no cell has such an id."""

Values = Mapping[str, Mapping[tuple[str, int], Record]]
"""Metric id -> (sample, seed) -> record, of one cell."""


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
    images = image_clusters(plan.samples)
    values = {cell.id: _values(store, plan, cell) for cell in plan.cells}
    records = list(_record_rows(plan, values))
    summary = list(_summary_rows(store, plan, asked, values, images))
    _write(store.folder / "records.csv", RECORDS, sorted(records))
    rows = [(*row, to_json(cautions)) for row, cautions in summary]
    _write(store.folder / "summary.csv", SUMMARY, rows)
    _write(store.folder / "comparisons.csv", COMPARISONS, _comparison_rows(plan, values, images))
    _write_scores(store, plan, values, images)
    counts = {
        "samples": len(plan.samples),
        "cells": len(plan.cells),
        "clips": clips,
        "records": len(records),
    }
    return counts | {"failed": len(failures)}, _cautions(summary, values)


def _write_scores(
    store: Store, plan: Plan, values: Mapping[str, Values], images: Mapping[str, str]
) -> None:
    """Writes VBench's scores of the cells that have all dimensions of one; no file if none has."""
    records = {
        cell: [record for known in each.values() for record in known.values()]
        for cell, each in values.items()
    }
    rows = vbench_table.score_rows(records, plan.suite.reference, images)
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


def _values(store: Store, plan: Plan, cell: Cell) -> Values:
    wanted = {metric.id for metric in plan.clip_metrics}
    pairs = plan.pairs(cell)
    places = {
        metric.id: {(sample.id, seed) for sample, seed in about(metric, pairs)}
        for metric in plan.clip_metrics
    }
    values: dict[str, dict[tuple[str, int], Record]] = {name: {} for name in wanted}
    for record in store.records(cell.id):
        if record.metric in wanted and (record.sample, record.seed) in places[record.metric]:
            values[record.metric][record.sample, record.seed] = record
    for name, known in values.items():
        if len(known) != len(places[name]):
            raise EvalError(
                f"cell {cell.id}: {name} is known for {len(known)} of {len(places[name])} clips; "
                "run the suite again"
            )
    return values


def about(metric: Metric, pairs: Sequence[tuple[Sample, int]]) -> list[tuple[Sample, int]]:
    """The pairs whose samples a metric is about."""
    return [pair for pair in pairs if applies(metric, pair[0])]


def _record_rows(plan: Plan, values: Mapping[str, Values]) -> Iterable[tuple[object, ...]]:
    groups = {sample.id: sample.group for sample in plan.samples}
    for cell in plan.cells:
        for known in values[cell.id].values():
            for r in known.values():
                clip = (cell.id, cell.method, r.sample, groups[r.sample], r.seed)
                yield (*clip, r.metric, r.value, r.flags, r.clip_key, r.encoder_fingerprint)


Summary = tuple[tuple[object, ...], list[Caution]]
"""A row of ``summary.csv`` but for its last column, and that."""


def _summary_rows(
    store: Store,
    plan: Plan,
    asked: Plan,
    values: Mapping[str, Values],
    images: Mapping[str, str],
) -> Iterable[Summary]:
    for cell in plan.cells:
        for group in plan.groups:
            every, asked_for = plan.pairs(cell, group), asked.pairs(cell, group)
            for metric in plan.metrics if every else ():
                corrected: float | None = None
                pairs, wanted = about(metric, every), len(about(metric, asked_for))
                if not pairs:
                    continue
                if metric.scope == "clip":
                    found = [
                        values[cell.id][metric.id][sample.id, seed].value for sample, seed in pairs
                    ]
                    interval = mean_interval(found, [images[sample.id] for sample, _ in pairs])
                    cautions = few_images(interval.clusters)
                else:
                    usable = [pair for pair in pairs if _comparable(store, plan, pair[0], metric)]
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


def _comparison_rows(
    plan: Plan, values: Mapping[str, Values], images: Mapping[str, str]
) -> Iterable[tuple[object, ...]]:
    reference = plan.suite.reference
    home = next((cell for cell in plan.cells if cell.id == reference), None)
    if reference is None or home is None:
        return
    others = (
        sum(bool(plan.pairs(cell)) for cell in plan.cells) - 1
    )  # of one metric and group, as a reader scans them
    for cell in plan.cells:
        if cell.id == reference:
            continue
        for group in plan.groups:
            common = {(sample.id, seed) for sample, seed in plan.pairs(cell, group)}
            every = [(s, seed) for s, seed in plan.pairs(home, group) if (s.id, seed) in common]
            for metric in plan.clip_metrics:
                pairs = [(sample.id, seed) for sample, seed in about(metric, every)]
                if not pairs:
                    continue
                ours = [values[reference][metric.id][pair].value for pair in pairs]
                theirs = [values[cell.id][metric.id][pair].value for pair in pairs]
                owners = [images[sample] for sample, _ in pairs]
                difference = paired_difference(ours, theirs, owners)
                corrected = paired_difference(ours, theirs, owners, level=family_wise_level(others))
                cautions, survives = few_images(difference.clusters), None
                if others > 1 and excludes_zero(difference):
                    survives = excludes_zero(corrected)
                    if not survives:
                        fields = {"comparisons": others, "expected": round(0.05 * others, 2)}
                        cautions = [*cautions, Caution("may_be_chance", fields)]
                row = (reference, cell.id, group, metric.id, *difference, others, survives)
                yield (*row, to_json(cautions))


def _cautions(summary: Iterable[Summary], values: Mapping[str, Values]) -> list[Caution]:
    """Each caution of a metric once, however many cells and groups carry it; then the flags."""
    metric = SUMMARY.index("metric")
    found = dict.fromkeys(
        replace(caution, metric=str(row[metric]))
        for row, cautions in summary
        for caution in cautions
    )
    flagged: dict[str, set[str]] = {}
    for cell in values.values():
        for known in cell.values():
            for record in known.values():
                for flag in filter(None, record.flags.split(";")):
                    flagged.setdefault(flag, set()).add(record.sample)
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
