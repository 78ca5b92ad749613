"""Gets published weights, when asked to: pinned revisions, every file's sha256 checked."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eval.encoders.published import PUBLISHED, Published
from eval.encoders.weights import own_folder
from eval.errors import EvalError, nearest
from eval.io.files import file_sha256, write_whole


def published(id: str) -> Published:
    """The published weights of an encoder.

    Raises:
        EvalError: there are none to get by name.
    """
    if id not in PUBLISHED:
        raise EvalError(
            f"weights of '{id}' cannot be got by name. Allowed: {', '.join(PUBLISHED)}."
            f"{nearest(id, PUBLISHED)}"
        )
    found = PUBLISHED[id]
    if found.by_hand:
        line = found.line(id, str(own_folder()))
        raise EvalError(f"weights of '{id}' ({found.licence}) cannot be got by name: {line}")
    return found


def get(id: str, folder: Path | None = None) -> Path:
    """Downloads an encoder's weights and checks them; files that are there already are checked
    alone. The only function of the package that reaches the network.

    Args:
        id: of the encoder.
        folder: what gets a folder named by the id; None: where encoders look without being told.

    Returns:
        The encoder's folder. ``SHA256SUMS`` in it holds what every later load checks.

    Raises:
        EvalError: no such weights, no network, a licence that has to be accepted first, or bytes
            that are not those that are pinned.
    """
    source = published(id)
    target = (folder or own_folder()) / id
    with _reaching(id, source, target.parent), _no_empty_folder(target):
        sums = _from_hub(id, source, target) if source.hub else {}
        sums |= _from_urls(id, source, target)
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    write_whole(target / "SHA256SUMS", lines.encode())
    return target


@contextmanager
def _no_empty_folder(target: Path) -> Iterator[None]:
    """Removes the encoder's folder again where nothing came into it."""
    try:
        yield
    finally:
        if target.is_dir() and not any(target.iterdir()):
            target.rmdir()


def _from_hub(id: str, source: Published, target: Path) -> dict[str, str]:
    """File -> sha256 hex, as the repository's commit records it and as the file has it."""
    from huggingface_hub import HfApi, hf_hub_download

    assert source.hub is not None
    info = HfApi().model_info(source.hub, revision=source.revision, files_metadata=True)
    listed = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    sums = {}
    for entry in source.files:
        name = next((name for name in entry.split("|") if name in listed), None)
        if name is None:
            raise EvalError(f"weights of '{id}': {source.hub} has no {entry.replace('|', ' or ')}")
        path = Path(hf_hub_download(source.hub, name, revision=info.sha, local_dir=target))
        record: Any = getattr(listed[name], "lfs", None)
        expected = source.sha256.get(name) or (record and record["sha256"])
        sums[name] = _checked(id, path, expected or "")
    return sums


def _from_urls(id: str, source: Published, target: Path) -> dict[str, str]:
    import torch

    sums = {}
    for name, url in source.urls.items():
        in_name = re.search(r"-([0-9a-f]{8})\.[a-z]+$", name)
        expected = source.sha256.get(name) or (in_name and in_name.group(1)) or ""
        path = target / name
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                torch.hub.download_url_to_file(url, str(path), expected or None, progress=True)
            except RuntimeError as error:  # another hash: torch has removed the file
                raise EvalError(f"weights of '{id}': {error}") from error
        sums[name] = _checked(id, path, expected)
        if name in source.unpack:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(target)
                files = [inner for inner in archive.namelist() if not inner.endswith("/")]
            sums |= {inner: file_sha256(target / inner) for inner in files}
    return sums


def _checked(id: str, path: Path, expected: str) -> str:
    """The file's sha256. Raises EvalError, and removes the file, if it does not start so."""
    found = file_sha256(path)
    if not found.startswith(expected):
        path.unlink()
        raise EvalError(
            f"weights of '{id}': {path.name} has sha256 {found}, but {expected} is pinned; the "
            "file was removed"
        )
    return found


@contextmanager
def _reaching(id: str, source: Published, folder: Path) -> Iterator[None]:
    try:
        yield
    except EvalError:
        raise
    except Exception as error:
        kind = type(error).__name__
        if kind in ("GatedRepoError", "RepositoryNotFoundError") and source.gated:
            raise EvalError(
                f"weights of '{id}': accept the {source.licence} at huggingface.co/{source.hub}, "
                "run `hf auth login`, and try again"
            ) from error
        reason = (str(error).strip().splitlines() or [kind])[0][:200]
        line = source.line(id, str(folder))
        raise EvalError(
            f"weights of '{id}' cannot be downloaded ({kind}: {reason}). Without a network here, "
            f"run this on a machine that has one and copy the folder: {line}"
        ) from error
