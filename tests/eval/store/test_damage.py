"""A clip, a feature or a row that is not what was stored is found, said and made again."""

import io
import json
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from eval.clips.lossless import Clip, encoded, read_clip, write_clip
from eval.errors import EvalError, StoreError
from eval.execute.events import EventLog
from eval.execute.options import Options
from eval.execute.run import Outcome, run
from eval.io.arrays import read_array, write_array
from eval.store.salvage import salvage
from eval.store.schema import _STEPS, COLUMNS, VERSION
from eval.store.store import Record, Store, StoredClip
from tests.eval.execute.test_torture import results

Run = Callable[..., Outcome]


def make_older(folder: Path, version: int) -> list[Record]:
    """Replaces a folder's store by one of an older version with the same rows; its records."""
    path, old = folder / "store.sqlite", folder / "old.sqlite"
    with closing(sqlite3.connect(path)) as new, closing(sqlite3.connect(old)) as database:
        steps = "".join(_STEPS[: max(version, 1)])
        database.executescript(f"{steps} PRAGMA user_version = {version};")
        for table in list(COLUMNS)[: 4 if version > 1 else 3]:
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            rows = new.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
            holes = ", ".join("?" for _ in columns)
            database.executemany(f"INSERT INTO {table} VALUES ({holes})", rows)
        database.commit()
        records = [Record(*row) for row in database.execute("SELECT * FROM records")]
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    old.replace(path)
    return records


@pytest.fixture
def whole(run_toy: Run, suite_content: dict[str, Any], tmp_path: Path) -> Path:
    """A finished run of two cells, with features."""
    methods = [{"method": "toy_method:Toy", "label": "toy"}, {"method": "still-image"}]
    suite_content |= {"methods": methods, "reference": "toy"}
    return run_toy(suite_content, "whole").folder


@pytest.fixture
def go(
    whole: Path, write_suite: Any, suite_content: dict[str, Any], toy_evaluator: Any, tmp_path: Path
) -> Callable[..., tuple[Outcome, str]]:
    """Runs the suite again in a copy of the folder; what it said."""

    def again(folder: Path, **options: Any) -> tuple[Outcome, str]:
        text = io.StringIO()
        suite = str(write_suite(suite_content))
        outcome = run(
            suite,
            folder,
            console=Console(file=text, width=1000),
            evaluator=toy_evaluator,
            options=Options(**options),
        )
        return outcome, text.getvalue()

    return again


def clip_files(folder: Path) -> list[Path]:
    return sorted((folder / "clips").rglob("*.mkv"))


def swap(folder: Path) -> None:
    first, second = clip_files(folder)[:2]
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


def flip(folder: Path) -> None:
    path = clip_files(folder)[0]
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(bytes(content))


def exchange(folder: Path) -> None:
    """Two files change names: neither their content nor their times change."""
    first, second = clip_files(folder)[:2]
    first.rename(folder / "other")
    second.rename(first)
    (folder / "other").rename(second)


def same_size_clip(folder: Path) -> None:
    path = clip_files(folder)[0]
    clip = read_clip(path)
    before = path.stat()
    write_clip(path, Clip(clip.frames[::-1].copy(), clip.fps))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CLIPS: dict[str, tuple[Callable[[Path], Any], int, str]] = {
    "cut": (lambda folder: os.truncate(clip_files(folder)[0], 100), 1, "has 100 of"),
    "empty": (lambda folder: os.truncate(clip_files(folder)[0], 0), 1, "has 0 of"),
    "removed": (lambda folder: clip_files(folder)[0].unlink(), 1, "is missing"),
    "swapped": (swap, 2, "was changed|has"),
    "renamed": (exchange, 2, "was changed|has"),
    "flipped": (flip, 1, "was changed"),
    "reversed": (same_size_clip, 1, "was changed|has"),
}


