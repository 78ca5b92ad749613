"""Killed at any moment, a training goes on where it saved last and ends with the weights of an
undisturbed one.

`nox -s torture` kills a hundred times; the tests, a few.
"""

import multiprocessing
import os
import random
import time
from pathlib import Path

import torch
from diffusers import DDIMScheduler

from i2v_adapter import I2VAdapter, train
from tests.i2v_adapter.conftest import make_unet
from tests.i2v_adapter.training.test_loop import batch_of

KILLS = int(os.environ.get("TORTURE_KILLS", "3"))
SEED = int(os.environ.get("TORTURE_SEED", "0"))
STEPS = 12


def _train(state: Path) -> None:
    """Saves at every step, so that many kills fall into a save."""
    torch.set_num_threads(1)
    unet = make_unet()
    torch.manual_seed(1)
    adapter = I2VAdapter.from_unet(unet)
    train(
        adapter,
        unet,
        batch_of,
        scheduler=DDIMScheduler(clip_sample=False),
        steps=STEPS,
        learning_rate=1e-3,
        state_dir=state,
        save_every=1,
    )
    adapter.save_pretrained(state / "adapter")


def test_killed_and_started_again_ends_with_the_same_weights(tmp_path: Path) -> None:
    context, draw = multiprocessing.get_context("forkserver"), random.Random(SEED)
    context.set_forkserver_preload(["tests.i2v_adapter.training.test_killed"])

    def start(state: Path) -> multiprocessing.process.BaseProcess:
        process = context.Process(target=_train, args=(state,))
        process.start()
        return process

    start(tmp_path / "warm").join()
    before = time.monotonic()
    whole = start(tmp_path / "whole")
    whole.join()
    length = time.monotonic() - before
    assert whole.exitcode == 0
    expected = {path.name: path.read_bytes() for path in (tmp_path / "whole/adapter").iterdir()}

    kills = rounds = 0
    while kills < KILLS:
        state = tmp_path / f"round-{rounds}"
        rounds += 1
        code: int | None = -9
        while code == -9:
            process = start(state)
            if kills < KILLS:
                process.join(draw.uniform(0, length))
                process.kill()
            process.join()
            code = process.exitcode
            kills += code == -9
        assert code == 0
        found = {path.name: path.read_bytes() for path in (state / "adapter").iterdir()}
        assert found == expected
        assert not [path for path in state.rglob("*") if ".partial" in path.name]
    print(f"{kills} kills in {rounds} trainings")
