"""What one does with a run folder, and a folder that is old, held, full, closed or damaged."""

import csv
import errno
import io
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from eval.cli import app
from eval.clips.lossless import Clip, encoded
from eval.errors import StoreError
from eval.store.schema import VERSION
from eval.store.store import Failure, Record, Store, StoredClip
from tests.eval.store.test_damage import make_older

CELL = "toy[t0=0.5]"


def fill(folder: Path, samples: int = 4) -> None:
    """A run folder with one cell, one metric, a clip a sample and, for the last sample, a
    failure."""
    rows = [StoredClip(CELL, f"s{index:04d}", 0, f"{index:064x}", 0.25) for index in range(samples)]
    records = [
        Record(CELL, row.sample, 0, "motion.flow_dis.v1", 1 / (3 + i), "", row.key, "w" * 64)
        for i, row in enumerate(rows)
    ]
    clips = [encoded(Clip(np.full((2, 8, 8, 3), 7, np.uint8), 8.0))] * samples
    with Store(folder) as store:
        store.add_clips(
            rows[:-1], clips[:-1], [Failure(CELL, rows[-1].sample, 0, "make", "no luck")]
        )
        store.add_records(records[:-1])
    document = {
        "suite": {"name": "toy"},
        "seeds": [0],
        "cells": [{"id": CELL, "method": "toy"}],
        "finished": None,
    }
    (folder / "run.json").write_text(json.dumps(document))
    listed = "".join(f"{row.sample},all,a\n" for row in rows)
    (folder / "samples.csv").write_text("id,group,prompt\n" + listed)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fill(tmp_path / "run")
    return tmp_path / "run"


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_status_counts_and_touches_nothing(folder: Path) -> None:
    before = contents(folder)
    result = invoke("status", folder)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[1].split() == [CELL, "4", "3", "3", "1"]
    assert lines[-1] == f"suite toy, schema {VERSION}, finished never, 1 failed"
    assert contents(folder) == before
    with Store(folder) as held:
        assert f"held by process {os.getpid()} on " in invoke("status", held.folder).stdout
    nothing = invoke("status", folder.parent)
    assert nothing.exit_code == 2
    assert "not a run folder (no store.sqlite)" in nothing.stderr


def test_exports_agree_with_the_store_bit_by_bit(folder: Path) -> None:
    with Store(folder) as store:
        values = [record.value for record in store.records(CELL)]
    for format in ("csv", "json"):
        path = folder / f"export.{format}"
        assert invoke("export", folder, "--format", format).stdout == f"4 rows: {path}\n"
        rows = (
            json.loads(path.read_text())
            if format == "json"
            else list(csv.DictReader(io.StringIO(path.read_text())))
        )
        assert [float(row["value"]) for row in rows[:3]] == values
        assert [float(row["seconds"]) for row in rows[:3]] == [0.25] * 3
        assert [row["status"] for row in rows] == ["ok", "ok", "ok", "failed"]
        assert rows[-1]["reason"] == "make: no luck"
        assert rows[-1]["value"] in (None, "")
    bad = invoke("export", folder, "--format", "xls")
    assert (
        bad.exit_code,
        "--format xls: unknown. Allowed: parquet, csv, json, vbench." in bad.stderr,
    ) == (
        2,
        True,
    )


def test_parquet_is_written_or_its_extra_is_named(folder: Path) -> None:
    result = invoke("export", folder, "--format", "parquet")
    try:
        import pyarrow.parquet
    except ImportError:
        assert result.exit_code == 2
        assert "pip install 'i2v-adapter[parquet]'" in result.stderr
        return
    table = pyarrow.parquet.read_table(folder / "export.parquet").to_pylist()
    assert [row["value"] for row in table] == [1 / 3, 1 / 4, 1 / 5, None]


def test_a_store_from_before_versions_is_brought_forward(folder: Path) -> None:
    before = make_older(folder, 0)
    assert f"schema 0, the next run makes it {VERSION}" in invoke("status", folder).stdout
    with Store(folder) as store:
        assert store.records(CELL) == before
        assert (store.version, store.failures()) == (VERSION, [])
    with closing(sqlite3.connect(folder / "store.sqlite")) as database:
        database.execute(f"PRAGMA user_version = {VERSION + 1}")
    for command in (["status", folder], ["export", folder]):
        result = invoke(*command)
        assert result.exit_code == 2
        assert (
            f"the store has schema {VERSION + 1}, this version knows {VERSION}; update"
            in result.stderr
        )


