"""From the rows of a manifest of finished clips to a plan: methods are cells, input images are
samples.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from eval.clips.images import read_image
from eval.clips.media import Hdr, digest, first_frame
from eval.errors import ClipTimeoutError, EvalError
from eval.methods.finished import NAME, FinishedClips, FinishedClipsSettings
from eval.metrics import Metric
from eval.metrics.definitions import Need
from eval.plan.batches import Place
from eval.plan.cells import CLIP_PROTOCOL, Cell, Plan
from eval.plan.suite import MethodEntry, Suite
from eval.samples import Sample
from eval.samples.clip_manifest import Entry, RowFailure, row_clip


class Planned(NamedTuple):
    """The plan, the row of each of its clips, and skipped rows, with the reason."""

    plan: Plan
    rows: dict[Place, Entry]
    failures: list[RowFailure]


@dataclass(frozen=True, eq=False)
class FinishedCell(Cell):
    """A cell of finished clips. The key of a clip depends on its own content only, so a new file
    does not invalidate other clips.
    """

    def clip_key(self, sample: Sample, seed: int) -> str:
        assert isinstance(self.instance, FinishedClips)
        parts = [CLIP_PROTOCOL, NAME, self.instance.digests[sample.id, seed], sample.fingerprint]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def plan_entries(
    folder: Path,
    manifest: Path | None,
    entries: Sequence[Entry],
    metrics: list[Metric],
    fps: float | None,
    unknown: tuple[Need, ...] = (),
    hdr: Hdr = "refuse",
    root: Path | None = None,
    limit: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Planned:
    """The plan of all rows whose files can be read and whose place (method, image, seed) is free.

    A sample is an input image and its prompt, and bears the first id given to it; for rows without
    an image, an id.

    Args:
        folder: what the manifest's paths start from.
        manifest: the file of the rows; None: the folder itself.
        entries: the rows.
        metrics: what is measured.
        fps: rate of frame folders and arrays.
        unknown: what is not known of any sample.
        hdr: what is done with HDR clips.
        root: what links in frame folders may not leave; ``folder`` if None.
        limit: a context that raises ClipTimeoutError when reading a row's files takes too long.

    Raises:
        EvalError: no row can be used.
    """
    samples: dict[str, Sample] = {}
    named: dict[tuple[Path | str, str], str] = {}
    rows: dict[Place, Entry] = {}
    digests: dict[Place, str] = {}
    coverage: dict[str, list[tuple[Sample, int]]] = {}
    failures: list[RowFailure] = []
    for entry in entries:
        try:
            key = (entry.image.resolve() if entry.image else entry.id, entry.prompt)
            identifier = named.get(key, entry.id)
            if key not in named and identifier in samples:
                raise EvalError(
                    "an earlier row gives this id to another image or prompt; each needs its own id"
                )
            place = (entry.method, identifier, entry.seed)
            if place in rows:
                first = rows[place]
                named_so = f"line {first.line}" if first.line else f"clip '{first.clip.name}'"
                raise EvalError(
                    f"{named_so} has the same image, prompt, method and seed; give each its own "
                    "seed"
                )
            with limit():
                sample = _sample(identifier, entry, samples, unknown, root or folder, hdr)
                digests[place] = digest(entry.clip, fps, hdr=hdr, root=root or folder)
        except (EvalError, ClipTimeoutError) as error:
            failures.append(row_failure(entry, folder, str(error)))
            continue
        named[key] = identifier
        rows[place] = entry
        samples.setdefault(identifier, sample)
        coverage.setdefault(entry.method, []).append((sample, entry.seed))
    if not rows:
        first_failure = f"; the first: {failures[0]}" if failures else ""
        raise EvalError(f"{manifest or folder}: no row can be used{first_failure}")
    settings = FinishedClipsSettings(fps=fps, hdr=hdr)
    cells: list[Cell] = []
    for method in coverage:
        files = {place[1:]: entry.clip for place, entry in rows.items() if place[0] == method}
        known = {place[1:]: digests[place] for place in rows if place[0] == method}
        instance = FinishedClips(settings, files, known, root or folder)
        cells.append(FinishedCell(method, method, NAME, settings.model_dump(mode="json"), instance))
    suite = Suite(
        name=re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("-._")[:100] or NAME,
        samples={"source": NAME, "folder": storable(folder)}
        | ({"manifest": storable(manifest)} if manifest else {}),
        seeds=sorted({seed for _, _, seed in rows}),
        batch_size=1,
        reference=cells[0].id if len(cells) > 1 else None,
        methods=[MethodEntry(method=NAME, label=cell.id) for cell in cells],
        metrics=[metric.id for metric in metrics],
    )
    return Planned(
        Plan(suite, list(samples.values()), cells, metrics, coverage=coverage), rows, failures
    )


def _sample(
    identifier: str,
    entry: Entry,
    samples: dict[str, Sample],
    unknown: tuple[Need, ...],
    root: Path,
    hdr: Hdr,
) -> Sample:
    if entry.image is None:
        image = first_frame(entry.clip, hdr=hdr, root=root)
    elif identifier in samples:
        return samples[identifier]
    else:
        image = read_image(entry.image)
    return Sample(identifier, image, entry.prompt, entry.group, truth=entry.truth, unknown=unknown)


def row_failure(entry: Entry, folder: Path, reason: str) -> RowFailure:
    """The failure of a row."""
    return RowFailure(entry.line, entry.id, row_clip(entry, folder), reason)


def storable(path: Path) -> str:
    """The path as text that any file can hold, also where its name is no UTF-8."""
    return str(path).encode("utf-8", "backslashreplace").decode()
