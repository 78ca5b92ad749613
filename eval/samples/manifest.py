"""Samples from a manifest: a CSV or JSONL file with one input image and prompt a row."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from eval.clips.lossless import read_clip
from eval.errors import EvalError
from eval.io.files import is_file
from eval.samples import Sample, Samples
from i2v_adapter.tables.columns import CLIP, GROUP, ID, IMAGE, PROMPT, TRUTH
from i2v_adapter.tables.files import Finder
from i2v_adapter.tables.rows import Rows
from i2v_adapter.tables.texts import RowError

COLUMNS = (ID, replace(IMAGE, required=True), replace(PROMPT, required=True), GROUP, CLIP)
"""Besides, columns that begin with ``truth_`` become :attr:`Sample.truth`."""


class ManifestSettings(BaseModel):
    """``{source: manifest, path: samples.csv}``; relative paths start from the suite file's folder.

    Attributes:
        path: the manifest, ``.csv`` or ``.jsonl``.
        strict: an unknown column is an error; else it is ignored, with a note.
        root: a folder that images and clips must lie in, links followed, for manifests that others
            wrote; None: they may lie anywhere.
    """

    model_config = ConfigDict(extra="forbid")
    path: Path
    strict: bool = False
    root: Path | None = None

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
    try:
        for line, row, fault in rows:
            where = f"{path}:{line}"
            if fault:
                raise EvalError(f"{where}: {fault}")
            samples.append(_sample(row, path.parent, finder, where))
    except RowError as error:
        raise EvalError(str(error)) from error
    if not samples:
        raise EvalError(f"{path}: the manifest has no rows; at least one sample is needed")
    renamed = [f"{path}: {finder.note()}"] if finder.renamed else []
    return Samples(samples, [*rows.notes, *renamed])


def _sample(row: dict[str, str], folder: Path, finder: Finder, where: str) -> Sample:
    def find(column: str) -> Path:
        try:
            return finder.find(folder, row[column])
        except RowError as error:
            raise EvalError(f"{where}: {column}: {error}") from error

    image = read_image(find("image"), where=f"{where}: image")
    file = find("clip") if row.get("clip") else None
    try:
        clip = read_clip(file) if file else None
        truth = {
            key[len(TRUTH) :]: _number(text)
            for key, text in row.items()
            if key.startswith(TRUTH) and text
        }
        return Sample(row["id"], image, row["prompt"], row.get("group") or "all", clip, truth)
    except EvalError as error:
        raise EvalError(f"{where}: {error}") from error


def read_image(path: Path, *, where: str = "image") -> NDArray[np.uint8]:
    """Reads an image as uint8 (H, W, 3) RGB, turned upright by its EXIF orientation.

    Raises:
        EvalError: naming the file, if it is missing, not an image, has transparent pixels or
            16-bit grey values.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    if not is_file(path):
        raise EvalError(f"{where}: '{path}' not found")
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise EvalError(
                    f"{where}: '{path}' has {image.mode} values; convert it to 8 bits a channel"
                )
            if (
                image.has_transparency_data
                and np.asarray(image.convert("RGBA"))[..., 3].min() < 255
            ):
                raise EvalError(
                    f"{where}: '{path}' has transparent pixels; flatten it over a background"
                )
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        reason = str(error).split(":")[0].split(" '")[0]
        raise EvalError(
            f"{where}: '{path}' is not a readable image ({reason}); PNG, JPEG and WebP are"
        ) from error


def _number(value: str) -> str | float:
    try:
        number = float(value)
    except ValueError:
        return value
    return number if math.isfinite(number) and "_" not in value else value
