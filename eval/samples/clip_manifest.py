"""The manifest of finished clips: one clip a row, bad rows named and left out."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from eval.errors import EvalError
from i2v_adapter.tables.columns import CLIP, ID, IMAGE, PROMPT, SEED
from i2v_adapter.tables.columns import METHOD as METHOD_COLUMN
from i2v_adapter.tables.files import Finder
from i2v_adapter.tables.rows import Rows
from i2v_adapter.tables.texts import RowError, shown

COLUMNS = (
    ID,
    replace(CLIP, required=True),
    replace(PROMPT, required=True),
    IMAGE,
    METHOD_COLUMN,
    SEED,
)
REQUIRED = ", ".join(column.name for column in COLUMNS if column.required)
METHOD = "clips"
"""The method of rows that name none."""


class Entry(NamedTuple):
    """A row whose names are in order; its files have not been opened yet.

    Attributes:
        line: line of the manifest.
        id: as given; unique within (method, seed).
        clip: file or folder inside the clips' folder.
        prompt: what the clip should show.
        image: the input image, or None for the clip's first frame.
        method: what made the clip.
        seed: seed number, 0 if not given.
    """

    line: int
    id: str
    clip: Path
    prompt: str
    image: Path | None
    method: str
    seed: int


class RowFailure(NamedTuple):
    """A clip that was not scored, and why; ``line`` is 0 for a clip of the reference folder."""

    line: int
    id: str
    clip: str
    reason: str

    def __str__(self) -> str:
        where = f"line {self.line}, id '{self.id}'" if self.line else f"reference clip '{self.id}'"
        return f"{where}: {self.reason}"


class Entries(NamedTuple):
    """The usable rows in the file's order, the others with the reason, and notes on the file."""

    entries: list[Entry]
    failures: list[RowFailure]
    notes: list[str]


def read_entries(
    manifest: Path, folder: Path, *, strict: bool = False, root: Path | None = None
) -> Entries:
    """Reads the manifest (CSV or JSON lines) of the clips in ``folder``.

    Clips lie in ``folder``, links followed. Images may lie anywhere; a relative path that is not
    in ``folder`` starts at the manifest.

    Args:
        manifest: the file; see :data:`COLUMNS`.
        folder: of the clips.
        strict: an unknown column is an error; else it is ignored, with a note.
        root: a folder that clips and images must lie in, in place of ``folder`` and anywhere, for
            manifests that others wrote.

    Raises:
        EvalError: a folder or manifest that is missing or cannot be read at all.
    """
    if not folder.is_dir():
        raise EvalError(f"{folder}: no such folder; give the one that holds the clips")
    if not manifest.is_file():
        raise EvalError(f"{manifest}: no such manifest; give a .csv or .jsonl with {REQUIRED}")
    if root is not None and not root.is_dir():
        raise EvalError(f"--root {root}: no such folder")
    rows = Rows(manifest, COLUMNS, strict=strict)
    files = _Files(folder, manifest.parent, root)
    entries: list[Entry] = []
    failures: list[RowFailure] = []
    seen: dict[tuple[str, int, str], int] = {}
    try:
        for line, row, fault in rows:
            try:
                if fault:
                    raise EvalError(fault)
                entry = _entry(line, row, files)
                key = (entry.method, entry.seed, entry.id)
                if key in seen:
                    raise EvalError(
                        f"the id is in line {seen[key]} already, for the same method and seed"
                    )
                seen[key] = line
                entries.append(entry)
            except EvalError as error:
                failures.append(
                    RowFailure(line, row.get("id", ""), row.get("clip", ""), str(error))
                )
    except RowError as error:
        raise EvalError(str(error)) from error
    renamed = [f"{manifest}: {note}" for note in files.notes()]
    return Entries(entries, failures, [*rows.notes, *renamed])


class _Files:
    """Where clips and images are looked for."""

    def __init__(self, folder: Path, beside: Path, root: Path | None) -> None:
        self._folder, self._beside = folder, beside
        self._clips, self._images = Finder(root or folder), Finder(root)

    def clip(self, name: str) -> Path:
        return self._find("clip", self._clips, self._folder, name)

    def image(self, name: str) -> Path:
        exists = os.path.exists(self._folder / name) if "\0" not in name else True
        folder = self._folder if exists or not (self._beside / name).exists() else self._beside
        return self._find("image", self._images, folder, name)

    def notes(self) -> list[str]:
        return [finder.note() for finder in (self._clips, self._images) if finder.renamed]

    def _find(self, column: str, finder: Finder, folder: Path, name: str) -> Path:
        try:
            return finder.find(folder, name)
        except RowError as error:
            raise EvalError(f"{column} {error}") from error


def _entry(line: int, row: dict[str, str], files: _Files) -> Entry:
    seed = row.get("seed", "").strip() or "0"
    if not (seed.isascii() and seed.isdecimal() and len(seed) < 20 and int(seed) < 2**63):
        raise EvalError(f"seed {shown(seed)} is not a whole number from 0 to 2^63 - 1")
    method = row.get("method", "").strip() or METHOD
    if set(method) & set("[],=") or len(method) > 100 or not method.isprintable():
        raise EvalError(
            f"method {shown(method)} is not allowed: at most 100 characters that can be printed, "
            "none of []=,"
        )
    image = row.get("image", "").strip()
    return Entry(
        line,
        row["id"].strip(),
        files.clip(row["clip"].strip()),
        row["prompt"],
        files.image(image) if image else None,
        method,
        int(seed),
    )
