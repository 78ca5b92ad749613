"""Clips as folders of numbered pictures."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from pathlib import Path

from i2v_adapter.media.errors import MediaError
from i2v_adapter.media.file_checks import check_regular

IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""Suffixes of frames. Other files are not looked at, such as a text file of settings."""
_NAME = re.compile(r"(?P<before>.*?)(?P<number>[0-9]+)(?P<after>[^0-9]*)", re.DOTALL)


def frame_files(folder: Path, root: Path | None = None) -> list[Path]:
    """The frames of a folder in the order of their numbers: one sequence, whole.

    Names are one pattern around a number (``frame_007.png``), numbers rise by 1. Hidden files
    (``._frame_0.png``, ``.DS_Store``) are skipped.

    Args:
        folder: the frame folder.
        root: what links may not leave; the folder itself if None.

    Raises:
        MediaError: naming the file: a gap, a number twice, another pattern, a name without a
            number, no regular file, a link that leaves the root; or no frames at all.
    """
    limit = (root or folder).resolve()
    named: list[tuple[Path, re.Match[str]]] = []
    for file in sorted(folder.iterdir(), key=_natural):
        if file.name.startswith(".") or file.suffix.lower() not in IMAGES:
            continue
        found = _NAME.fullmatch(file.stem)
        if found is None:
            raise MediaError(
                f"'{file.name}' has no frame number; remove it, or give the frames a folder of "
                "their own"
            )
        if not file.resolve().is_relative_to(limit):
            raise MediaError(f"'{file.name}' leaves the folder {limit}; copy it there")
        named.append((file, found))
    if not named:
        raise MediaError(f"the folder holds no frames ({', '.join(IMAGES)})")
    [(pattern, _)] = Counter(_pattern(found) for _, found in named).most_common(1)
    usual = next(file for file, found in named if _pattern(found) == pattern)
    numbered: dict[int, Path] = {}
    for file, found in named:
        if _pattern(found) != pattern:
            raise MediaError(
                f"'{file.name}' is not named like '{usual.name}'; a folder holds one sequence of "
                "frames"
            )
        number = int(found["number"])
        if number in numbered:
            raise MediaError(
                f"'{numbered[number].name}' and '{file.name}' are both frame {number}; remove one"
            )
        numbered[number] = file
    _check_alike([(file, found["number"]) for file, found in named])
    _check_whole(numbered)
    return [numbered[number] for number in sorted(numbered)]


def _check_alike(named: list[tuple[Path, str]]) -> None:
    """Refuses frames of two formats, and numbers of which only some have leading zeros."""
    [(suffix, _)] = Counter(file.suffix.lower() for file, _ in named).most_common(1)
    for file, _ in named:
        if file.suffix.lower() != suffix:
            raise MediaError(
                f"'{file.name}' is no {suffix} file as the others are; a folder holds one sequence "
                "of frames"
            )
    padded = {len(digits): file for file, digits in named if digits[0] == "0" and len(digits) > 1}
    if not padded:
        return
    width, example = max(padded.items())
    for file, digits in named:
        if len(digits) < width:
            raise MediaError(
                f"'{file.name}' and '{example.name}' are numbered in two ways; a folder holds one "
                "sequence of frames"
            )


def _check_whole(numbered: dict[int, Path]) -> None:
    numbers = sorted(numbered)
    for before, after in itertools.pairwise(numbers):
        if after != before + 1:
            missing = before + 1 if after == before + 2 else f"{before + 1} to {after - 1}"
            raise MediaError(
                f"frame {missing} is missing between '{numbered[before].name}' and "
                f"'{numbered[after].name}'"
            )
    for file in numbered.values():
        try:
            check_regular(file)
        except MediaError as error:
            raise MediaError(f"'{file.name}': {error}") from error


def _pattern(found: re.Match[str]) -> tuple[str, str]:
    return found["before"], found["after"]


def _natural(file: Path) -> tuple[list[int], str]:
    """Numbers in order of size, then letters: the same message whatever the file system's order."""
    return [int(digits) for digits in re.findall("[0-9]+", file.name)], file.name
