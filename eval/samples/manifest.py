"""Samples from a manifest: a CSV or JSONL file with one input image and prompt a row."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from eval.clips.lossless import read_clip
from eval.errors import EvalError, nearest
from eval.io.files import is_file
from eval.samples import Sample

REQUIRED = ("id", "image", "prompt")
OPTIONAL = ("group", "clip")
TRUTH = "truth_"
"""Columns with this prefix become :attr:`Sample.truth`."""


class ManifestSettings(BaseModel):
    """``{source: manifest, path: samples.csv}``; a relative path starts from the suite file's
    folder.
    """

    model_config = ConfigDict(extra="forbid")
    path: Path

    @field_validator("path")
    @classmethod
    def _from_folder(cls, path: Path, info: ValidationInfo) -> Path:
        return Path((info.context or {}).get("folder", "")) / path


def load(settings: ManifestSettings) -> list[Sample]:
    """Reads the manifest, its images and its true clips (both relative to the manifest).

    A run folder's own ``samples.csv`` is a manifest, too.

    Returns:
        One sample a row, in the file's order. An empty ``group`` means ``all``; an empty ``clip``,
        no true clip.

    Raises:
        EvalError: naming the file, the row, the key and the value.
    """
    path = settings.path
    if not is_file(path):
        raise EvalError(
            f"path: '{path}' not found; give a .csv or .jsonl with {', '.join(REQUIRED)}"
        )
    samples: list[Sample] = []
    for line, row in read_rows(path):
        if isinstance(row, EvalError):
            raise row
        where = f"{path}:{line}"
        _check_keys(row, where)
        if not row["prompt"].strip():
            raise EvalError(f"{where}: prompt: '' is empty; write what the clip should show")
        image = read_image(path.parent / row["image"], where=f"{where}: image")
        try:
            clip = read_clip(path.parent / row["clip"]) if row.get("clip") else None
            truth = {
                key[len(TRUTH) :]: _number(text)
                for key, text in row.items()
                if key.startswith(TRUTH) and text
            }
            samples.append(
                Sample(row["id"], image, row["prompt"], row.get("group") or "all", clip, truth)
            )
        except EvalError as error:
            raise EvalError(f"{where}: {error}") from error
    if not samples:
        raise EvalError(f"{path}: the manifest has no rows; at least one sample is needed")
    return samples


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


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, str] | EvalError]]:
    """Yields the line number and the row, every value as text, or what is wrong with this row.

    Raises:
        EvalError: a file that cannot be read, is not UTF-8 text, or neither ``.csv`` nor
            ``.jsonl``.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise EvalError(f"{path}: the manifest is not UTF-8 text") from error
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        yield from _json_rows(path, text)
        return
    if path.suffix.lower() != ".csv":
        raise EvalError(
            f"path: '{path}': unknown manifest type '{path.suffix}'. Allowed: .csv, .jsonl"
        )
    reader = csv.DictReader(io.StringIO(text, newline=""))
    for row in _readable(reader, path):
        if None in row or None in row.values():
            columns = len(reader.fieldnames or ())
            yield (
                reader.line_num,
                EvalError(
                    f"{path}:{reader.line_num}: the row does not have the header's {columns} values"
                ),
            )
        else:
            yield reader.line_num, {key.strip(): value for key, value in row.items()}


def _readable(reader: csv.DictReader[str], path: Path) -> Iterator[dict[str, str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise EvalError(f"{path}:{reader.line_num + 1}: not CSV ({error})") from error


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, str] | EvalError]]:
    for line, content in enumerate(text.splitlines(), start=1):
        if not content.strip():
            continue
        try:
            row: Any = json.loads(content)
        except (json.JSONDecodeError, RecursionError) as error:
            yield (
                line,
                EvalError(
                    f"{path}:{line}: not JSON ({getattr(error, 'msg', 'nested too deeply')})"
                ),
            )
            continue
        if not isinstance(row, dict):
            yield line, EvalError(f"{path}:{line}: a row must be an object of keys and values")
            continue
        yield line, {key: "" if value is None else str(value) for key, value in row.items()}


def _check_keys(row: dict[str, str], where: str) -> None:
    allowed = REQUIRED + OPTIONAL
    for key in row:
        if key not in allowed and not key.startswith(TRUTH):
            hint = nearest(key, allowed)
            raise EvalError(
                f"{where}: unknown key '{key}'. Allowed: {', '.join(allowed)}, {TRUTH}*.{hint}"
            )
    for key in REQUIRED:
        if key not in row:
            raise EvalError(
                f"{where}: key '{key}' is missing; every row needs {', '.join(REQUIRED)}"
            )
        if not row[key].strip():
            raise EvalError(f"{where}: {key}: '' is empty; every row needs {', '.join(REQUIRED)}")


def _number(value: str) -> str | float:
    try:
        return float(value)
    except ValueError:
        return value
