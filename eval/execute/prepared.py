"""What is known of finished clips before any is measured: their rows, the metrics and the plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from eval.clips.media import Hdr
from eval.errors import EvalError
from eval.execute.choice import choose_metrics, flow_of_clips
from eval.execute.options import Options
from eval.execute.time_limits import time_limit
from eval.measure.catalogue import applies
from eval.measure.evaluator import EvaluatorLike, default_evaluator
from eval.measure.selection import GLYPH, not_measured
from eval.metrics import Metric
from eval.plan.batches import Place
from eval.plan.cells import Plan
from eval.plan.finished import plan_entries
from eval.plan.limits import refusal
from eval.plan.suite import suite_placement
from eval.samples.clip_manifest import Entries, Entry, RowFailure, folder_entries, read_entries


class Prepared(NamedTuple):
    """The plan, the row of each of its clips, the rows that cannot be used, warnings for the
    reader, and what makes an evaluator."""

    plan: Plan
    rows: dict[Place, Entry]
    failures: list[RowFailure]
    warnings: list[str]
    make_evaluator: Callable[[list[Metric]], EvaluatorLike]


def prepare(
    folder: Path,
    manifest: Path | None,
    out: Path,
    *,
    encoders: Sequence[str],
    metrics: Sequence[str],
    reference: Path | None,
    fps: float | None,
    strict: bool,
    root: Path | None,
    hdr: Hdr,
    allow_glyph_encoders: bool,
    console: Console,
    evaluator: Callable[[list[Metric]], EvaluatorLike] | None,
    options: Options,
    device: str,
    dtype: str,
    rows: Entries | None,
) -> Prepared:
    """Reads the manifest or the folder and chooses metrics; writes nothing. Arguments and errors
    are those of :func:`eval.execute.finished.score`.
    """
    default: Callable[..., EvaluatorLike] = partial(
        default_evaluator, folder=out, **suite_placement(device, dtype)
    )
    make_evaluator = evaluator or default
    if reference is not None and not reference.is_dir():
        raise EvalError(f"--reference {reference}: no such folder")
    if rows is not None:
        entries, failures, notes, unknown = rows
    elif manifest is None:
        entries, failures, notes, unknown = folder_entries(folder)
    else:
        entries, failures, notes, unknown = read_entries(manifest, folder, strict=strict, root=root)
    clips = [entry.clip for entry in entries]
    flow = None if encoders else flow_of_clips(clips, out, hdr=hdr, root=root or folder)
    chosen, warnings = choose_metrics(
        make_evaluator, encoders, metrics, flow, reference=reference, unknown=(*unknown, "clip")
    )
    if not (encoders or metrics) and (line := not_measured(chosen)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    source = manifest or folder
    glyph = next((metric for metric in chosen if metric.encoder.endswith(GLYPH)), None)
    if glyph and not allow_glyph_encoders:
        raise EvalError(f"{refusal(glyph)}, or give --allow-glyph-encoders")
    if not entries:
        first = f"; the first: {failures[0]}" if failures else ""
        raise EvalError(f"{source}: no row can be used{first}")
    plan, placed, unusable = plan_entries(
        folder,
        manifest,
        entries,
        chosen,
        fps,
        unknown,
        hdr,
        root,
        partial(time_limit, options.timeout),
    )
    allowed = plan.suite.model_copy(update={"allow_glyph_encoders": allow_glyph_encoders})
    plan = dataclasses.replace(plan, suite=allowed)
    if encoders or metrics:
        warnings += [
            f"{metric.id} has a value for none of the {len(plan.samples)} clips; `i2v-eval metrics "
            f"{metric.id}` says which it is about"
            for metric in plan.metrics
            if not any(applies(metric, sample) for sample in plan.samples)
        ]
    return Prepared(plan, placed, [*failures, *unusable], [*notes, *warnings], make_evaluator)


def with_placement(plan: Plan, device: str, dtype: str) -> Plan:
    """The plan, whose suite tells workers where encoders run."""
    suite = plan.suite.model_copy(update=suite_placement(device, dtype))
    return dataclasses.replace(plan, suite=suite)
