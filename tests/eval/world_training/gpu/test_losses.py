"""The stages on a GPU compute the losses of the CPU recipe: same clips, noise, timesteps and
guidance dropout, in float32, with the weights that ship."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from diffusers import UNetMotionModel
from diffusers.models.attention_processor import AttnProcessor

from eval.world import models
from eval.world.cards import load
from eval.world.models import WEIGHTS
from eval.world.scenes import FRAMES
from eval.world_training import generator_stages
from eval.world_training.context import (
    Context,
    published_base,
    published_image_encoder,
    published_vae,
)
from eval.world_training.gpu import adapter_stages
from eval.world_training.gpu.device_clips import Clips
from eval.world_training.gpu.rendering import Rendering, parts
from eval.world_training.gpu.size import SIZES
from eval.world_training.gpu.stage_setup import StageSetup
from eval.world_training.latents import LatentSet
from eval.world_training.stages import concat, content, i2v, lora
from eval.world_training.trainer import Recipe
from i2v_adapter.training import i2v_loss

CHANCES = np.array([0.03, 0.07, 0.12, 0.4, 0.6, 0.8, 0.02, 0.95])
"""What decides about guidance dropout: of the first three the text, the image and both are left
out."""


class Chosen:
    """Random numbers that are chosen, for both ways to draw: numpy's generator and `Draws`."""

    def __init__(self, clips: int) -> None:
        rng = np.random.default_rng(5)
        self._clips = clips
        self._noise = torch.from_numpy(rng.standard_normal(8 * 8 * FRAMES * 64)).float()
        self._drawn = {
            high: rng.integers(high // 2, high, size=8) for high in (clips, FRAMES, 1000)
        }

    def integers(self, *limits: int, size: int | None = None, low: int = 0):
        high = limits[-1] if size is not None else limits[0]
        found = self._drawn[high][: limits[-1] if size is None else size]
        return torch.from_numpy(found) if size is None else found

    def random(self, shape):
        return CHANCES[: int(np.prod(shape))].reshape(shape)

    def rows(self, count: int):
        return torch.from_numpy(self._drawn[self._clips][:count])

    def uniform(self, count: int):
        return torch.from_numpy(CHANCES[:count])

    def chance(self, count: int, share: float):
        return self.uniform(count) < share

    def normal(self, like: torch.Tensor):
        return self._noise[: like.numel()].reshape(like.shape)


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> Context:
    return Context(tmp_path_factory.mktemp("work"), WEIGHTS, None, "a test")


@pytest.fixture(scope="module")
def clips(context) -> Clips:
    rendering = Rendering(parts(16), workers=1)
    clips = Clips(rendering, "cpu")
    clips.finish()
    tokenizer, text_encoder, _ = published_base(context)
    clips.tokenize(tokenizer)
    clips.encode(published_vae(context))
    clips.read(text_encoder)
    return clips


@pytest.fixture
def chosen(clips, monkeypatch) -> Chosen:
    chosen = Chosen(len(clips.frames))
    monkeypatch.setattr(clips, "rows", lambda draws, part, count: chosen.rows(count))
    monkeypatch.setattr(torch, "randn_like", chosen.normal)
    monkeypatch.setattr(Recipe, "autocast", lambda recipe: nullcontext())
    monkeypatch.setattr(i2v, "BATCH", 4)
    return chosen


class Stopped(Exception):
    """A stage has said what it would train with."""


def on_gpu(stage: Callable, context: Context, clips: Clips, chosen: Chosen, batch: int) -> float:
    """The first loss of a GPU stage, computed on the CPU."""

    class Held(StageSetup):
        def train(self, stage, module, tasks, recipe):
            (task,) = tasks
            with torch.no_grad():
                raise Stopped(float(task.loss(**task.draw(chosen))))

    setup = Held(context, clips, SIZES["coarse"], batch, torch.float32, AttnProcessor())
    with pytest.raises(Stopped) as stopped:
        stage(setup, Recipe(1, 1e-3, 1))
    return stopped.value.args[0]


def on_cpu(
    stage: Callable, module, context: Context, clips: Clips, chosen: Chosen, monkeypatch
) -> float:
    """The first loss of the recipe's stage; `module` is where it lies."""

    def stop(trained, loss_of, recipe, folder):
        with torch.no_grad():
            raise Stopped(float(loss_of(chosen)))

    data = LatentSet(clips.latents, clips.tokens, clips.frames[:, 0])
    monkeypatch.setattr(generator_stages, "encoded_clips", lambda *known, **named: data)
    monkeypatch.setattr(module, "train", stop)
    with pytest.raises(Stopped) as stopped:
        stage(context)
    return stopped.value.args[0]


def test_content(context, clips, chosen, monkeypatch):
    """From the published content adapter: the images hardly matter to a new one."""
    monkeypatch.setattr(content, "BATCH", FRAMES)
    adapter = models.published_ip_adapter(WEIGHTS)
    monkeypatch.setattr(models, "new_ip_adapter", lambda unet: adapter)
    monkeypatch.setattr(models, "image_encoder", lambda side=64: published_image_encoder(context))
    gpu = on_gpu(adapter_stages.train_content, context, clips, chosen, 1)
    cpu = on_cpu(generator_stages.content, content, context, clips, chosen, monkeypatch)
    assert gpu == pytest.approx(cpu, rel=1e-5)


def test_concat(context, clips, chosen, monkeypatch):
    """From the published one: a base that was just widened does not see the image yet."""
    monkeypatch.setattr(
        "eval.world.concatenation.widen", lambda unet: load(UNetMotionModel, WEIGHTS / "concat")
    )
    gpu = on_gpu(adapter_stages.train_concat, context, clips, chosen, 4)
    cpu = on_cpu(generator_stages.concat, concat, context, clips, chosen, monkeypatch)
    assert gpu == pytest.approx(cpu, rel=1e-4)


def test_lora(context, clips, chosen, monkeypatch):
    gpu = on_gpu(adapter_stages.train_lora, context, clips, chosen, 4)
    cpu = on_cpu(generator_stages.lora, lora, context, clips, chosen, monkeypatch)
    assert gpu == pytest.approx(cpu, rel=1e-4)


def test_i2v(context, clips, chosen, monkeypatch):
    """The recipe's stage gives its batch to `i2v_adapter.training.train`, which takes this loss."""
    gpu = on_gpu(adapter_stages.train_i2v, context, clips, chosen, 4)
    # A real one would leave its bfloat16 to every later Accelerator of this process.
    monkeypatch.setattr("accelerate.Accelerator", lambda **named: None)
    monkeypatch.setattr(np.random, "default_rng", lambda seed: chosen)

    def stop(adapter, unet, batch, *, scheduler, snr_gamma, snr_floor, **named):
        adapter.attach(unet)
        known = batch(0)
        latents = known.pop("latents")
        with torch.no_grad():
            loss = i2v_loss(
                unet,
                scheduler,
                latents,
                chosen.integers(1000, len(latents)),
                chosen.normal(latents),
                **known,
                snr_gamma=snr_gamma,
                snr_floor=snr_floor,
            )
        raise Stopped(float(loss))

    monkeypatch.setattr("i2v_adapter.training.train", stop)
    data = LatentSet(clips.latents, clips.tokens, clips.frames[:, 0])
    monkeypatch.setattr(generator_stages, "encoded_clips", lambda *known, **named: data)
    with pytest.raises(Stopped) as stopped:
        generator_stages.i2v(context)
    assert gpu == pytest.approx(stopped.value.args[0], rel=1e-4)
