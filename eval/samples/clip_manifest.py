"""The manifest of finished clips: one clip a row, bad rows named and left out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from eval.errors import EvalError, nearest
from eval.samples.manifest import read_rows

REQUIRED = ("id", "clip", "prompt")
OPTIONAL = ("image", "method", "seed")
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


def read_entries(manifest: Path, folder: Path) -> tuple[list[Entry], list[RowFailure]]:
    """Reads the manifest (CSV or JSON lines) of the clips in ``folder``.

    Returns:
        The usable rows in the file's order, and the others with the reason.

    Raises:
        EvalError: a folder or manifest that is missing or cannot be read at all.
    """
    if not folder.is_dir():
        raise EvalError(f"{folder}: no such folder; give the one that holds the clips")
    if not manifest.is_file():
        raise EvalError(
            f"{manifest}: no such manifest; give a .csv or .jsonl with {', '.join(REQUIRED)}"
        )
    entries: list[Entry] = []
    failures: list[RowFailure] = []
    seen: dict[tuple[str, int, str], int] = {}
    for line, row in read_rows(manifest):
        given = {} if isinstance(row, EvalError) else row
        try:
            if isinstance(row, EvalError):
                raise row
            entry = _entry(line, row, folder)
            key = (entry.method, entry.seed, entry.id)
            if key in seen:
                raise EvalError(
                    f"the id is in line {seen[key]} already, for the same method and seed"
                )
            seen[key] = line
            entries.append(entry)
        except EvalError as error:
            failures.append(
                RowFailure(line, given.get("id", ""), given.get("clip", ""), str(error))
            )
    return entries, failures


def _entry(line: int, row: dict[str, str], folder: Path) -> Entry:
    allowed = REQUIRED + OPTIONAL
    for key in row:
        if key not in allowed:
            raise EvalError(
                f"unknown key '{key}'. Allowed: {', '.join(allowed)}.{nearest(key, allowed)}"
            )
    for key in REQUIRED:
        if not row.get(key, "").strip():
            raise EvalError(f"{key} is missing; every row needs {', '.join(REQUIRED)}")
    seed = row.get("seed", "").strip() or "0"
    if not seed.isdecimal() or int(seed) >= 2**63:
        raise EvalError(f"seed '{seed}' is not a whole number from 0 to 2^63 - 1")
    method = row.get("method", "").strip() or METHOD
    if set(method) & set("[],=") or len(method) > 100:
        raise EvalError(f"method '{method}' is not allowed: at most 100 characters, none of []=,")
    image = row.get("image", "").strip()
    clip = _inside(folder, row["clip"].strip(), "clip")
    return Entry(
        line,
        row["id"].strip(),
        clip,
        row["prompt"],
        _inside(folder, image, "image") if image else None,
        method,
        int(seed),
    )


def _inside(folder: Path, relative: str, key: str) -> Path:
    path = folder / relative
    if "\0" not in relative and not path.resolve().is_relative_to(folder.resolve()):
        raise EvalError(f"{key} '{relative}' leaves the folder {folder}; copy it there")
    if not os.path.exists(path):  # unlike Path.exists it answers for names that no file can have
        raise EvalError(f"{key} '{relative}' is not in {folder}")
    return path
