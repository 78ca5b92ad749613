"""Writes a run's samples into its folder, as a manifest that can be run again."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

from eval.clips.lossless import write_clip
from eval.io.documents import write_csv
from eval.io.files import write_whole
from eval.samples import Sample
from eval.samples.manifest import TRUTH
from eval.store.store import Store


def write_samples(store: Store, samples: Sequence[Sample]) -> None:
    """Writes ``samples/<id>/image.png``, ``samples/<id>/true.mkv`` where known, and
    ``samples.csv``.
    """
    truths = sorted({key for sample in samples for key in sample.truth})
    header = ["id", "group", "prompt", "image", "clip", *(f"{TRUTH}{key}" for key in truths)]
    rows: list[list[object]] = []
    for sample in samples:
        image, clip = (
            f"samples/{sample.id}/image.png",
            f"samples/{sample.id}/true.mkv" if sample.clip else "",
        )
        _write_files(store, sample, image, clip)
        values = (sample.truth.get(key, "") for key in truths)
        rows.append([sample.id, sample.group, sample.prompt, image, clip, *values])
    write_csv(store.folder / "samples.csv", header, rows)


def _write_files(store: Store, sample: Sample, image: str, clip: str) -> None:
    from PIL import Image

    mark = f"sample/{sample.id}"
    paths = [store.folder / name for name in (image, clip) if name]
    known = store.meta(mark)
    if known is not None and known == _state(sample, paths):
        return
    content = io.BytesIO()
    Image.fromarray(sample.image).save(content, format="PNG")
    write_whole(paths[0], content.getvalue())
    if sample.clip:
        write_clip(paths[1], sample.clip)
    store.set_meta(mark, str(_state(sample, paths)))


def _state(sample: Sample, paths: Sequence[Path]) -> str | None:
    """The sample and the contents of its files; None where one is missing."""
    try:
        digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    except OSError:
        return None
    return " ".join([sample.fingerprint, *digests])
