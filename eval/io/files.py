"""Where clips and features lie: a folder, or any fsspec URL. Files appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from eval.errors import EvalError, StoreError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)


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
        """Where `eval.measure.feature_cache.FeatureCache` keeps what encoders see in frames."""
        return self.root / "features" / "frames"

    @property
    def answers(self) -> Path:
        """Where the raw answers of learned judges are kept."""
        return self.root / "features" / "answers"

    def present(self, path: Path) -> bool:
        """Whether the file is there; elsewhere than on a disk, whether it was when this object
        first looked.

        One listing then answers for all files: a request for each of a million would take hours.
        """
        return path.is_file() if isinstance(path, Path) else path.path in self._listing

    def size(self, path: Path) -> int | None:
        """Bytes of the file, or None if there is no file; on remote storage as :meth:`present`."""
        if isinstance(path, Path):
            return path.stat().st_size if path.is_file() else None
        return self._listing.get(path.path)

    @cached_property
    def _listing(self) -> dict[str, int]:
        root: Any = self.root
        found = root.fs.find(root.path, detail=True)
        return {path: int(known["size"]) for path, known in found.items()}

    def written(self, path: Path, size: int) -> None:
        """Remembers a file of this size, so that :meth:`size` knows of it elsewhere too."""
        if not isinstance(path, Path) and "_listing" in self.__dict__:
            self._listing[path.path] = size

    def remove(self, folder: Path) -> None:
        """With all that is in it.

        Raises:
            OSError: something in it cannot be removed.
        """
        if isinstance(folder, Path):
            if folder.exists():
                shutil.rmtree(folder)
        elif folder.exists():
            folder.fs.rm(folder.path, recursive=True)


def is_file(path: Path) -> bool:
    """Whether it is a file; False for names that the system does not accept, such as very long
    ones."""
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
    except Exception as error:  # each filesystem has its own: of a missing host, a missing archive
        reason = " ".join(str(error).split()) or type(error).__name__
        raise EvalError(
            f"{text}: {reason}; give a path, or the URL of a filesystem that fsspec knows"
        ) from error
    return Path(found.path) if "file" in local else cast(Path, found)


OPEN_STORAGE = "I2V_EVAL_OPEN_STORAGE"
"""Environment variable: addresses that run folders name are opened. ``i2v-eval --open-storage``
sets it."""


def named_place(text: str, folder: Path) -> Path:
    """:func:`place` of an address that a run folder names: a folder from elsewhere may name any, so
    nothing but this machine's disks is opened unasked.

    Raises:
        EvalError: naming the address and how to open it; as :func:`place`.
    """
    near = "://" not in text or text.startswith(("file://", "local://", "memory://"))
    if not near and not os.environ.get(OPEN_STORAGE):
        raise EvalError(
            f"{folder}: its clips lie at {text}, which is not opened unasked; if you know the "
            "address, repeat the command as i2v-eval --open-storage COMMAND, or give run its "
            "--storage"
        )
    return place(text)


def write_whole(path: Path, content: bytes | Iterable[bytes], *, durable: bool = True) -> None:
    """Writes a file that appears whole or not at all, also if the machine stops.

    A local file is written beside its place, under a name that holds the process id, brought to the
    disk and renamed. Elsewhere it is a transaction of the filesystem: an object store shows an
    object once it is complete; a filesystem without transactions of its own gets a plain write.

    Args:
        path: or a ``upath.UPath``.
        content: all of it, or its parts, which are asked for while the file is written.
        durable: whether to wait until it is on the disk; not needed for what is sealed and can be
            made again.

    Raises:
        StoreError: naming the file and what to do, if it cannot be written. Nothing is left behind,
            and what was there before stays.
    """
    parts = [content] if isinstance(content, bytes) else content
    with write_errors(path):
        new = _missing(path.parent) if isinstance(path, Path) else []
        path.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(path, Path):
            with path.fs.transaction, path.fs.open(path.path, "wb") as file:
                for part in parts:
                    file.write(part)
            return
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        partial.unlink(missing_ok=True)  # of an earlier process with this number
        try:
            with partial.open("xb") as file:  # "x" follows no link that somebody put there
                for part in parts:
                    file.write(part)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        for folder in {path.parent, *(each.parent for each in new)} if durable else ():
            _sync_folder(folder)


def _missing(folder: Path) -> list[Path]:
    """Those of a folder and the folders around it that are not there yet."""
    return [each for each in (folder, *folder.parents) if not each.exists()]


def _sync_folder(folder: Path) -> None:
    """Brings a rename to the disk, where the system lets a folder be opened."""
    try:
        number = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except OSError:
        return
    try:
        with contextlib.suppress(OSError):  # some network filesystems refuse it for folders
            os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turns an OSError of the block into a StoreError that names ``path`` and what to do."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path}: {explained(error)}") from error


def explained(error: OSError) -> str:
    """What the disk says, and what to do."""
    text = str(error.strerror or error)
    if error.errno in _FULL:
        return (
            f"no space left ({text}); what is stored stays: make room, and run the same command "
            "again"
        )
    if error.errno in _CLOSED:
        return f"cannot be written ({text}); give another --out"
    return f"{text}; what is stored stays: put it right, and run the same command again"


def file_sha256(path: Path) -> str:
    """sha256 hex of a file's content. A file whose size and times are unchanged is not read again,
    so that the fingerprints of a thousand cells take a moment.

    Raises:
        OSError: it cannot be read.
    """
    state = path.stat()
    return _digest(path, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


@lru_cache(maxsize=512)
def _digest(path: Path, *state: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def writer_of(partial: Path) -> int | None:
    """The process that writes, or wrote, a file of :func:`write_whole`; None: not such a file."""
    parts = partial.name.split(".")
    known = len(parts) > 3 and parts[0] == "" and parts[-1] == "partial" and parts[-2].isdecimal()
    return int(parts[-2]) if known else None
