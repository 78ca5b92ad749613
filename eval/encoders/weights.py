"""Where encoder weights are looked for, and what identifies them. Nothing here needs torch or the
network.

Order: a folder named by the encoder's id itself, the folder ``<I2V_EVAL_WEIGHTS>/<encoder id>/``
(for ``dino:a/b`` and the like: ``<I2V_EVAL_WEIGHTS>/a/b/``), then the folder that ``i2v-eval
weights get`` fills, then what ships with the package (glyph world), then the local caches of the
Hugging Face hub or of torch.hub. Nothing is ever downloaded here.

Two things pin a file's bytes: a name that ends in eight hex digits before its suffix, as
torch.hub's do (they are the start of its sha256), and a file ``SHA256SUMS`` beside it, in the
format of ``sha256sum``.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from eval.encoders.published import PUBLISHED, how_to_get
from eval.errors import EvalError, WeightsMissingError
from eval.io.files import file_sha256
from eval.world.models import WEIGHTS

OPTION = "I2V_EVAL_WEIGHTS"
"""Environment variable: a folder with one folder per encoder id."""

EMBEDDED = WEIGHTS
"""The glyph world's encoders."""


@dataclass(frozen=True)
class Source:
    """Where an encoder's files may be.

    Attributes:
        files: names of the files, all needed; ``a|b`` accepts either, the first that exists.
        embedded: folder below `EMBEDDED`, for encoders that ship with the package.
        hub: repository on the Hugging Face hub, looked up in its local cache only.
        torch_hub: whether torch.hub's folder of downloaded checkpoints is looked in.
        folder: a folder that the user named; then no other is looked in.
    """

    files: tuple[str, ...]
    embedded: str | None = None
    hub: str | None = None
    torch_hub: bool = False
    folder: Path | None = None


@dataclass(frozen=True)
class Location:
    """The folder that has all files of an encoder, and which file plays which part (keys: entries
    of `Source.files`)."""

    folder: Path
    files: Mapping[str, Path]


def downloads() -> Path:
    """Where ``i2v-eval weights get`` puts what it downloads unless told otherwise, and where
    encoders look after the folder of `OPTION`."""
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "i2v-eval" / "weights"


def own_folder() -> Path:
    """The folder of `OPTION`, else :func:`downloads`."""
    given = os.environ.get(OPTION)
    return Path(given).expanduser() if given else downloads()


def _folders(id: str, source: Source) -> Iterator[Path]:
    if source.folder:
        yield source.folder
        return
    given = os.environ.get(OPTION)
    if given:
        yield Path(given).expanduser() / id.split(":", 1)[-1]
    if not source.embedded:
        yield downloads() / id.split(":", 1)[-1]
    if source.embedded:
        yield EMBEDDED / source.embedded
    if source.hub:
        from huggingface_hub import constants, try_to_load_from_cache

        cached = (try_to_load_from_cache(source.hub, name) for name in source.files[0].split("|"))
        found = [Path(path).parent for path in cached if isinstance(path, str)]
        yield (
            found[0]
            if found
            else Path(constants.HF_HUB_CACHE) / f"models--{source.hub.replace('/', '--')}"
        )
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
        WeightsMissingError: no folder has them all; names the id, the option, each folder and
            what it lacks.
        EvalError: a file whose bytes are not those that its name or ``SHA256SUMS`` states.
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
            location = Location(folder, files)
            _check_bytes(id, location)
            return location
        tried.append(f"{folder} (no {', '.join(missing)})")
    option = os.environ.get(OPTION)
    if source.folder:
        raise WeightsMissingError(
            f"encoder {id!r}: weights not found; looked in {'; '.join(tried)}."
        )
    raise WeightsMissingError(
        f"encoder {id!r}: weights not found; looked in {'; '.join(tried) or 'no folder'}. "
        f"Put the files into a folder named {id.split(':', 1)[-1]!r} and set {OPTION} to the "
        "folder that holds it "
        f"(now {repr(option) if option else 'not set'})."
        + (f" {how_to_get([id])} downloads them." if id in PUBLISHED else "")
    )


_HUB_HASH = re.compile(r"-([0-9a-f]{8})\.[a-z]+")
_SUMS = "SHA256SUMS"


def _check_bytes(id: str, location: Location) -> None:
    stated = _stated_hashes(id, location.folder / _SUMS)
    for path in location.files.values():
        in_name = _HUB_HASH.search(path.name)
        for expected, where in (
            (in_name and in_name.group(1), "its name"),
            (stated.get(path.relative_to(location.folder).as_posix()), _SUMS),
        ):
            found = file_sha256(path) if expected else ""
            if expected and not found.startswith(expected):
                raise EvalError(
                    f"encoder {id!r}: {path} has sha256 {found[: max(16, len(expected))]}, but "
                    f"{where} states "
                    f"{expected}; the file is damaged or another one."
                )


def _stated_hashes(id: str, path: Path) -> dict[str, str]:
    """File name -> sha256 hex of a ``SHA256SUMS`` file; empty if there is none."""
    if not path.is_file():
        return {}
    stated = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        digest, _, name = line.strip().partition(" ")
        if not re.fullmatch("[0-9a-f]{64}", digest) or not name.strip():
            raise EvalError(
                f"encoder {id!r}: {path}:{number}: expected a sha256 and a file name, as sha256sum "
                "writes."
            )
        stated[name.strip().removeprefix("*")] = digest
    return stated


def fingerprint(protocol: str, location: Location | None) -> str:
    """sha256 hex over a protocol text and the bytes of every file.

    Args:
        protocol: everything but the files that decides a feature, as text.
        location: the files, or None for an encoder without weights.
    """
    digest = hashlib.sha256(protocol.encode())
    for entry, path in sorted(location.files.items()) if location else ():
        digest.update(f"\n{entry} {file_sha256(path)}".encode())
    return digest.hexdigest()
