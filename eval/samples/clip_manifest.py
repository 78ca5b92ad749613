"""Finished clips: the rows of a manifest, bad ones named and left out, or a folder as it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from eval.clips.folders import IMAGES
from eval.clips.media import SUFFIXES
from eval.errors import EvalError
from eval.metrics.definitions import Need
from eval.samples.names import identifier
from i2v_adapter.tables.columns import CLIP, GROUP, ID, IMAGE, PROMPT, SEED
from i2v_adapter.tables.columns import METHOD as METHOD_COLUMN
from i2v_adapter.tables.named_files import Finder
from i2v_adapter.tables.reader import Rows
from i2v_adapter.tables.texts import RowError, shown

COLUMNS = (
    ID,
    replace(CLIP, required=True),
    PROMPT,
    IMAGE,
    GROUP,
    METHOD_COLUMN,
    SEED,
)
REQUIRED = ", ".join(column.name for column in COLUMNS if column.required)
METHOD = "clips"
"""The method of rows that name none."""
METHOD_NAMES = "at most 100 characters that can be printed, none of []=,"


class Entry(NamedTuple):
    """A row whose names are in order; its files have not been opened yet.

    Attributes:
        line: line of the manifest; 0 without a manifest.
        id: as given; unique within (method, seed).
        clip: file or folder inside the clips' folder.
        prompt: what the clip should show; empty where no row of the manifest says.
        image: the input image, or None where no row of the manifest says.
        method: what made the clip.
        seed: seed number, 0 if not given.
        group: of samples, ``all`` if not given.
        truth: labels of the sample.
    """

    line: int
    id: str
    clip: Path
    prompt: str
    image: Path | None
    method: str
    seed: int
    group: str = "all"
    truth: Mapping[str, str | float] = {}


class RowFailure(NamedTuple):
    """A clip that was not scored, and why; ``line`` is 0 where no manifest names it."""

    line: int
    id: str
    clip: str
    reason: str

    def __str__(self) -> str:
        where = f"line {self.line}, id" if self.line else "clip"
        return f"{where} '{self.id}': {self.reason}"


class ReferenceFailure(RowFailure):
    """The same of a clip in the reference folder."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"reference {super().__str__()}"


class Entries(NamedTuple):
    """The usable rows in the file's order, the others with the reason, notes on the file, and what
    no row tells: ``image``, ``prompt``.
    """

    entries: list[Entry]
    failures: list[RowFailure]
    notes: list[str]
    unknown: tuple[Need, ...] = ()


def check_clip_folder(folder: Path) -> None:
    """Raises EvalError where there is no folder of clips."""
    if not folder.is_dir():
        kind = "a file" if folder.exists() else "no such folder"
        raise EvalError(f"{folder}: {kind}; give the folder that holds the clips")


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
    check_clip_folder(folder)
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
    notes = [*rows.notes, *(f"{manifest}: {note}" for note in files.notes())]
    unknown: list[Need] = []
    for need, tells in _TOLD.items():
        telling = [entry for entry in entries if tells(entry)]
        if not telling:
            unknown.append(need)
            continue
        failures += [
            RowFailure(
                entry.line,
                entry.id,
                row_clip(entry, folder),
                f"{need} is missing; other rows have one",
            )
            for entry in entries
            if not tells(entry)
        ]
        entries = telling
    if "prompt" in unknown:
        entries = [entry._replace(prompt="") for entry in entries]
    return Entries(entries, sorted(failures), notes, tuple(unknown))


_TOLD: Mapping[Need, Callable[[Entry], bool]] = {
    "prompt": lambda entry: bool(entry.prompt.strip()),
    "image": lambda entry: entry.image is not None,
}
"""What all rows of a manifest tell, or none: a clip's values must not stand beside others of which
more is known."""


def method_of(folder: Path) -> str:
    """The folder's name as the name of the method whose clips it holds, where it can be one."""
    name = folder.resolve().name
    return name if _printable(name) else METHOD


def row_clip(entry: Entry, folder: Path) -> str:
    """The clip's path, from the folder where it lies in it."""
    inside = entry.clip.is_relative_to(folder)
    return str(entry.clip.relative_to(folder) if inside else entry.clip)


def folder_entries(folder: Path) -> Entries:
    """The clips of a folder without a manifest; neither their image nor their prompt is known.

    A video, an array or a folder of frames is a clip, and its name the id; a folder of clips is a
    method. Other files are left out, with a note.

    Raises:
        EvalError: no such folder, or one without clips.
    """
    check_clip_folder(folder)
    entries: list[Entry] = []
    failures: list[RowFailure] = []
    others: list[str] = []
    seen: set[tuple[str, str]] = set()
    for method, path in _clips_of(folder, others):
        id = identifier(path.name if path.is_dir() else path.stem)
        entry = Entry(0, id, path, "", None, method, 0)
        if (method, id) in seen or not _printable(method):
            reason = f"another clip is named '{id}', too; rename one"
            if not _printable(method):
                reason = f"its folder's name cannot be a method's: {METHOD_NAMES}"
            failures.append(RowFailure(entry.line, id, row_clip(entry, folder), reason))
        else:
            seen.add((method, id))
            entries.append(entry)
    if not entries and not failures:
        held = f"; it holds {shown(others[0])}" if others else ""
        raise EvalError(f"{folder}: no clips in it: videos, .npy arrays or folders of frames{held}")
    notes = []
    if others:
        notes.append(f"{folder}: {len(others)} files are no clips, such as {shown(others[0])}")
    return Entries(entries, failures, notes, ("image", "prompt"))


def _clips_of(folder: Path, others: list[str]) -> Iterator[tuple[str, Path]]:
    """(method, clip), sorted by name; what is no clip goes to `others`."""
    for path in _visible(folder):
        if _is_clip(path):
            yield METHOD, path
        elif path.is_dir() and any(map(_is_clip, _visible(path))):
            for inner in _visible(path):
                if _is_clip(inner):
                    yield path.name, inner
                else:
                    others.append(f"{path.name}/{inner.name}")
        else:
            others.append(path.name)


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _is_clip(path: Path) -> bool:
    if path.is_dir():
        return any(inner.suffix.lower() in IMAGES for inner in _visible(path))
    return path.is_file() and path.suffix.lower() in SUFFIXES


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
    if not _printable(method):
        raise EvalError(f"method {shown(method)} is not allowed: {METHOD_NAMES}")
    image = row.get("image", "").strip()
    return Entry(
        line,
        row["id"].strip(),
        files.clip(row["clip"].strip()),
        row.get("prompt", ""),
        files.image(image) if image else None,
        method,
        int(seed),
        row.get("group", "").strip() or "all",
    )


def _printable(method: str) -> bool:
    return len(method) <= 100 and method.isprintable() and not set(method) & set("[],=")
