"""Clips that are read on a thread before they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from eval.clips.lossless import Clip, encoded
from eval.errors import EvalError
from eval.execute import in_process
from eval.execute.ahead import ReadAhead
from eval.store.store import Store, StoredClip

KEYS = [f"{number:064x}" for number in range(6)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "run") as found:
        contents = [encoded(clip_of(number)) for number in range(len(KEYS))]
        rows = [
            StoredClip("cell", f"s{n}", 0, key, 1.0, False, len(content), digest(content))
            for n, (key, content) in enumerate(zip(KEYS, contents, strict=True))
        ]
        found.add_clips(rows, contents)
        yield found


def clip_of(number: int) -> Clip:
    return Clip(np.random.default_rng(number).integers(0, 256, (3, 8, 10, 3), dtype=np.uint8), 8.0)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def same(found: Clip, number: int) -> bool:
    return bool((found.frames == clip_of(number).frames).all())


def test_clips_are_those_of_the_store_in_turn_again_and_out_of_turn(store):
    with ReadAhead(store, KEYS, 2) as shelf:
        for number in (0, 1, 4, 2, 0, 3, 5, 5):
            assert same(shelf.read(KEYS[number]), number)
    assert store.decoded == 8


def test_no_more_clips_are_held_than_was_said(store):
    with ReadAhead(store, KEYS, 2) as shelf:
        for number, key in enumerate(KEYS):
            assert len(shelf._held) == min(2, len(KEYS) - number)
            shelf.read(key)
        assert not shelf._held


def test_a_damaged_clip_fails_when_it_is_asked_for_and_the_others_are_read(store):
    store.files.clip(KEYS[1]).write_bytes(b"no video")
    with ReadAhead(store, KEYS, 4) as shelf:
        assert same(shelf.read(KEYS[0]), 0)
        for _ in range(2):  # the batch, then the clip alone
            with pytest.raises(EvalError, match=f"{KEYS[1]}.*not the clip that was stored"):
                shelf.read(KEYS[1])
        assert all(same(shelf.read(KEYS[number]), number) for number in (2, 3, 4, 5))


def test_a_clip_that_can_be_read_later_is_read(store):
    content = store.files.clip(KEYS[1]).read_bytes()
    store.files.clip(KEYS[1]).unlink()
    with ReadAhead(store, KEYS, 4) as shelf:
        shelf._held[KEYS[1]].exception()
        store.files.clip(KEYS[1]).write_bytes(content)
        assert same(shelf.read(KEYS[1]), 1)


def test_a_run_on_a_gpu_reads_every_clip_ahead_and_writes_the_records_of_any_run(
    run_toy, suite_content, toy_evaluator, tmp_path, monkeypatch
):
    ahead: list[bool] = []

    class Watched(ReadAhead):
        def read(self, key: str) -> Clip:
            ahead.append(key in self._held)
            return super().read(key)

    monkeypatch.setattr(in_process, "ReadAhead", Watched)
    run_toy(suite_content, "cpu")
    assert not ahead
    monkeypatch.setattr(toy_evaluator, "device", "cpu:0", raising=False)  # taken for a GPU
    run_toy(suite_content, "gpu")
    assert ahead
    assert all(ahead)
    cpu, gpu = ((tmp_path / folder / "records.csv").read_text() for folder in ("cpu", "gpu"))
    assert gpu == cpu
