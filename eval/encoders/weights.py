"""Where encoder weights are looked for, and what identifies them. Nothing here needs torch or the network.

Order: the folder ``<I2V_EVAL_WEIGHTS>/<encoder id>/``, then what ships with the package (glyph world), then the local
caches of the Hugging Face hub or of torch.hub. Nothing is ever downloaded.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from eval.errors import WeightsMissingError

OPTION = "I2V_EVAL_WEIGHTS"
"""Environment variable: a folder with one folder per encoder id."""

EMBEDDED = Path(__file__).resolve().parent.parent / "world" / "weights"
"""The glyph world's judges."""


@dataclass(frozen=True)
class Source:
    """Where an encoder's files may be.

    Attributes:
        files: names of the files, all needed; ``a|b`` accepts either, the first that exists.
        embedded: folder below `EMBEDDED`, for encoders that ship with the package.
        hub: repository on the Hugging Face hub, looked up in its local cache only.
        torch_hub: whether torch.hub's folder of downloaded checkpoints is looked in.
    """

    files: tuple[str, ...]
    embedded: str | None = None
    hub: str | None = None
    torch_hub: bool = False


@dataclass(frozen=True)
class Location:
    """The folder that has all files of an encoder, and which file plays which part (keys: entries of
    `Source.files`)."""

    folder: Path
    files: Mapping[str, Path]


def _folders(id: str, source: Source) -> Iterator[Path]:
    given = os.environ.get(OPTION)
    if given:
        yield Path(given).expanduser() / id
    if source.embedded:
        yield EMBEDDED / source.embedded
    if source.hub:
        from huggingface_hub import constants, try_to_load_from_cache

        cached = (try_to_load_from_cache(source.hub, name) for name in source.files[0].split("|"))
        found = [Path(path).parent for path in cached if isinstance(path, str)]
        yield found[0] if found else Path(constants.HF_HUB_CACHE) / f"models--{source.hub.replace('/', '--')}"
    if source.torch_hub:
        cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
        home = os.environ.get("TORCH_HOME", os.path.join(cache, "torch"))
        yield Path(home).expanduser() / "hub" / "checkpoints"


def find(id: str, source: Source) -> Location:
    """The first folder that has every file.

    Args:
        id: encoder id, the folder name below ``I2V_EVAL_WEIGHTS``.
        source: its files and where they may be.

    Raises:
        WeightsMissingError: no folder has them all; names the id, the option, each folder and what it lacks.
    """
    tried: list[str] = []
    for folder in _folders(id, source):
        files: dict[str, Path] = {}
        missing: list[str] = []
        for entry in source.files:
            present = [folder / name for name in entry.split("|") if (folder / name).is_file()]
            if present:
                files[entry] = present[0]
            else:
                missing.append(entry.replace("|", " or "))
        if not missing:
            return Location(folder, files)
        tried.append(f"{folder} (no {', '.join(missing)})")
    option = os.environ.get(OPTION)
    raise WeightsMissingError(
        f"encoder {id!r}: weights not found; looked in {'; '.join(tried) or 'no folder'}. "
        f"Put the files into a folder named {id!r} and set {OPTION} to the folder that holds it "
        f"(now {repr(option) if option else 'not set'})."
    )


@lru_cache(maxsize=256)
def _file_hash(path: Path, size: int, modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(protocol: str, location: Location | None) -> str:
    """sha256 hex over a protocol text and the bytes of every file.

    Args:
        protocol: everything but the files that decides a feature, as text.
        location: the files, or None for an encoder without weights.
    """
    digest = hashlib.sha256(protocol.encode())
    for entry, path in sorted(location.files.items()) if location else ():
        status = path.stat()
        digest.update(f"\n{entry} {_file_hash(path, status.st_size, status.st_mtime_ns)}".encode())
    return digest.hexdigest()
