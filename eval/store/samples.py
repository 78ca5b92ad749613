"""Writes a run's samples into its folder, as a manifest that can be run again."""

from __future__ import annotations

from collections.abc import Sequence

from eval.clips.lossless import write_clip
from eval.io.documents import write_csv
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
    if store.meta(mark) == sample.fingerprint and all(path.is_file() for path in paths):
        return
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sample.image).save(paths[0])
    if sample.clip:
        write_clip(paths[1], sample.clip)
    store.set_meta(mark, sample.fingerprint)
