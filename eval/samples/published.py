"""Samples of published sets of images and prompts, as they are unpacked: AIGCBench, MJHQ-30K."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from eval.clips.folders import IMAGES
from eval.errors import EvalError, nearest
from eval.io.documents import read_json
from eval.samples import Sample, Samples
from eval.samples.input_images import read_input
from eval.samples.names import identifier
from i2v_adapter.tables.texts import shown

_NUMBERED = re.compile(r"(\d+)_(.*\S.*)")
"""AIGCBench's names of images: a number, ``_``, the prompt."""


class AigcbenchSettings(BaseModel):
    """``{source: aigcbench, folder: t2i_aspect_ratio_625}``; relative paths start from the suite
    file's folder.

    Attributes:
        folder: images named ``{number}_{prompt}.png``.
        limit: the first images only, in the order of their numbers; None: all.
    """

    model_config = ConfigDict(extra="forbid")
    folder: Path
    limit: int | None = Field(default=None, ge=1)

    @field_validator("folder")
    @classmethod
    def _from_folder(cls, path: Path, info: ValidationInfo) -> Path:
        return Path((info.context or {}).get("folder", "")) / path


def load_aigcbench(settings: AigcbenchSettings) -> Samples:
    """One sample an image of AIGCBench's own set, with the id ``aigcbench-{number}``.

    Raises:
        EvalError: no such folder, no image named so, or a number that stands twice.
    """
    found: dict[int, tuple[str, Path]] = {}
    others = []
    for path in _images_of(settings.folder):
        match = _NUMBERED.fullmatch(path.stem)
        if match is None:
            others.append(path.name)
        elif int(match[1]) in found:
            raise EvalError(f"folder: '{settings.folder}' has two images of number {match[1]}")
        else:
            found[int(match[1])] = match[2].strip(), path
    if not found:
        raise EvalError(
            f"folder: '{settings.folder}' holds no images named NUMBER_PROMPT.png, as AIGCBench's "
            "are"
        )
    samples = [
        Sample(f"aigcbench-{number}", read_input(path, where="image"), prompt)
        for number, (prompt, path) in sorted(found.items())[: settings.limit]
    ]
    notes = []
    if others:
        notes.append(
            f"{settings.folder}: {len(others)} images are not named NUMBER_PROMPT, such as "
            f"{shown(others[0])}"
        )
    return Samples(samples, notes)


class MjhqSettings(BaseModel):
    """``{source: mjhq, folder: MJHQ-30K, categories: [animals], limit: 100}``; relative paths start
    from the suite file's folder.

    Attributes:
        folder: with ``meta_data.json`` (name of an image -> ``category`` and ``prompt``) and a
            folder of images for each category, in it or in ``mjhq30k_imgs``.
        categories: these only; none: all.
        limit: the first images of each category only, in the list's order; None: all.
    """

    model_config = ConfigDict(extra="forbid")
    folder: Path
    categories: list[str] = []
    limit: int | None = Field(default=None, ge=1)

    @field_validator("folder")
    @classmethod
    def _from_folder(cls, path: Path, info: ValidationInfo) -> Path:
        return Path((info.context or {}).get("folder", "")) / path


def load_mjhq(settings: MjhqSettings) -> Samples:
    """One sample an image; its group is the category.

    Raises:
        EvalError: no such folder or list, an unknown category, an entry without prompt or image.
    """
    path = settings.folder / "meta_data.json"
    listed = read_json(path) if path.is_file() else {}
    if not listed:
        raise EvalError(f"folder: '{settings.folder}' has no meta_data.json that lists images")
    for name, one in listed.items():
        texts = one if isinstance(one, dict) else {}
        if not all(isinstance(texts.get(key), str) for key in ("category", "prompt")):
            raise EvalError(f"{path}: {shown(name)} must have texts 'category' and 'prompt'")
    known = dict.fromkeys(one["category"] for one in listed.values())
    for category in settings.categories:
        if category not in known:
            raise EvalError(
                f"categories: {category!r} is not in {path}; it has {', '.join(known)}."
                f"{nearest(category, known)}"
            )
    counts = dict.fromkeys(known, 0)
    samples = []
    for name, one in listed.items():
        category = one["category"]
        if settings.categories and category not in settings.categories:
            continue
        if settings.limit is not None and counts[category] >= settings.limit:
            continue
        counts[category] += 1
        image = read_input(_image(settings.folder, category, name), where="image")
        samples.append(Sample(identifier(name), image, one["prompt"], category))
    return Samples(samples)


def _images_of(folder: Path) -> Sequence[Path]:
    if not folder.is_dir():
        raise EvalError(f"folder: '{folder}' is no folder; give the one that holds the images")
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGES and not path.name.startswith(".")
    )


def _image(folder: Path, category: str, name: str) -> Path:
    if Path(name).name != name or Path(category).name != category:
        raise EvalError(f"{folder}: {shown(category)}/{shown(name)} is no image in a category")
    places = [root / category for root in (folder / "mjhq30k_imgs", folder)]
    for place in places:
        for suffix in IMAGES:
            if (found := place / f"{name}{suffix}").is_file():
                return found
    raise EvalError(
        f"image {shown(name)} of category {category} is not in {places[0]} or {places[1]}"
    )
