"""Clips and features in a folder of their own, or on a filesystem that is none of this machine's
disks.
"""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from eval.cli import app
from eval.clips.lossless import Clip, read_clip, write_clip
from eval.errors import EvalError, StoreError
from eval.execute.options import Options
from eval.execute.run import Outcome, run
from eval.io.files import place, write_whole
from eval.store.opened import CLAIM
from reports.run.load import load_run

TABLES = ("records.csv", "summary.csv", "comparisons.csv", "samples.csv", "failures.csv")


@pytest.fixture
def memory() -> Any:
    """An empty filesystem in memory."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    return files


@pytest.fixture
def go(write_suite: Any, toy_evaluator: Any, tmp_path: Path) -> Callable[..., Outcome]:
    def call(content: dict[str, Any], folder: str, storage: str | None) -> Outcome:
        console = Console(file=io.StringIO())
        options = Options(storage=storage)
        return run(
            str(write_suite(content)),
            tmp_path / folder,
            console=console,
            evaluator=toy_evaluator,
            options=options,
        )

    return call


def blobs(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for kind in ("clips", "features")
        for path in (root / kind).rglob("*")
        if path.is_file()
    }


def test_the_same_run_lies_elsewhere(
    go: Callable[..., Outcome], suite_content: dict[str, Any], memory: Any, tmp_path: Path
) -> None:
    suite_content["methods"] = suite_content["methods"][-2:]
    suite_content["reference"] = None
    here = go(suite_content, "here", None)
    wanted = blobs(here.folder)
    away = go(suite_content, "away", "memory://bucket/run")

    def stored() -> dict[str, bytes]:
        found = {
            name.removeprefix("/bucket/run/"): memory.cat(name)
            for name in memory.find("/bucket/run")
        }
        assert found.pop(CLAIM)  # which run writes there
        return found

    assert stored() == wanted
    disk = go(suite_content, "disk", f"file://{tmp_path}/blobs")
    assert blobs(tmp_path / "blobs") == wanted
    for other in (away, disk):
        assert blobs(other.folder) == {}
        for name in TABLES:
            assert (other.folder / name).read_bytes() == (here.folder / name).read_bytes()
        page = load_run(other.folder)
        assert np.array_equal(page.cell_clip("true-clip", "s0").frames, page.true_clip("s0").frames)
    memory.rm(memory.find("/bucket/run/clips")[0])
    again = go(suite_content, "away", None)  # the folder knows where its clips are
    assert 1 <= again.made <= 4
    assert stored() == wanted
    row = CliRunner().invoke(app, ["status", str(away.folder)]).stdout.splitlines()[1].split()
    assert row == ["still-image", "12", "12", "12", "0"]
    for folder, storage in (("away", "memory://other"), ("here", str(tmp_path / "late"))):
        with pytest.raises(
            EvalError,
            match=rf"--storage {storage}: the clips of .*{folder} lie in .*; give another",
        ):
            go(suite_content, folder, storage)


@pytest.mark.parametrize("url", ["nosuch://bucket", "s3://bucket"])
def test_a_filesystem_that_is_not_there_is_named(url: str) -> None:
    with pytest.raises(
        EvalError, match=f"^{url}: .*; give a path, or the URL of a filesystem that fsspec knows"
    ):
        place(url)


def test_a_file_appears_whole_or_not_at_all(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old file stands until the new one is complete, and a write that breaks off leaves it."""
    clip = Clip(np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 8, 8, 3), 8.0)
    for path in (tmp_path / "a.mkv", place("memory://bucket/a.mkv")):
        write_clip(path, clip)
        assert np.array_equal(read_clip(path).frames, clip.frames)
    assert memory.cat("/bucket/a.mkv") == (tmp_path / "a.mkv").read_bytes()

    def break_off(*_: Any, **__: Any) -> None:
        raise OSError("pulled the plug")

    old = (tmp_path / "a.mkv").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", break_off)
        with pytest.raises(StoreError, match="pulled the plug"):
            write_whole(tmp_path / "a.mkv", b"new")
    with monkeypatch.context() as patch:
        patch.setattr(type(memory.open("/bucket/b", "wb")), "write", break_off)
        with pytest.raises(StoreError, match="pulled the plug"):
            write_whole(place("memory://bucket/a.mkv"), b"new")
    assert memory.cat("/bucket/a.mkv") == (tmp_path / "a.mkv").read_bytes() == old
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


def test_a_link_where_a_file_is_being_written_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Put there before, or between the look and the write."""
    victim, path = tmp_path / "victim", tmp_path / "run" / "a.json"
    victim.write_text("mine")
    path.parent.mkdir()
    partial = path.with_name(f".a.json.{os.getpid()}.partial")
    partial.symlink_to(victim)
    write_whole(path, b"new")
    assert (path.read_bytes(), victim.read_text(), partial.is_symlink()) == (b"new", "mine", False)
    remove, raced = Path.unlink, []

    def race(self: Path, missing_ok: bool = False) -> None:
        remove(self, missing_ok=missing_ok)
        if self == partial and not raced:
            raced.append(self)
            self.symlink_to(victim)

    monkeypatch.setattr(Path, "unlink", race)
    with pytest.raises(StoreError, match="File exists"):
        write_whole(path, b"newer")
    assert raced
    assert (path.read_bytes(), victim.read_text()) == (b"new", "mine")
    path.unlink()
    path.symlink_to(victim)  # the place itself: the link is replaced, not followed
    write_whole(path, b"newest")
    assert (path.is_symlink(), path.read_bytes(), victim.read_text()) == (False, b"newest", "mine")