def test_a_folder_that_is_held_can_be_waited_for(folder: Path) -> None:
    code = (
        "import sys, pathlib, time\nfrom eval.store.store import Store\n"
        "with Store(pathlib.Path(sys.argv[1])):\n    print(1, flush=True)\n    time.sleep(0.3)"
    )
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(
            StoreError, match=rf"in use by process {other.pid} on \S+ since 2\S+; wait for it with"
        ):
            Store(folder)
        with Store(folder, wait=60) as store:
            assert len(store.clip_keys(CELL)) == 3


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_leaves_a_readable_store(
    code: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(number: int) -> None:
        raise OSError(code, os.strerror(code))

    advice = {
        errno.ENOSPC: "no space left .* make room",
        errno.EIO: "Input/output error; what is stored stays",
    }[code]
    with Store(folder) as store:
        content = encoded(Clip(np.zeros((2, 8, 8, 3), np.uint8), 8.0))
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail)
            with pytest.raises(StoreError, match=advice):
                store.add_clips([StoredClip(CELL, "s0003", 0, "f" * 64, 0.1)], [content])
        assert len(store.clip_keys(CELL)) == 3
    assert invoke("status", folder).exit_code == 0


def test_a_store_that_may_not_grow_says_so_and_stays_readable(folder: Path) -> None:
    """A real limit of the kernel on the size of files, in place of a full disk."""
    before = invoke("export", folder, "--out", folder.parent / "before.csv")
    code = (
        "import pathlib, resource, sys\nfrom eval.store.store import Record, Store\n"
        "with Store(pathlib.Path(sys.argv[1])) as store:\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY))\n"
        "    store.add_records([Record('c', f's{i}', 0, 'm', 1.0, '', 'k' * 64, 'w' * 64) for i in "
        "range(2000)])"
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False
    )
    assert "eval.errors.StoreError" in done.stderr.splitlines()[-1]
    assert str(folder) in done.stderr.splitlines()[-1]
    assert (
        invoke("export", folder, "--out", folder.parent / "after.csv").exit_code
        == before.exit_code
        == 0
    )
    assert (folder.parent / "after.csv").read_bytes() == (folder.parent / "before.csv").read_bytes()


def damage(folder: Path, page: int) -> None:
    size = 4096
    with (folder / "store.sqlite").open("r+b") as file:
        file.seek(page * size)
        file.write(b"\xa5" * size)


@pytest.mark.parametrize("where", [0.0, 0.3, 0.6, 0.95])
def test_a_damaged_page_is_found_and_the_rest_is_saved(where: float, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with Store(folder) as store:
        records = [
            Record(CELL, f"s{i:04d}", 0, "motion.flow_dis.v1", i / 7, "", f"{i:064x}", "w" * 64)
            for i in range(400)
        ]
        store.add_records(records)
    pages = (folder / "store.sqlite").stat().st_size // 4096
    damage(folder, int(where * pages))
    for command in ("status", "export"):
        result = invoke(command, folder)
        assert result.exit_code == 2
        assert f"i2v-eval salvage {folder} keeps what can be read" in result.stderr
    with pytest.raises(StoreError, match=r"store\.sqlite is damaged"):
        Store(folder)
    damaged = (folder / "store.sqlite").read_bytes()
    result = invoke("salvage", folder)
    assert result.exit_code == 0, result.output
    assert (folder / "store.sqlite.damaged-1").read_bytes() == damaged
    with Store(folder) as store:
        kept = store.records(CELL)
    assert set(kept) <= set(records)
    if 0.3 <= where <= 0.6:  # a page of the records, not the header or the roots
        assert len(kept) > 300
    assert f"kept 0 meta, 0 clips, {len(kept)} records, 0 failures" in result.stdout


def test_salvage_of_a_sound_store_keeps_everything(folder: Path) -> None:
    invoke("export", folder, "--out", folder.parent / "before.csv")
    assert invoke("salvage", folder).exit_code == 0
    invoke("export", folder, "--out", folder.parent / "after.csv")
    assert (folder.parent / "after.csv").read_bytes() == (folder.parent / "before.csv").read_bytes()


def test_a_timeout_between_begin_and_the_block_leaves_no_open_transaction(folder: Path) -> None:
    with Store(folder) as store:
        store._transaction().__enter__()
        store.add_records([Record(CELL, "s9", 0, "m", 1.0, "", "k", "w")])
        assert len(store.records(CELL)) == 4


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs a mount of its own"
)
def test_a_read_only_folder_is_named_and_can_be_looked_at(folder: Path) -> None:
    script = f'mount --bind "{folder}" "{folder}" && mount -o remount,ro,bind "{folder}" && "$@"'
    code = "import sys\nfrom eval.cli import app\napp(sys.argv[1:])"

    def call(*arguments: str) -> Any:
        command = [
            "unshare",
            "-m",
            "sh",
            "-c",
            script,
            "sh",
            sys.executable,
            "-c",
            code,
            *arguments,
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    looked = call("status", str(folder))
    if "mount:" in looked.stderr or "unshare:" in looked.stderr:
        pytest.skip("no mounts here")
    assert looked.returncode == 0, looked.stderr
    assert looked.stdout.splitlines()[1].split() == [CELL, "4", "3", "3", "1"]
    refused = call("salvage", str(folder))
    assert refused.returncode == 2
    assert (
        f"{folder}: cannot be written (Read-only file system); give another --out" in refused.stderr
    )
