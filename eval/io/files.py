"""Where clips and features lie: a folder, or any fsspec URL. Files appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from functools import cached_property
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from eval.errors import EvalError


class Files:
    """The content-addressed files below one root. It can be pickled.

    Args:
        root: a path, or for a URL a ``upath.UPath``, which has the methods of a path.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def clip(self, key: str) -> Path:
        return self.root / "clips" / key[:2] / f"{key}.mkv"

    def feature_folder(self, encoder: str) -> Path:
        return self.root / "features" / quote(encoder, safe="")

    def feature(self, encoder: str, key: str) -> Path:
        return self.feature_folder(encoder) / f"{key}.npy"

    @property
    def frames(self) -> Path:
        """Where :class:`eval.measure.features.FeatureCache` keeps what encoders see in frames."""
        return self.root / "features" / "frames"

    def present(self, path: Path) -> bool:
        """Whether the file is there; elsewhere than on a disk, whether it was when this object
        first looked.

        One listing then answers for all files: a request for each of a million would take hours.
        """
        return path.is_file() if isinstance(path, Path) else path.path in self._listing

    @cached_property
    def _listing(self) -> frozenset[str]:
        root: Any = self.root
        return frozenset(root.fs.find(root.path))

    def remove(self, folder: Path) -> None:
        """With all that is in it."""
        if isinstance(folder, Path):
            shutil.rmtree(folder, ignore_errors=True)
        elif folder.exists():
            folder.fs.rm(folder.path, recursive=True)


def is_file(path: Path) -> bool:
    """Whether it is a file; no where the system cannot even look it up, as with too long a name."""
    return os.path.isfile(path) if isinstance(path, Path) else path.is_file()


def place(text: str) -> Path:
    """The path of a local path or ``file:`` URL, the ``upath.UPath`` of another URL.

    Raises:
        EvalError: no filesystem knows the URL, or the package of the one that does is missing.
    """
    if "://" not in text:
        return Path(text)
    from upath import UPath

    try:
        found = UPath(text)
        local = found.fs.protocol
    except (ImportError, ValueError) as error:
        raise EvalError(
            f"{text}: {error}; give a path, or the URL of a filesystem that fsspec knows"
        ) from error
    return Path(found.path) if "file" in local else cast(Path, found)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file that appears whole or not at all.

    A local file is written beside its place and renamed. Elsewhere it is a transaction of the
    filesystem: an object store shows an object once it is complete; a filesystem without
    transactions of its own gets a plain write.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(path, Path):
        with path.fs.transaction, path.fs.open(path.path, "wb") as file:
            file.write(content)
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
