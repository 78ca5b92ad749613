"""Samples from a folder of images, with prompts from a table, a text file or the file names."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from eval.clips.folders import IMAGES as SUFFIXES
from eval.errors import EvalError
from eval.samples import Sample, Samples
from eval.samples.input_images import read_input
from eval.samples.names import identifier
from i2v_adapter.tables.columns import GROUP, ID, IMAGE, PROMPT
from i2v_adapter.tables.named_files import Finder
from i2v_adapter.tables.reader import CSV, JSON_LINES, Rows
from i2v_adapter.tables.texts import RowError, shown

COLUMNS = (
    replace(IMAGE, required=True),
    replace(PROMPT, required=True),
    GROUP,
    replace(ID, required=False),
)
_NO_PROMPT = re.compile(
    r"(?i)(img|dsc[fn]?|pxl|mvimg|vid|image|photo|picture|frame|screenshot|sample)?[\W\d_]*"
)
"""Names that say nothing: numbers, with or without what cameras write before them."""


class ImagesSettings(BaseModel):
    """``{source: images, folder: photos, prompts: prompts.csv}``; relative paths start from the
    suite file's folder.

    Attributes:
        folder: of the images; folders in it are not looked into.
        prompts: a ``.csv`` or ``.jsonl`` with the columns `image` (the file's name) and `prompt`,
            if you like `group` and `id`; or a ``.txt`` with a line for each image, in the order of
            their names, numbers in them as numbers. None: a file's name is its prompt, ``_`` read
            as a space.
    """

    model_config = ConfigDict(extra="forbid")
    folder: Path
    prompts: Path | None = None

    @field_validator("folder", "prompts")
    @classmethod
    def _from_folder(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        return path and Path((info.context or {}).get("folder", "")) / path


def load(settings: ImagesSettings) -> Samples:
    """One sample an image.

    Raises:
        EvalError: no such folder, no images in it, an image that cannot be read, or one without a
            prompt.
    """
    folder, prompts = settings.folder, settings.prompts
    if not folder.is_dir():
        raise EvalError(f"folder: '{folder}' is no folder; give one that holds images")
    visible = [path for path in folder.iterdir() if not path.name.startswith(".")]
    images = sorted((path for path in visible if _is_image(path)), key=_natural)
    if not images:
        raise EvalError(f"folder: '{folder}' holds no images ({', '.join(SUFFIXES)})")
    notes = []
    if len(images) < len(visible):
        other = next(path.name for path in sorted(visible) if not _is_image(path))
        notes.append(
            f"{folder}: {len(visible) - len(images)} files are no images, such as {shown(other)}"
        )
    if prompts is None:
        rows = [_named(image) for image in images]
    elif prompts.suffix.lower() in (*CSV, *JSON_LINES):
        rows = _table(prompts, images, folder, notes)
    else:
        rows = _lines(prompts, images)
    _check_ids(rows)
    samples = [
        Sample(id, read_input(image, where="image"), prompt, group)
        for id, image, prompt, group in rows
    ]
    return Samples(samples, notes)


Row = tuple[str, Path, str, str]
"""id, image, prompt, group"""


def _check_ids(rows: list[Row]) -> None:
    """Raises EvalError for two rows of one id, naming their files."""
    first: dict[str, Path] = {}
    for id, image, _, _ in rows:
        if id in first:
            both = f"'{first[id].name}' and '{image.name}'"
            both = both if first[id].name != image.name else f"two rows of '{image.name}'"
            raise EvalError(
                f"images: {both} would both be the sample '{id}'; rename one, or give prompts: "
                "a .csv with the columns image, prompt and id, each its own id"
            )
        first[id] = image


def _named(image: Path) -> Row:
    if _NO_PROMPT.fullmatch(image.stem):
        raise EvalError(f"image {shown(image.name)}: its name is no prompt; give prompts: FILE")
    prompt = " ".join(image.stem.replace("_", " ").split())
    return identifier(image.stem), image, prompt, "all"


def _lines(path: Path, images: list[Path]) -> list[Row]:
    if path.suffix.lower() != ".txt":
        raise EvalError(f"prompts: '{path}': unknown type. Allowed: .csv, .jsonl, .txt")
    try:
        lines = path.read_text(encoding="utf-8-sig").rstrip("\n").split("\n")
    except OSError as error:
        raise EvalError(f"prompts: '{path}' cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise EvalError(f"prompts: '{path}' is not UTF-8 text; save it as UTF-8") from error
    if len(lines) != len(images):
        raise EvalError(
            f"prompts: '{path}' has {len(lines)} lines for {len(images)} images; give one for each,"
            " in the order of their names, or a .csv with image and prompt"
        )
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise EvalError(f"prompts: '{path}:{number}': the line is empty")
    return [
        (identifier(image.stem), image, line.strip(), "all")
        for image, line in zip(images, lines, strict=True)
    ]


def _table(path: Path, images: list[Path], folder: Path, notes: list[str]) -> list[Row]:
    table, finder = Rows(path, COLUMNS), Finder(folder)
    rows: list[Row] = []
    try:
        for line, row, fault in table:
            if fault:
                raise RowError(f"{path}:{line}: {fault}")
            try:
                image = finder.find(folder, row["image"].strip())
            except RowError as error:
                raise RowError(f"{path}:{line}: image {error}") from error
            id = row.get("id", "").strip() or identifier(image.stem)
            rows.append((id, image, row["prompt"], row.get("group", "").strip() or "all"))
    except RowError as error:
        raise EvalError(f"prompts: {error}") from error
    named = {image.resolve() for _, image, _, _ in rows}
    left = [image.name for image in images if image.resolve() not in named]
    if left:
        notes.append(f"{path}: names no prompt for {len(left)} images, such as {shown(left[0])}")
    notes.extend([*table.notes, *([f"{path}: {finder.note()}"] if finder.renamed else [])])
    return rows


def _is_image(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in SUFFIXES


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Numbers in a name count as numbers: ``f2`` before ``f10``."""
    parts = re.split(r"([0-9]+)", path.name)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]