@pytest.mark.parametrize("damage", CLIPS)
def test_a_damaged_clip_is_said_and_made_again(
    damage: str, whole: Path, go: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(whole, folder)
    do, count, reason = CLIPS[damage]
    do(folder)
    outcome, said = go(folder, log=EventLog(tmp_path / "log"))
    lines = [line for line in said.splitlines() if line.startswith("warning: ")]
    assert len(lines) == count
    for line in lines:
        assert "it is made again" in line
        assert any(part in line for part in reason.split("|"))
    events = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [event["event"] for event in events].count("damaged") == count
    assert outcome.made > 0
    assert results(folder) == results(whole)
    assert go(folder)[0].made == 0


def features(folder: Path) -> list[Path]:
    return sorted((folder / "features").rglob("*.npy"))


def rewritten(change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def do(path: Path) -> None:
        np.save(path, change(np.load(path)))

    return do


def resealed(path: Path) -> None:
    """The content of one under the name of another."""
    other = next(each for each in path.parent.glob("*.npy") if each != path)
    path.write_bytes(other.read_bytes())


FEATURES: dict[str, Callable[[Path], Any]] = {
    "times 5": rewritten(lambda found: found * 5),
    "NaN": rewritten(lambda found: found * np.nan),
    "another length": rewritten(lambda found: found[:-1]),
    "another type": rewritten(lambda found: found.astype(np.float64)),
    "another shape": rewritten(lambda found: found[None]),
    "cut": lambda path: os.truncate(path, 40),
    "empty": lambda path: os.truncate(path, 0),
    "another clip's": resealed,
    "negative shape": lambda path: path.write_bytes(
        path.read_bytes().replace(b"'shape': (6,)", b"'shape': (-6)")
    ),
    "pickle": lambda path: np.save(path, np.array([{}], dtype=object), allow_pickle=True),
    "folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", [name for name in FEATURES if name != "folder"])
@pytest.mark.parametrize("which", [0, -1])
def test_a_damaged_feature_is_measured_again(
    damage: str, which: int, whole: Path, go: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(whole, folder)
    FEATURES[damage](features(folder)[which])
    outcome, _ = go(folder)
    assert (outcome.made, outcome.failures) == (0, [])
    assert results(folder) == results(whole)


@pytest.mark.parametrize("damage", FEATURES)
def test_a_damaged_array_is_named(damage: str, tmp_path: Path) -> None:
    for name in "ab":
        write_array(tmp_path / f"{name}.npy", np.arange(6, dtype=np.float32) + ord(name), name)
    path = tmp_path / "a.npy"
    FEATURES[damage](path)
    with pytest.raises(EvalError, match=r"a\.npy: not a stored feature"):
        read_array(path, "a")


def test_features_of_other_weights_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the old ones could not be deleted."""
    with Store(tmp_path) as store:
        store.use_features("encoder", "old")
        store.add_features("encoder", {"aa11": np.ones(3, np.float32)})
        assert store.has_features("encoder", "aa11")

        def fail(path: Path) -> None:
            raise OSError(5, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr("eval.io.files.shutil.rmtree", fail)
            with pytest.raises(StoreError, match="Input/output error"):
                store.use_features("encoder", "new")
        assert store.has_features("encoder", "aa11")
        store.set_meta("features/encoder", "new")
        assert not store.has_features("encoder", "aa11")
        with pytest.raises(EvalError, match="other weights"):
            store.features("encoder", ["aa11"])


def test_an_older_store_goes_on_without_making_anything(
    whole: Path, go: Any, tmp_path: Path
) -> None:
    for version in (1, 2):
        folder = tmp_path / f"version-{version}"
        shutil.copytree(whole, folder)
        make_older(folder, version)
        for path in (folder / "features").rglob("*.npy"):
            np.save(path, np.load(path))  # as they were before there were seals
        with Store(folder, read_only=True) as store:
            assert (store.version, len(store.clip_keys("toy"))) == (version, 12)
        outcome, said = go(folder)
        assert (outcome.made, outcome.measured, said) == (0, 0, "")
        assert results(folder) == results(whole)


def test_a_cut_clip_of_an_older_store_is_made_again(whole: Path, go: Any, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    shutil.copytree(whole, folder)
    make_older(folder, 2)
    os.truncate(clip_files(folder)[0], 100)
    outcome, said = go(folder)
    assert "it is made again" in said
    assert outcome.made > 0
    assert results(folder) == results(whole)


def test_a_clip_is_not_read_as_another(tmp_path: Path) -> None:
    rows = [StoredClip("cell", name, 0, name * 2, 0.5) for name in "ab"]
    contents = [encoded(Clip(np.full((2, 8, 8, 3), each, np.uint8), 8.0)) for each in (3, 4)]
    with Store(tmp_path) as store:
        store.add_clips(rows, contents)
        shutil.copy(store.files.clip("aa"), store.files.clip("bb"))
        assert store.read("aa").frames[0, 0, 0, 0] == 3
        with pytest.raises(EvalError, match="not the clip that was stored"):
            store.read("bb")


def test_equal_methods_under_two_labels_share_a_file(tmp_path: Path) -> None:
    """Where their pixels differ, both are those of the last, and neither keeps other records."""
    first, second = (StoredClip(name, "s", 0, "aa11", 0.5) for name in ("one", "two"))
    record = Record("one", "s", 0, "motion.flow_dis.v1", 1.0, "", "aa11", "weights")
    contents = [encoded(Clip(np.full((2, 8, 8, 3), each, np.uint8), 8.0)) for each in (3, 4)]
    with Store(tmp_path) as store:
        store.add_clips([first], contents[:1])
        store.add_records([record])
        store.add_clips([second], contents[:1])
        assert store.records("one") == [record]
        store.add_clips([second], contents[1:])
        assert store.records("one") == []
        assert store.clip_keys("one") == store.clip_keys("two") == {("s", 0): "aa11"}
        assert store.drop_damaged("one") == []


def test_every_flipped_bit_of_the_database_is_found(
    whole: Path, go: Any, tmp_path: Path, write_suite: Any
) -> None:
    """Named with salvage, or harmless; never a changed value."""
    draw = random.Random(0)
    wanted = results(whole)
    with closing(sqlite3.connect(whole / "store.sqlite")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = (whole / "store.sqlite").read_bytes()
    named = 0
    flips = int(os.environ.get("DAMAGE_FLIPS", "10"))
    for number in range(flips):
        folder = tmp_path / f"flip-{number}"
        shutil.copytree(whole, folder)
        changed = bytearray(content)
        for _ in range(3):
            changed[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        (folder / "store.sqlite").write_bytes(bytes(changed))
        text = ""
        try:
            go(folder)
        except StoreError as error:
            text = str(error)
        if "this version knows" in text:
            continue
        if text:
            assert "salvage" in text
            named += 1
            salvage(folder)
            go(folder)
        found = results(folder)
        assert {name: found[name] for name in wanted if name in found} == wanted
        shutil.rmtree(folder)
    print(f"{named} of {flips} named")
    assert named >= flips // 4


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE records SET value = value * 2",
        "UPDATE records SET sample = CAST(X'FF41' AS TEXT) WHERE sample = 's1'",
        "UPDATE clips SET sha256 = NULL",
        "UPDATE meta SET value = 'other' WHERE key LIKE 'features/%'",
        "UPDATE records SET checksum = NULL",
    ],
)
def test_a_changed_row_names_salvage_which_mends_it(
    damage: str, whole: Path, go: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(whole, folder)
    with closing(sqlite3.connect(folder / "store.sqlite", isolation_level=None)) as database:
        database.execute(damage)
    with pytest.raises(StoreError, match=r"store\.sqlite is damaged .* salvage"):
        go(folder)
    salvage(folder)
    go(folder)
    (folder / "store.sqlite.damaged-1").unlink()
    assert results(folder) == results(whole)
    with Store(folder, read_only=True) as store:
        assert store.version == VERSION


def test_two_runs_do_not_share_a_storage(whole: Path, go: Any, tmp_path: Path) -> None:
    storage = str(tmp_path / "storage")
    go(tmp_path / "one", storage=storage)
    with pytest.raises(EvalError, match=r"belongs to the run folder .*one; give each run"):
        go(tmp_path / "two", storage=storage)
    assert go(tmp_path / "one", storage=storage)[0].made == 0
