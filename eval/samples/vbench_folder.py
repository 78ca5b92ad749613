"""A folder of videos that are named as VBench names them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from eval.clips.folders import IMAGES
from eval.clips.media import SUFFIXES
from eval.errors import EvalError
from eval.io.documents import write_text
from eval.samples.clip_manifest import Entries, Entry, RowFailure, method_of
from eval.samples.names import identifier
from eval.samples.vbench import RECORD, VIDEOS, VBenchEntry, image_paths, read_info
from i2v_adapter.tables.texts import shown

_INDEX = re.compile(r"-(\d+)$")
"""VBench cuts it off the names of videos of one's own."""


class VBenchFolder(NamedTuple):
    """The videos of a folder.

    Attributes:
        entries: as rows, with the failures and notes.
        record: what VBench writes as ``{name}_full_info.json``: its entries, each with the videos
            that are there (``video_list``).
        missing: names of the videos that the suite asks for and the folder lacks.
    """

    entries: Entries
    record: list[dict[str, Any]]
    missing: list[str]

    def write_record(self, run: Path) -> None:
        """Writes the record into a run folder, where `export --format vbench` finds what the suite
        asks for.

        Raises:
            StoreError: it cannot be written.
        """
        write_text(run / RECORD, json.dumps(self.record, indent=4, ensure_ascii=False) + "\n")


def read_vbench_folder(
    folder: Path, info: Path | None, images: Path, ratio: str | None = None
) -> VBenchFolder:
    """Reads a flat folder of videos ``{prompt}-{index}.mp4``, five an entry.

    Args:
        folder: of the videos.
        info: VBench's list of entries; None: videos of one's own, ``{name}-{k}.mp4`` or
            ``{name}.mp4`` with the image ``{name}.jpg``, ``.jpeg`` or ``.png``, and the name as
            prompt.
        images: folder of the images, with a folder for each ratio; or the images themselves.
        ratio: folder of the crops.

    Raises:
        EvalError: a folder or list that is missing or malformed, no video, or none of an entry.
    """
    if not folder.is_dir():
        raise EvalError(f"{folder}: no such folder; give the one that holds the videos")
    files = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )
    if not files:
        raise EvalError(f"{folder}: no videos in it ({', '.join(SUFFIXES)})")
    if info is None:
        return _own(files, images / ratio if ratio else images)
    return _suite(folder, files, read_info(info), images, ratio)


def _suite(
    folder: Path,
    files: Iterable[Path],
    suite: list[VBenchEntry],
    images: Path,
    ratio: str | None,
) -> VBenchFolder:
    by_name: dict[str, list[Path]] = {}
    for path in files:
        by_name.setdefault(path.stem, []).append(path)
    names = {f"{entry.prompt}-{k}": (entry, k) for entry in suite for k in range(VIDEOS)}
    there = [entry for entry in suite if any(_names(entry) & by_name.keys())]
    if not there:
        first = next(iter(names))
        raise EvalError(
            f"{folder}: none of its {len(by_name)} videos is named as an entry, as "
            f"{first + '.mp4'!r} is; the first is {next(iter(by_name.values()))[0].name!r}"
        )
    found = dict(
        zip((entry.prompt for entry in there), image_paths(there, images, ratio), strict=True)
    )
    rows: list[Entry] = []
    failures: list[RowFailure] = []
    record = [_recorded(entry) for entry in suite]
    listed = {entry.prompt: one["video_list"] for entry, one in zip(suite, record, strict=True)}
    for name, paths in by_name.items():
        if name not in names:
            continue
        entry, index = names[name]
        id = identifier(entry.prompt)
        if len(paths) > 1:
            both = ", ".join(path.name for path in paths)
            failures.append(RowFailure(0, id, paths[0].name, f"two videos of one name: {both}"))
            continue
        image = found[entry.prompt]
        row = Entry(0, id, paths[0], entry.prompt, image, method_of(folder), index, entry.group)
        rows.append(row._replace(truth=entry.truth))
        listed[entry.prompt].append(str(paths[0]))
    missing = [f"{name}.mp4" for name in names if name not in by_name]
    notes = _incomplete(suite, by_name, missing)
    others = [name for name in by_name if name not in names]
    if others:
        notes.append(f"{folder}: {len(others)} videos are of no entry, such as {shown(others[0])}")
    return VBenchFolder(Entries(rows, failures, notes), record, missing)


def _names(entry: VBenchEntry) -> set[str]:
    return {f"{entry.prompt}-{index}" for index in range(VIDEOS)}


def _recorded(entry: VBenchEntry) -> dict[str, Any]:
    return {
        "prompt_en": entry.prompt,
        "dimension": list(entry.dimensions),
        "image_type": entry.type,
        "image_name": entry.image,
        "video_list": [],
    }


def _incomplete(
    suite: list[VBenchEntry], by_name: Mapping[str, Any], missing: list[str]
) -> list[str]:
    """What is missing, as a whole and of each dimension."""
    if not missing:
        return []
    counts: dict[str, list[int]] = {}
    for entry in suite:
        lacking = len(_names(entry) - by_name.keys())
        for name in entry.dimensions:
            count = counts.setdefault(name, [0, 0])
            count[0] += lacking
            count[1] += VIDEOS
    each = ", ".join(f"{name} {lack} of {of}" for name, (lack, of) in counts.items() if lack)
    return [
        f"the set is incomplete: {len(missing)} of {len(suite) * VIDEOS} videos are missing, such "
        f"as {shown(missing[0])} ({each})"
    ]


def _own(files: list[Path], images: Path) -> VBenchFolder:
    if not images.is_dir():
        raise EvalError(f"images: '{images}' is no folder; give the one that holds the images")
    known = {path.stem: path for path in sorted(images.iterdir()) if _is_image(path)}
    rows: list[Entry] = []
    failures: list[RowFailure] = []
    record = []
    for path in files:
        cut = _INDEX.search(path.stem)
        name = path.stem[: cut.start()] if cut else path.stem
        id = identifier(name)
        if name not in known:
            reason = f"no image {name}.jpg, .jpeg or .png in {images}"
            failures.append(RowFailure(0, id, path.name, reason))
            continue
        index = int(cut[1]) if cut else 0
        rows.append(Entry(0, id, path, name, known[name], method_of(path.parent), index))
        record.append(
            {
                "prompt_en": name,
                "dimension": [],
                "video_list": [str(path)],
                "custom_image_path": str(known[name]),
            }
        )
    return VBenchFolder(Entries(rows, failures, []), record, [])


def _is_image(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in IMAGES
