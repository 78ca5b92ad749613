"""The run folder: a crash in the middle of a batch leaves nothing that looks complete and is
not."""

from pathlib import Path

import numpy as np
import pytest

from eval.clips.lossless import Clip, encoded
from eval.errors import EvalError
from eval.io.documents import read_json
from eval.store import store as store_module
from eval.store.store import Failure, Record, Store, StoredClip

ROWS = [StoredClip("cell", "a", 0, "aa11", 0.5), StoredClip("cell", "b", 0, "bb22", 0.5)]


def clips(value: int) -> list[bytes]:
    return [encoded(Clip(np.full((2, 8, 8, 3), value, np.uint8), 8.0))] * 2


def record(value: float) -> Record:
    return Record("cell", "a", 0, "motion.flow_dis.v1", value, "", "aa11", "weights")


def test_what_is_stored_is_found_by_the_next_process(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.add_clips(ROWS, clips(7))
        store.add_records([record(1 / 3)])
        store.add_features("videomae_glyph", {"aa11": np.arange(3, dtype=np.float32)})
    with Store(tmp_path) as store:
        assert store.clip_keys("cell") == {("a", 0): "aa11", ("b", 0): "bb22"}
        assert store.clip_keys("other") == {}
        assert store.read("aa11").frames[0, 0, 0, 0] == 7
        assert store.records("cell") == [record(1 / 3)]
        assert store.features("videomae_glyph", ["aa11", "aa11"]).tolist() == [[0, 1, 2]] * 2


def test_a_crash_while_a_batch_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path) as store:
        store.use_features("videomae_glyph", "weights")
        store.add_clips(ROWS, clips(7))
        store.add_records([record(1.0)])
        store.add_features("videomae_glyph", {"aa11": np.zeros(3, np.float32)})
        write = store_module.write_whole

        def crash_at_second(path: Path, content: bytes) -> None:
            if path.stem == "bb22":
                raise KeyboardInterrupt
            write(path, content)

        monkeypatch.setattr(store_module, "write_whole", crash_at_second)
        with pytest.raises(KeyboardInterrupt):
            store.add_clips(ROWS, clips(9))
    monkeypatch.setattr(store_module, "write_whole", write)
    with Store(tmp_path) as store:
        assert store.clip_keys("cell") == {}
        assert store.records("cell") == []
        assert not store.files.feature("videomae_glyph", "aa11").exists()
        store.add_clips(ROWS, clips(9))
        assert len(store.clip_keys("cell")) == 2


def test_a_batch_of_records_is_stored_whole_or_not_at_all(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        with pytest.raises(Exception, match="NOT NULL"):
            store.add_records([record(1.0), record(float("nan"))._replace(sample="b")])
        assert store.records("cell") == []


def test_features_of_other_weights_are_dropped(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.use_features("videomae_glyph", "one")
        store.add_features("videomae_glyph", {"aa11": np.zeros(3, np.float32)})
        store.use_features("videomae_glyph", "one")
        assert store.files.feature("videomae_glyph", "aa11").is_file()
        store.use_features("videomae_glyph", "two")
        assert not store.files.feature("videomae_glyph", "aa11").is_file()


def test_a_broken_run_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(EvalError, match=r"run\.json: not valid JSON"):
        read_json(tmp_path / "run.json")
    assert read_json(tmp_path / "none.json") == {}


def test_status_of_a_large_store_counts_what_the_database_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eval.store import status as module

    folder = tmp_path / "run"
    with Store(folder) as store:
        rows = [StoredClip("c", f"s{i}", 0, f"{i:064x}", 1.0) for i in range(5)]
        store.add_clip_rows(rows)
        store.add_records(
            Record("c", f"s{i}", 0, metric, 0.5, "", f"{i:064x}", "w" * 64)
            for i in range(3)
            for metric in ("a.b.v1", "c.d.v1")
        )
        store.add_failures([Failure("c", "s4", 0, "measure", "no reason")])
    (folder / "run.json").write_text(
        '{"cells": [{"id": "c", "clips": 6}, {"id": "d", "clips": 1}]}'
    )
    looked = module.status(folder)
    assert (looked.checked, looked.cells[0]) == (True, module.CellStatus("c", 6, 0, 3, 1))
    monkeypatch.setattr(module, "SMALL", 1)
    counted = module.status(folder)  # the clips' files, which are not there, are not looked for
    assert counted.checked is False
    assert counted.cells == [
        module.CellStatus("c", 6, 5, 3, 1),
        module.CellStatus("d", 1, 0, 0, 0),
    ]
    assert module.status(folder, check=True).cells == looked.cells
    (folder / "store.sqlite-wal").touch()  # left by a killed process
    assert module.status(folder).checked is True


def test_clips_that_share_a_file_are_found_without_a_look_at_every_row(tmp_path: Path) -> None:
    """A scan for each stored clip made the time of a run grow with the square of its clips."""
    with Store(tmp_path) as store:
        query = "EXPLAIN QUERY PLAN SELECT * FROM clips WHERE key = ? AND sha256 IS NOT ?"
        steps = [row[-1] for row in store._database.execute(query, ["k", "d"])]
        store._database.execute("DROP INDEX clips_by_key")  # as in a store of an older version
    assert steps == ["SEARCH clips USING INDEX clips_by_key (key=?)"]
    with Store(tmp_path) as store:
        again = [row[-1] for row in store._database.execute(query, ["k", "d"])]
    assert again == steps
