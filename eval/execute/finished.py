"""Scores finished clips: a run whose method is a folder of clips, in which a bad clip is named and
the rest scored.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from eval.clips.media import Hdr
from eval.errors import EvalError
from eval.execute.provenance import RunDocument
from eval.execute.reference import (
    format_warnings,
    length_warnings,
    reference_keys,
    reference_notes,
)
from eval.execute.run import (
    Options,
    make,
    measure_made,
    planned_failures,
    say_damaged,
    say_device,
    stale,
)
from eval.execute.time_limits import time_limit
from eval.io.progress import progress
from eval.measure.evaluator import EvaluatorLike, default_evaluator
from eval.measure.selection import GLYPH, available, metrics_of, not_measured
from eval.methods.finished import FinishedClips
from eval.metrics import Metric
from eval.metrics.definitions import Need
from eval.plan.batches import Batch, Place
from eval.plan.cells import Plan
from eval.plan.finished import plan_entries, row_failure
from eval.plan.limits import refusal
from eval.plan.suite import suite_placement
from eval.samples.clip_manifest import Entries, RowFailure, folder_entries, read_entries
from eval.store.devices import counts as device_counts
from eval.store.sample_files import write_samples
from eval.store.store import Store
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
    seed). Rows without an image are paired on (id, seed), each measured against its own first
    frame. ``failures.csv`` names what failed.

    Args:
        folder: what paths in the manifest start from; clips may not leave it.
        manifest: see `eval.samples.clip_manifest`; None: the folder's own clips, by those
            metrics that need neither image nor prompt.
        out: the run folder.
        encoders: measure every metric of these; none: every metric whose weights are there, the
            glyph world's left out.
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
    placement = suite_placement(device, dtype)
    default: Callable[..., EvaluatorLike] = partial(default_evaluator, folder=out, **placement)
    make_evaluator = evaluator or default
    console = console or Console(stderr=True)
    if rows is not None:
        entries, failures, notes, unknown = rows
    elif manifest is None:
        entries, failures, notes, unknown = folder_entries(folder)
    else:
        entries, failures, notes, unknown = read_entries(manifest, folder, strict=strict, root=root)
    metrics, warnings = _metrics(encoders, reference, make_evaluator, (*unknown, "clip"))
    warnings = [*notes, *warnings]
    if not encoders and (line := not_measured(metrics)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    source = manifest or folder
    glyph = next((metric for metric in metrics if metric.encoder.endswith(GLYPH)), None)
    if glyph and not allow_glyph_encoders:
        raise EvalError(f"{refusal(glyph)}, or give --allow-glyph-encoders")
    if not entries:
        first = f"; the first: {failures[0]}" if failures else ""
        raise EvalError(f"{source}: no row can be used{first}")
    plan, placed, unusable = plan_entries(
        folder,
        manifest,
        entries,
        metrics,
        fps,
        unknown,
        hdr,
        root,
        partial(time_limit, options.timeout),
    )
    plan = dataclasses.replace(
        plan, suite=plan.suite.model_copy(update={"allow_glyph_encoders": allow_glyph_encoders})
    )
    failures += unusable
    measuring = make_evaluator(metrics)
    console = console or Console(stderr=True)
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
            *_notes(store, scored),
            *_own_images(scored),
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
        return Scored(out, clips, failures, [*warnings, *map(str, more)], store.decoded)


_NEEDED: dict[Need, str] = {
    "image": "the input image",
    "prompt": "the prompt",
    "clip": "the true clip",
}


def _metrics(
    encoders: Sequence[str],
    reference: Path | None,
    make_evaluator: Callable[[list[Metric]], EvaluatorLike],
    unknown: Sequence[Need],
) -> tuple[list[Metric], list[str]]:
    metrics, warnings = metrics_of(encoders), list[str]()
    if not encoders:
        metrics, warnings = available(make_evaluator, reference=reference is not None)
    sets = [metric.id for metric in metrics if metric.scope == "set"]
    if sets and reference is None:
        metrics = [metric for metric in metrics if metric.scope != "set"]
        warnings.append(
            f"left out {', '.join(sets)}: they need clips to compare with; give --reference FOLDER"
        )
    elif reference is not None and not sets:
        warnings.append(
            f"--reference {reference} is not used: no metric of a set of clips is measured"
        )
    for need in unknown:
        ids = [metric.id for metric in metrics if need in metric.needs]
        metrics = [metric for metric in metrics if need not in metric.needs]
        if ids and (encoders or need != "clip"):
            warnings.append(
                f"left out {', '.join(ids)}: they need {_NEEDED[need]} of each clip; name it in a "
                "manifest, --samples FILE"
            )
    if not metrics:
        raise EvalError(f"nothing to measure: {'; '.join(warnings)}")
    return metrics, warnings


def _read(store: Store, batches: Sequence[Batch], console: Console, options: Options) -> None:
    """Reads the clips of ``batches``, one each, into the store, with the notes of what reading
    changed.
    """
    with progress(console, "reading", len(batches)) as advance:
        for batch in batches:
            if make(store, [batch], Console(quiet=True), options):
                [item] = batch.items
                instance = item.cell.instance
                assert isinstance(instance, FinishedClips)
                store.set_meta(_notes_key(item.place), json.dumps(instance.notes[item.place[1:]]))
            advance(1)


def _notes_key(place: Place) -> str:
    return f"notes/{json.dumps(place)}"


def _notes(store: Store, plan: Plan) -> Iterator[str]:
    """What reading changed: a note on one clip names it, a note on several counts them."""
    for cell in plan.cells:
        clips: dict[str, list[tuple[str, int]]] = {}
        for sample, seed in plan.pairs(cell):
            for note in json.loads(store.meta(_notes_key((cell.id, sample.id, seed))) or "[]"):
                clips.setdefault(note, []).append((sample.id, seed))
        for note, named in clips.items():
            sample_id, seed = named[0]
            which = f"clip of sample '{sample_id}', method {cell.id}, seed {seed}"
            if len(named) > 1:
                which = f"{len(named)} clips of method {cell.id} (the first: sample '{sample_id}'"
                which += f", seed {seed})"
            yield f"{which}: {note}"


def _own_images(plan: Plan) -> Iterator[str]:
    """Warns if methods are measured against different images of one sample."""
    if any("image" in sample.unknown for sample in plan.samples):
        return
    images: dict[str, set[bytes]] = {}
    for cell in plan.cells:
        for sample, _ in plan.pairs(cell):
            images.setdefault(sample.id, set()).add(sample.image.tobytes())
    differing = [sample for sample, found in images.items() if len(found) > 1]
    if differing:
        yield (
            f"{len(differing)} samples (such as '{differing[0]}') name no input image, so each of "
            "their clips is "
            "measured against its own first frame; name the image in the manifest's column 'image'"
        )
