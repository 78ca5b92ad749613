"""The plan of a run's minutes, what is drawn for it, and the shards it leaves."""

from __future__ import annotations

import io
import tarfile
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from eval.errors import EvalError
from eval.world.control import discs
from eval.world.scenes import FRAMES, caption, render
from eval.world.styles import STYLES
from eval.world_training.gpu import timed_training
from eval.world_training.gpu.adapter_stages import discs as discs_on_device
from eval.world_training.gpu.device_clips import Clips
from eval.world_training.gpu.rendering import Rendering, parts
from eval.world_training.gpu.timed_training import STAGES, pack, plan
from eval.world_training.gpu.trainer import Draws
from eval.world_training.latents import clip_scene


@pytest.fixture(scope="module")
def drawn() -> Rendering:
    cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.float32), (9, 9), 2.0)  # OpenCV has its threads
    rendering = Rendering(parts(40), workers=2)
    rendering.wait()
    return rendering


def test_workers_that_draw_nothing_are_named(monkeypatch):
    monkeypatch.setattr(Rendering, "_work", lambda self, worker, workers: time.sleep(60.0))
    with pytest.raises(EvalError, match="drew 0 of 3 parts and then none for 1 s"):
        Rendering(parts(40), workers=1).wait(patience=1.0)


def test_the_workers_draw_the_clips_of_the_cpu_recipe(drawn):
    for part in parts(40):
        first, last = drawn.starts[part.name]
        assert last - first == part.clips
        scene = clip_scene(part.seed, 1, wild=part.wild)
        draw = {} if part.style is None else {"draw": STYLES[part.style]}
        assert np.array_equal(drawn.frames[first + 1], render(scene, **draw).frames)
        assert drawn.captions[first + 1].decode() == caption(scene)
        assert drawn.others[first + 1].decode().split()[:3] == caption(scene).split()[:3]


def test_clips_on_the_device_are_those_drawn(drawn):
    clips = Clips(drawn, "cpu")
    clips.finish()
    assert np.array_equal(clips.frames.numpy(), drawn.frames)
    draws = Draws("cpu", 1, 1)
    rows = clips.any_row(draws, 500)
    first, last = drawn.starts["style"]
    assert not ((rows >= first) & (rows < last)).any()
    assert len(set(rows.tolist())) > 20
    first, last = drawn.starts["wild"]
    rows = clips.rows(draws, "wild", 500)
    assert first <= int(rows.min())
    assert int(rows.max()) < last
    image = clips.images(torch.tensor([3]), torch.tensor([2]))[0]
    assert image.permute(1, 2, 0).numpy() == pytest.approx(
        drawn.frames[3, 2] / 127.5 - 1.0, abs=1e-6
    )


def test_a_world_of_128_px_is_drawn_at_its_size():
    rendering = Rendering(parts(4), workers=1, side=128)
    rendering.wait()
    assert rendering.frames.shape[1:] == (16, 128, 128, 3)
    part = parts(4)[1]
    row = rendering.starts[part.name][0] + 1
    scene = clip_scene(part.seed, 1, wild=part.wild).enlarged(128)
    assert np.array_equal(rendering.frames[row], render(scene, 16).frames)
    assert rendering.captions[row].decode() == caption(scene)
    expected = discs(rendering.places[row], 128)
    assert discs_on_device(torch.from_numpy(rendering.places[row]), 128).numpy() == pytest.approx(
        expected, abs=1e-4
    )


def test_discs_are_those_of_the_position_maps(drawn):
    places = drawn.places[:4]
    expected = discs(places)
    assert expected.shape == (4, FRAMES, 64, 64)
    assert discs_on_device(torch.from_numpy(places)).numpy() == pytest.approx(expected, abs=1e-4)


def test_shares_fill_what_is_left_and_a_late_stage_shortens_the_next():
    left, spent = 500.0, 0.0
    for number in range(len(STAGES)):
        seconds = plan(list(STAGES[number:]), left - spent)
        spent += seconds + timed_training._AROUND
    assert spent == pytest.approx(500.0 - timed_training._RESERVE)
    early, late = plan(list(STAGES), 500.0), plan(list(STAGES), 300.0)
    assert late < early
    assert plan(list(STAGES[-1:]), -20.0) == 0.5  # still something, when nothing is left


def test_the_rate_goes_with_the_root_of_the_batch():
    stage = replace(STAGES[0], learning_rate=1e-3)
    assert stage.recipe(60.0, 64, "cpu").learning_rate == pytest.approx(1e-3)
    assert stage.recipe(60.0, 256, "cpu").learning_rate == pytest.approx(2e-3)
    assert stage.recipe(90.0, 64, "cpu").minutes == pytest.approx(1.5)


def test_shards_together_are_the_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(timed_training, "_SHARD", 1000)
    (tmp_path / "weights" / "vae").mkdir(parents=True)
    content = np.random.default_rng(0).bytes(5000)
    (tmp_path / "weights" / "vae" / "model.safetensors").write_bytes(content)
    out = tmp_path / "out"
    out.mkdir()
    pack(tmp_path / "weights", out)
    shards = sorted(out.iterdir(), key=lambda path: int(path.suffix[1:]))
    assert len(shards) > 5
    assert all(path.stat().st_size <= 1000 for path in shards)
    stream = io.BytesIO(b"".join(path.read_bytes() for path in shards))
    with tarfile.open(fileobj=stream) as archive:
        assert archive.extractfile("weights/vae/model.safetensors").read() == content
