"""Scores finished clips: a run whose method is a folder of clips, in which a bad clip is named and
the rest scored.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from eval.clips.media import Hdr
from eval.errors import EvalError
from eval.execute.in_process import make, measure_made
from eval.execute.options import Options
from eval.execute.prepared import prepare, with_placement
from eval.execute.processes import carry_out_in_processes
from eval.execute.provenance import RunDocument
from eval.execute.reading import keep_notes, notes_of, reading_notes
from eval.execute.reference import (
    format_warnings,
    length_warnings,
    reference_keys,
    reference_notes,
)
from eval.execute.remaining import planned_failures, say_damaged, stale
from eval.execute.run import say_device
from eval.execute.run_folder import check_run_folder
from eval.execute.worker import Job
from eval.io.files import Files
from eval.io.progress import progress
from eval.measure.evaluator import EvaluatorLike
from eval.metrics import Metric
from eval.plan.batches import Batch
from eval.plan.finished import row_failure
from eval.samples.clip_manifest import Entries, RowFailure
from eval.store.devices import counts as device_counts
from eval.store.sample_files import write_samples
from eval.store.store import Store
from eval.summary.cautions import lines
from eval.summary.tables import write_failures, write_tables


class Scored(NamedTuple):
    """What came out: the run folder, how many clips are scored, those that are not, and warnings
    for the reader; how many stored clips this call decoded to measure them."""

    folder: Path
    clips: int
    failures: list[RowFailure]
    warnings: list[str]
    decoded: int


def score(
    folder: Path,
    manifest: Path | None,
    out: Path,
    *,
    encoders: Sequence[str] = (),
    metrics: Sequence[str] = (),
    reference: Path | None = None,
    fps: float | None = None,
    strict: bool = False,
    root: Path | None = None,
    hdr: Hdr = "refuse",
    allow_glyph_encoders: bool = False,
    console: Console | None = None,
    evaluator: Callable[[list[Metric]], EvaluatorLike] | None = None,
    options: Options = Options(),
    device: str = "auto",
    dtype: str = "float32",
    rows: Entries | None = None,
) -> Scored:
    """Scores the clips of a manifest into a run folder, from which the report is made; called
    again, it goes on.

    Each method of the manifest is a cell; cells are compared with the first, paired on (image,
    seed), or on (id, seed) where no row names an image. ``failures.csv`` names what failed.

    Args:
        folder: what paths in the manifest start from; clips may not leave it.
        manifest: see `eval.samples.clip_manifest`; None: the folder's own clips, by those
            metrics that need neither image nor prompt.
        out: the run folder.
        encoders: measure every metric of these; none: every metric whose weights are there, the
            glyph world's left out, and one flow encoder (`flow_of_clips`).
        metrics: measure these alone: ids, or names such as ``motion``, which stand for those that
            would be measured without.
        reference: a folder of clips that set metrics (Fréchet and kernel video distance)
            compare every method with.
        fps: rate of frame folders and arrays.
        strict: an unknown column of the manifest is an error, not a note.
        root: a folder that clips and images must lie in, for manifests that others wrote.
        hdr: ``tone-map`` reads HDR clips as SDR, with a note; they fail otherwise.
        allow_glyph_encoders: the glyph world's encoders may measure these clips, of which they know
            nothing; the report then gives no verdict.
        console: for progress; standard error if None.
        evaluator: makes the evaluator of the metrics; None for
            :class:`eval.measure.evaluator.Evaluator`.
        options: time limit, storage, workers, debugging; no value depends on them.
        device, dtype: where the encoders run and what they compute in; see `eval.device`.
        rows: the clips, where neither a manifest nor the folder itself tells.

    Raises:
        EvalError: nothing can be scored: no manifest, no usable row or clip, unknown encoders
            or missing weights.
        StoreError: the run folder is held by another process, or cannot be written; what was
            stored stays.
    """
    console = console or Console(stderr=True)
    plan, placed, failures, warnings, make_evaluator = prepare(
        folder,
        manifest,
        out,
        encoders=encoders,
        metrics=metrics,
        reference=reference,
        fps=fps,
        strict=strict,
        root=root,
        hdr=hdr,
        allow_glyph_encoders=allow_glyph_encoders,
        console=console,
        evaluator=evaluator,
        options=options,
        device=device,
        dtype=dtype,
        rows=rows,
    )
    check_run_folder(out, plan.suite)
    measuring, source = make_evaluator(plan.metrics), manifest or folder
    with Store(out, wait=options.wait) as store:
        fingerprints = dict(measuring.fingerprints())
        for encoder in plan.set_encoders:
            store.use_features(encoder, fingerprints[encoder])
        if reference is not None and plan.set_encoders:
            keys, bad = reference_keys(
                store, reference, plan.set_encoders, measuring, fps, hdr, options.timeout
            )
            plan = dataclasses.replace(plan, reference_keys=keys)
            failures += bad
        write_samples(store, plan.samples)
        say_damaged(store, plan, console, options.log)
        unmade, unmeasured = stale(store, plan, fingerprints)
        document = RunDocument(store.folder, plan, fingerprints, stale=bool(unmeasured))
        document.started()
        if unmeasured and evaluator is None:
            say_device(device, console)
        if options.pool and (unmade or unmeasured):
            job = Job(
                with_placement(plan, device, dtype),
                Files(store.files.root),
                evaluator,
                fingerprints,
                options.timeout,
                options.debug,
            )
            carry_out_in_processes(
                store, job, unmade, unmeasured, options.pool, console, options.log
            )
        else:
            _read(store, unmade, console, options)
            measure_made(store, plan, unmeasured, measuring, fingerprints, console, options)

        failed = planned_failures(store, plan)
        failures += [row_failure(placed[clip[:3]], folder, clip.reason) for clip in failed]
        failures.sort()
        write_failures(store, failures, RowFailure._fields)
        scored = plan.without({clip[:3] for clip in failed})
        clips = sum(len(scored.pairs(cell)) for cell in scored.cells)
        if not clips:
            raise EvalError(f"{source}: no clip can be scored; the first: {failures[0]}")
        warnings = [
            *reading_notes(store, scored),
            *reference_notes(store, scored),
            *format_warnings(store, scored),
            *length_warnings(store, scored, measuring),
            *warnings,
        ]
        counts, more = write_tables(store, plan, fingerprints, failed)
        document.finished(
            {**counts, "failed": len(failures)},
            [*map(str, failures), *warnings, *more],
            devices=device_counts(store, scored.clip_keys()),
        )
        return Scored(out, clips, failures, lines([*warnings, *more]), store.decoded)


def _read(store: Store, batches: Sequence[Batch], console: Console, options: Options) -> None:
    """Reads the clips of ``batches``, one each, into the store, with the notes of what reading
    changed.
    """
    with progress(console, "reading", len(batches)) as advance:
        for batch in batches:
            if make(store, [batch], Console(quiet=True), options):
                keep_notes(store, notes_of(batch))
            advance(1)
