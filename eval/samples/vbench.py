"""Samples of VBench-I2V's suite, from its list of entries and its folder of cropped images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from eval.errors import EvalError, nearest
from eval.samples import VBENCH_LABEL, Sample, Samples
from eval.samples.input_images import read_input
from eval.samples.names import identifier

VIDEOS = 5
"""Videos of an entry, with the indices 0 to 4."""

RECORD = "vbench_full_info.json"
"""File of a run folder: VBench's entries, each with its videos that are there."""

CAMERA = ", camera "
"""What prompts of camera motions have before the motion."""


class VBenchEntry(NamedTuple):
    """One entry of the suite.

    Attributes:
        prompt: unique in the suite; videos are named by it.
        dimensions: that are measured on its videos.
        type: of its image, such as ``animal`` or ``indoor``.
        image: file name.
    """

    prompt: str
    dimensions: tuple[str, ...]
    type: str
    image: str

    @property
    def group(self) -> str:
        """The camera motion that is asked for, ``camera pans left``; else the type."""
        if self.dimensions == ("camera_motion",) and CAMERA in self.prompt:
            return f"camera {self.prompt.rpartition(CAMERA)[2]}"
        return self.type

    @property
    def truth(self) -> dict[str, str | float]:
        """What a sample of this entry bears as ground truth."""
        return {VBENCH_LABEL: " ".join(self.dimensions), "vbench_image": self.image}


class VBenchSettings(BaseModel):
    """``{source: vbench, info: vbench2_i2v_full_info.json, images: data/crop, ratio: 16-9}``;
    relative paths start from the suite file's folder.

    Attributes:
        info: VBench's list of entries.
        images: folder of the images, with a folder for each ratio; or the images themselves.
        ratio: folder of the crops that suit the model's own size, such as ``1-1``, ``16-9``; None:
            the images lie in ``images``.
        dimensions: entries of these only; none: all.
    """

    model_config = ConfigDict(extra="forbid")
    info: Path
    images: Path
    ratio: str | None = None
    dimensions: list[str] = []

    @field_validator("info", "images")
    @classmethod
    def _from_folder(cls, path: Path, info: ValidationInfo) -> Path:
        return Path((info.context or {}).get("folder", "")) / path


def load(settings: VBenchSettings) -> Samples:
    """One sample an entry, in the list's order; its group is the type of its image, or the camera
    motion that is asked for.

    Raises:
        EvalError: a list or folder that is missing or malformed, an unknown dimension or ratio, or
            an image that is missing.
    """
    entries = read_info(settings.info)
    known = dict.fromkeys(name for entry in entries for name in entry.dimensions)
    for name in settings.dimensions:
        if name not in known:
            raise EvalError(
                f"dimensions: {name!r} is in no entry of {settings.info}; it has "
                f"{', '.join(known)}.{nearest(name, known)}"
            )
    wanted = set(settings.dimensions) or set(known)
    chosen = [entry for entry in entries if wanted & set(entry.dimensions)]
    paths = image_paths(chosen, settings.images, settings.ratio)
    samples = [
        Sample(
            identifier(entry.prompt),
            read_input(path, where="image"),
            entry.prompt,
            entry.group,
            truth=entry.truth,
        )
        for entry, path in zip(chosen, paths, strict=True)
    ]
    return Samples(samples)


class _Entry(BaseModel):
    prompt_en: str
    dimension: list[str]
    image_type: str = "all"
    image_name: str


def read_info(path: Path) -> list[VBenchEntry]:
    """Reads VBench's list of entries, ``vbench2_i2v_full_info.json``.

    Raises:
        EvalError: naming the file and the entry, if it is missing or malformed, or a prompt stands
            twice.
    """
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EvalError(f"info: '{path}' cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise EvalError(f"{path}: not JSON ({error})") from error
    if not isinstance(listed, list) or not listed:
        raise EvalError(f"{path}: must be a list of entries, as vbench2_i2v_full_info.json is")
    entries: dict[str, VBenchEntry] = {}
    for number, one in enumerate(listed):
        try:
            found = _Entry.model_validate(one)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"])) or "entry"
            raise EvalError(f"{path}: entry {number}: {key}: {first['msg']}") from error
        entry = VBenchEntry(
            found.prompt_en, tuple(found.dimension), found.image_type, found.image_name
        )
        if entry.prompt in entries or not entry.prompt.strip():
            state = "stands twice" if entry.prompt.strip() else "is empty"
            raise EvalError(f"{path}: entry {number}: the prompt {entry.prompt!r} {state}")
        if Path(entry.image).name != entry.image:
            raise EvalError(f"{path}: entry {number}: image_name {entry.image!r} is no file name")
        entries[entry.prompt] = entry
    return list(entries.values())


def image_paths(entries: Sequence[VBenchEntry], images: Path, ratio: str | None) -> list[Path]:
    """The image file of each entry.

    Raises:
        EvalError: no such folder or ratio, or images that are missing: their number and the first.
    """
    if not images.is_dir():
        raise EvalError(f"images: '{images}' is no folder; give the one that holds VBench's crops")
    folder = images / ratio if ratio else images
    if not folder.is_dir():
        ratios = sorted(path.name for path in images.iterdir() if path.is_dir())
        raise EvalError(
            f"ratio: '{images}' has no folder {ratio!r}; it has {', '.join(ratios) or 'none'}"
        )
    paths = [folder / entry.image for entry in entries]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        hint = "" if ratio else "; name the folder of the crops with ratio"
        raise EvalError(
            f"images: {len(missing)} of {len(paths)} are not in '{folder}', such as "
            f"'{missing[0].name}'{hint}"
        )
    return paths
