"""Finds a method's models on this machine, and what identifies them. Downloads nothing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from pathlib import Path

from eval.errors import WeightsMissingError
from eval.io.files import file_sha256

version = cache(metadata.version)
"""Version of an installed package. Its metadata is parsed once, not once a cell."""

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
CHECKPOINTS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")
"""Suffixes of a model in a single file."""


def locate(option: str, source: str, folder: Path | None = None) -> Path:
    """The folder or file that `source` names, or the snapshot that the hub's local cache has of
    it.

    Args:
        option: who asks, for messages.
        source: a path, relative ones from `folder`, or a hub id.
        folder: the working directory if None.

    Raises:
        WeightsMissingError: there is neither; names the option and the value.
    """
    path = Path(source).expanduser()
    path = path if path.is_absolute() else (folder or Path()) / path
    if path.exists():
        return path
    if not HUB_ID.fullmatch(source):
        raise WeightsMissingError(f"{option}: there is no folder or file '{source}'")
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source, local_files_only=True))
    except LocalEntryNotFoundError as error:
        raise WeightsMissingError(
            f"{option}: '{source}' is no folder and not in the hub's local cache"
            f" ({constants.HF_HUB_CACHE}); nothing is downloaded here: run `hf download {source}` "
            "or name a folder"
        ) from error


def find_folder(option: str, source: str, file: str, folder: Path | None = None) -> Path:
    """As :func:`locate`, for a model's folder, in which `file` must lie.

    Raises:
        WeightsMissingError: the folder does not exist, or `file` is not in it.
    """
    found = locate(option, source, folder)
    if not (found / file).is_file():
        raise WeightsMissingError(f"{option}: {found} has no {file}, so it is no such model")
    return found


def identity(path: Path, parts: Sequence[str] = ()) -> str:
    """The commit of a snapshot of the hub, else a digest of names and bytes.

    Args:
        path: a file, or a folder.
        parts: files and folders in `path` that count; all, if none is named.
    """
    if path.is_file() and path.parent.name != "snapshots":
        return file_sha256(path)
    if path.parent.name == "snapshots":
        return path.name
    roots = [path / part for part in parts] if parts else [path]
    files = sorted(
        file
        for root in roots
        for file in ([root] if root.is_file() else root.rglob("*"))
        if file.is_file() and ".cache" not in file.parts
    )
    lines = "".join(f"{file.relative_to(path)} {file_sha256(file)}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()
