"""Samples from a manifest: a CSV or JSONL file with one input image and prompt a row."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from eval.clips.media import Hdr, Media, read_media
from eval.errors import EvalError
from eval.io.files import is_file
from eval.samples import Sample, Samples
from eval.samples.input_images import read_input
from i2v_adapter.tables.columns import CLIP, CONDITIONING, GROUP, ID, IMAGE, PROMPT, TRUTH
from i2v_adapter.tables.named_files import Finder
from i2v_adapter.tables.reader import Rows
from i2v_adapter.tables.texts import RowError

COLUMNS = (
    *(ID, replace(IMAGE, required=True), replace(PROMPT, required=True)),
    *(GROUP, CLIP, CONDITIONING),
)
"""``conditioning``: a clip or a folder of images that a base's ControlNets are shown. Columns that
begin with ``truth_`` become :attr:`Sample.truth`.
"""


class ManifestSettings(BaseModel):
    """``{source: manifest, path: samples.csv}``; relative paths start from the suite file's folder.

    Attributes:
        path: the manifest, ``.csv`` or ``.jsonl``.
        strict: an unknown column is an error; else it is ignored, with a note.
        root: a folder that images and clips must lie in, links followed, for manifests that others
            wrote; None: they may lie anywhere.
        fps: rate of true clips that are frame folders or arrays.
        hdr: ``tone-map`` reads HDR clips as SDR; they are refused otherwise.
    """

    model_config = ConfigDict(extra="forbid")
    path: Path
    strict: bool = False
    root: Path | None = None
    fps: float | None = Field(default=None, gt=0, le=1000, allow_inf_nan=False)
    hdr: Hdr = "refuse"

    @field_validator("path", "root")
    @classmethod
    def _from_folder(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        return path and Path((info.context or {}).get("folder", "")) / path


def load(settings: ManifestSettings) -> Samples:
    """Reads the manifest, its images and its true clips (both relative to the manifest).

    A run folder's own ``samples.csv`` is a manifest, too.

    Returns:
        One sample a row, in the file's order. An empty ``group`` means ``all``; an empty ``clip``,
        no true clip.

    Raises:
        EvalError: naming the file, the row, the column and the value.
    """
    path = settings.path
    if not is_file(path):
        needed = ", ".join(column.name for column in COLUMNS if column.required)
        raise EvalError(f"path: '{path}' not found; give a .csv or .jsonl with {needed}")
    rows = Rows(path, COLUMNS, prefix=TRUTH, strict=settings.strict)
    finder = Finder(settings.root)
    samples: list[Sample] = []
    lines: dict[str, int] = {}
    try:
        for line, row, fault in rows:
            where = f"{path}:{line}"
            if fault:
                raise EvalError(f"{where}: {fault}")
            if row["id"] in lines:
                raise EvalError(
                    f"{where}: sample id '{row['id']}' appears twice, first in line "
                    f"{lines[row['id']]}; ids must be unique: give each row its own"
                )
            lines[row["id"]] = line
            samples.append(_sample(row, settings, finder, where))
    except RowError as error:
        raise EvalError(str(error)) from error
    if not samples:
        raise EvalError(f"{path}: the manifest has no rows; at least one sample is needed")
    renamed = [f"{path}: {finder.note()}"] if finder.renamed else []
    return Samples(samples, [*rows.notes, *renamed, *_clip_notes(samples)])


def _clip_notes(samples: list[Sample]) -> Iterator[str]:
    """What reading changed about true clips: each note once, with the number of clips."""
    found: dict[str, list[str]] = {}
    for sample in samples:
        for note in sample.notes:
            found.setdefault(note, []).append(sample.id)
    for note, names in found.items():
        which = f"true clip of sample '{names[0]}'"
        if len(names) > 1:
            which = f"{len(names)} true clips (the first: sample '{names[0]}')"
        yield f"{which}: {note}"


def _sample(row: dict[str, str], settings: ManifestSettings, finder: Finder, where: str) -> Sample:
    def find(column: str) -> Path:
        try:
            return finder.find(settings.path.parent, row[column])
        except RowError as error:
            raise EvalError(f"{where}: {column}: {error}") from error

    image = read_input(find("image"), where=f"{where}: image")
    files = {column: find(column) for column in ("clip", "conditioning") if row.get(column)}

    def read(column: str, fps: float | None) -> Media | None:
        if column not in files:
            return None
        return read_media(files[column], fps=fps, hdr=settings.hdr, root=settings.root)

    try:
        media, shown = read("clip", settings.fps), read("conditioning", settings.fps or 8.0)
        truth = {
            key[len(TRUTH) :]: _number(text)
            for key, text in row.items()
            if key.startswith(TRUTH) and text
        }
        return Sample(
            row["id"],
            image,
            row["prompt"],
            row.get("group") or "all",
            media.clip if media else None,
            truth,
            notes=tuple(media.notes) if media else (),
            conditioning=shown.clip if shown else None,
        )
    except EvalError as error:
        raise EvalError(f"{where}: {error}") from error


def _number(value: str) -> str | float:
    try:
        number = float(value)
    except ValueError:
        return value
    return number if math.isfinite(number) and "_" not in value else value
