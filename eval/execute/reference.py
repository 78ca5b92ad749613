"""Reference clips, which set metrics compare every method with, and how alike they are."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from eval.clips.lossless import clip_format, read_format
from eval.clips.media import SUFFIXES, Hdr, digest, read_media
from eval.errors import ClipTimeoutError, EvalError, StoreError
from eval.execute.time_limits import time_limit
from eval.measure.evaluator import EvaluatorLike
from eval.plan.cells import Cell, Plan
from eval.samples import Sample
from eval.samples.clip_manifest import ReferenceFailure, RowFailure
from eval.store.store import Store


def reference_keys(
    store: Store,
    folder: Path,
    encoders: Sequence[str],
    measuring: EvaluatorLike,
    fps: float | None,
    hdr: Hdr,
    timeout: float | None,
) -> tuple[list[str], list[RowFailure]]:
    """Feature keys of the clips of the reference folder, and those that cannot be used."""
    keys, failures = [], list[RowFailure]()
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not (path.is_dir() or path.suffix.lower() in SUFFIXES):
            continue
        try:
            with time_limit(timeout):
                content = digest(path, fps, hdr=hdr, root=folder)
            key = hashlib.sha256(f"reference|{content}".encode()).hexdigest()
            missing = [encoder for encoder in encoders if not store.has_features(encoder, key)]
            if missing:
                with time_limit(timeout):
                    clip, notes = read_media(path, fps=fps, hdr=hdr, root=folder)
                store.set_meta(f"notes/{key}", json.dumps(notes))
                store.set_meta(f"format/{key}", json.dumps(clip_format(clip)))
                for encoder in missing:
                    store.add_features(encoder, {key: measuring.video_features([clip], encoder)[0]})
            keys.append(key)
        except StoreError:
            raise
        except (EvalError, ClipTimeoutError) as error:
            failures.append(ReferenceFailure(0, path.name, path.name, str(error)))
    if len(keys) < 2:
        first = f"; the first: {failures[0]}" if failures else ""
        raise EvalError(
            f"--reference {folder}: {len(keys)} usable clips; two or more are needed{first}"
        )
    return keys, failures


def reference_notes(store: Store, plan: Plan) -> Iterator[str]:
    """What reading changed about reference clips: each note once, with the number of clips."""
    keys = plan.reference_keys or ()
    notes = Counter(n for key in keys for n in json.loads(store.meta(f"notes/{key}") or "[]"))
    for note, count in notes.items():
        yield f"{count} of {len(keys)} reference clips: {note}"


def format_warnings(store: Store, plan: Plan) -> Iterator[str]:
    """Counts the clips that differ in length, size or rate from what set metrics compare them with
    (reference clips, or each sample's true clip), which moves those metrics.
    """
    if not plan.set_encoders:
        return
    real = Counter(_real_formats(store, plan))
    if len(real) > 1 and plan.reference_keys:
        yield f"reference clips are not alike: {_listed(real)}; set metrics compare like with like"
    name = "the reference clips" if plan.reference_keys else "their true clips"
    for cell in plan.cells if real else ():
        own, others = 0, Counter[_Format]()
        for sample, kind in _formats(store, plan, cell):
            wanted = set(real)
            if not plan.reference_keys:
                wanted = {_format(*clip_format(sample.clip))} if sample.clip else {kind}
            own += 1
            others.update([kind] if kind not in wanted else [])
        if others:
            yield (
                f"{cell.id}: {others.total()} of {own} clips differ from {name}: "
                f"{_listed(others)}; reference: {_listed(real)}; set metrics compare like with like"
            )


class _Format(NamedTuple):
    frames: int
    height: int
    width: int
    fps: float

    def __str__(self) -> str:
        return f"{self.frames} frames of {self.width} x {self.height} px at {self.fps:g} fps"


def _real_formats(store: Store, plan: Plan) -> list[_Format]:
    if plan.reference_keys:
        stored = (store.meta(f"format/{key}") for key in plan.reference_keys)
        return [_format(*json.loads(text)) for text in stored if text]
    return [_format(*clip_format(s.clip)) for s in plan.samples if s.clip is not None]


def _formats(store: Store, plan: Plan, cell: Cell) -> Iterator[tuple[Sample, _Format]]:
    """Formats of the stored clips of a cell; clips on remote storage are left out."""
    for sample, seed in plan.pairs(cell):
        path = store.files.clip(cell.clip_key(sample, seed))
        if isinstance(path, Path) and path.is_file():
            with suppress(EvalError):  # a damaged clip is named where it is measured
                yield sample, _format(*read_format(path))


def _format(frames: int, height: int, width: int, fps: float) -> _Format:
    return _Format(int(frames), int(height), int(width), round(float(fps), 2))


def _listed(kinds: Counter[_Format]) -> str:
    """The most common kinds with their counts."""
    most = [f"{kind} ({count} clips)" for kind, count in kinds.most_common(3)]
    return ", ".join(most) + (f" and {len(kinds) - 3} other kinds" if len(kinds) > 3 else "")


def length_warnings(store: Store, plan: Plan, measuring: EvaluatorLike) -> Iterator[str]:
    """A warning for each encoder of set metrics that reads fewer frames than the clips have."""
    for encoder in plan.set_encoders:
        known = getattr(measuring, "frames_read", lambda encoder: None)(encoder)
        if known is not None:
            store.set_meta(f"frames/{encoder}", str(known))
        most = int(store.meta(f"frames/{encoder}") or 0)
        lengths = [kind.frames for kind in _real_formats(store, plan)]
        lengths += [kind.frames for c in plan.cells for _, kind in _formats(store, plan, c)]
        longer = [length for length in lengths if length > most]
        if most and longer:
            spread = f"{min(longer)}" + (f" to {max(longer)}" if len(set(longer)) > 1 else "")
            yield (
                f"encoder {encoder} read the first {most} of {spread} frames of {len(longer)} of "
                f"{len(lengths)} clips, reference clips included"
            )
