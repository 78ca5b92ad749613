"""Writes the VBench dimensions of a run folder as VBench's result files, one for each cell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from eval.errors import EvalError
from eval.io.documents import read_table
from eval.metrics.camera_motion import asked_class
from eval.samples import VBENCH_LABEL
from eval.samples.vbench import RECORD, VIDEOS, read_info
from eval.store.received import read_run
from eval.store.store import Record, Store
from eval.summary.vbench_details import aggregate, frame_pairs, predicted
from eval.summary.vbench_files import CAMERA_CLASSES, ENDING, DimensionResult, write_results

IDS: Mapping[str, tuple[str, ...]] = {
    "i2v_subject": (
        "vbench.i2v_subject.dino_vitb16.noaa.v1",
        "vbench.i2v_subject.dino_vitb16.v2",
    ),
    "i2v_background": (
        "vbench.i2v_background.dreamsim_ensemble.noaa.v1",
        "vbench.i2v_background.dreamsim_ensemble.v1",
    ),
    "camera_motion": ("vbench.camera_motion.cotracker2.v1",),
    "subject_consistency": ("vbench.subject_consistency.dino_vitb16.v1",),
    "background_consistency": ("vbench.background_consistency.clip_vitb32_openai.v1",),
    "motion_smoothness": ("vbench.motion_smoothness.amt_s.v1",),
    "dynamic_degree": ("vbench.dynamic_degree.raft_things.v2",),
    "aesthetic_quality": ("vbench.aesthetic_quality.clip_vitl14_laion.v1",),
    "imaging_quality": ("vbench.imaging_quality.musiq_spaq.v1",),
}
"""Dimension -> metric ids that are written as it; the first that a cell has is taken. Only ids with
VBench's own network and preprocessing.
"""


_LABEL = f"truth_{VBENCH_LABEL}"
"""Column of ``samples.csv``."""


class Written(NamedTuple):
    """One result file.

    Attributes:
        path: of the file.
        cell: whose clips it is about.
        ids: the metric ids in it.
        missing: scored dimensions without a value. VBench's script counts each as 0.
        incomplete: dimension -> number of clips without a value.
    """

    path: Path
    cell: str
    ids: tuple[str, ...]
    missing: tuple[str, ...]
    incomplete: dict[str, int]


def export_vbench(folder: Path, out: Path) -> list[Written]:
    """Writes ``OUT/CELL_eval_results.json`` for each cell that has a dimension of VBench.

    A row's ``video_path`` is ``PROMPT-INDEX.mp4``, as VBench names videos. The index of samples of
    VBench's suite is the seed; of others it is the seed's place in the run, and without a prompt
    the sample's id stands for it. An aggregate is the mean over clips; of subject and background
    consistency it is the mean over frames, as VBench's, where the run folder still has the clips.
    A row's ``predict_type``, ``video_sim`` and ``cnt_per_video`` are left out where it does not.

    Args:
        folder: of the run.
        out: folder for the files; made if missing.

    Raises:
        StoreError: the folder holds no run, or a file cannot be written.
        EvalError: no cell has a dimension of VBench; the message lists the ids that count.
    """
    run = read_run(folder)
    samples = _samples(folder)
    seeds = run.get("seeds", [])
    written = []
    with Store(folder, read_only=True) as store:
        for number, cell in enumerate(entry["id"] for entry in run.get("cells", [])):
            found = _by_dimension(store.records(cell))
            if found:
                path = out / f"{_file_name(cell, number)}{ENDING}"
                wanted = {name: _wanted(folder, name, samples, seeds) for name in found}
                written.append(_write(path, cell, found, samples, seeds, wanted, store))
    if not written:
        ids = ", ".join(id for choices in IDS.values() for id in choices)
        raise EvalError(f"--format vbench: {folder} has no values of {ids}")
    return written


def _by_dimension(records: Sequence[Record]) -> dict[str, list[Record]]:
    found = {}
    for dimension, ids in IDS.items():
        for id in ids:
            rows = [record for record in records if record.metric == id]
            if rows:
                found[dimension] = rows
                break
    return found


def _write(
    path: Path,
    cell: str,
    found: Mapping[str, list[Record]],
    samples: Mapping[str, Mapping[str, str]],
    seeds: Sequence[int],
    wanted: Mapping[str, int],
    store: Store,
) -> Written:
    places = {seed: index for index, seed in enumerate(seeds)}
    results = {}
    for dimension, records in found.items():
        rows = [
            _row(dimension, record, samples, places) | _details(dimension, record, store)
            for record in records
        ]
        mean = aggregate(dimension, rows, records, store)
        classes = _classes(rows) if dimension == "camera_motion" else {}
        results[dimension] = DimensionResult(mean, rows, classes)
    missing = write_results(path, results)
    lacking = {
        name: wanted[name] - len(rows) for name, rows in found.items() if len(rows) < wanted[name]
    }
    return Written(path, cell, tuple(rows[0].metric for rows in found.values()), missing, lacking)


def _row(
    dimension: str,
    record: Record,
    samples: Mapping[str, Mapping[str, str]],
    places: Mapping[int, int],
) -> dict[str, Any]:
    sample = samples.get(record.sample, {})
    name = sample.get("prompt") or record.sample
    index = record.seed if sample.get(_LABEL) else places.get(record.seed, record.seed)
    row: dict[str, Any] = {"video_path": f"{name}-{index}.mp4"}
    if dimension in ("i2v_subject", "i2v_background"):
        row = {"image_path": sample.get("image", "")} | row
    if dimension == "camera_motion":
        row["prompt_type"] = asked_class(name)
    value: float | bool = record.value
    if dimension == "dynamic_degree":
        value = bool(value)
    elif dimension == "imaging_quality":  # VBench divides its aggregate alone by 100
        value = 100 * value
    return row | {"video_results": value}


def _details(dimension: str, record: Record, store: Store) -> dict[str, Any]:
    """What VBench's rows of a dimension hold besides, as far as the run folder tells."""
    if dimension == "camera_motion":
        motions = predicted(store, record)
        return {} if motions is None else {"predict_type": motions}
    if dimension == "background_consistency":
        pairs = frame_pairs(store, record)
        return {} if pairs is None else {"video_sim": record.value * pairs, "cnt_per_video": pairs}
    return {}


def _classes(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Mean of each camera class; nan for one without videos, as in VBench's files."""
    found = {}
    for name in CAMERA_CLASSES:
        values = [row["video_results"] for row in rows if row["prompt_type"] == name]
        found[name] = sum(values) / len(values) if values else float("nan")
    return found


def _wanted(
    folder: Path, dimension: str, samples: Mapping[str, Mapping[str, str]], seeds: Sequence[int]
) -> int:
    """How many clips the run, or VBench's suite where that was scored, has of a dimension."""
    path = folder / RECORD
    if path.is_file():
        entries = read_info(path)
        return VIDEOS * sum(dimension in entry.dimensions for entry in entries)
    about = [
        sample
        for sample in samples.values()
        if not sample.get(_LABEL) or dimension in sample[_LABEL].split()
    ]
    return len(about) * len(seeds)


def _samples(folder: Path) -> dict[str, dict[str, str]]:
    return {row["id"]: row for row in read_table(folder / "samples.csv", ("id",))}


def _file_name(cell: str, number: int) -> str:
    """A cell's id with a file name's letters alone, numbered where letters had to go."""
    name = re.sub(r"[^\w.=-]+", "_", cell).strip("_")[:100]
    return name if name == cell else f"{name}-{number}"
