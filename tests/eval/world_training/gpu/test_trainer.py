"""The loop for a GPU, on the CPU: resuming changes nothing, and the arithmetic is AdamW's."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from eval.world_training.gpu import trainer
from eval.world_training.gpu.trainer import Draws, Task, in_dtype, train
from eval.world_training.trainer import Recipe

RECIPE = Recipe(steps=12, learning_rate=1e-2, seed=1)


def line(dtype: torch.dtype = torch.float32) -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, 1, bias=True).to(dtype)


def task(module: nn.Module, stop_at: int | None = None, share: float = 1.0) -> Task:
    seen = []

    def draw(draws: Draws) -> dict[str, torch.Tensor]:
        seen.append(1)
        if stop_at is not None and len(seen) == stop_at:
            raise KeyboardInterrupt
        return {"x": draws.normal(torch.zeros(8, 3))}

    def loss(x: torch.Tensor) -> torch.Tensor:
        said = in_dtype(module, next(module.parameters()).dtype)(x)
        return (said.float() - x.sum(dim=1, keepdim=True)).square().mean()

    return Task(draw, loss, share)


def test_a_killed_training_ends_where_an_undisturbed_one_does(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "_SAVE_EVERY", -1.0)
    whole = line()
    undisturbed = train(whole, [task(whole)], RECIPE, tmp_path / "whole", report=lambda _: None)
    first = line()
    with pytest.raises(KeyboardInterrupt):
        train(first, [task(first, 8)], RECIPE, tmp_path / "halves", report=lambda _: None)
    second = line()
    resumed = train(second, [task(second)], RECIPE, tmp_path / "halves", report=lambda _: None)
    assert resumed.steps == undisturbed.steps == 12
    for one, other in zip(whole.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


def test_one_task_in_float32_is_torchs_own_adamw(tmp_path):
    """Against a plain loop: same draws, AdamW, gradient clip and average."""
    module, plain = line(), line()
    outcome = train(module, [task(module)], RECIPE, tmp_path, report=lambda _: None)
    optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-2, weight_decay=0.0)
    average = [value.detach().clone() for value in plain.parameters()]
    for step in range(12):
        x = Draws("cpu", RECIPE.seed, step).normal(torch.zeros(8, 3))
        optimizer.param_groups[0]["lr"] = RECIPE.rate(step, step / 12)
        optimizer.zero_grad()
        (plain(x) - x.sum(dim=1, keepdim=True)).square().mean().backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        optimizer.step()
        decay = min(0.999, (1 + step) / (10 + step))
        average = [
            decay * slow + (1 - decay) * fast.detach()
            for slow, fast in zip(average, plain.parameters(), strict=True)
        ]
    for slow, value in zip(average, outcome.module.parameters(), strict=True):
        assert torch.allclose(slow, value, atol=1e-6)


def test_low_precision_weights_learn_steps_that_they_cannot_hold(tmp_path):
    """A hundred updates of 1e-5 are lost in bfloat16 next to 1, and kept by the masters."""
    module = nn.Linear(1, 1, bias=False).bfloat16()
    nn.init.ones_(module.weight)
    falling = Task(lambda draws: {"x": torch.ones(1, 1)}, lambda x: module(x.bfloat16()).sum())
    recipe = Recipe(steps=100, learning_rate=1e-5, seed=1, ema_decay=0.0)
    outcome = train(module, [falling], recipe, tmp_path, report=lambda _: None)
    moved = 1.0 - outcome.module.weight.item()
    expected = sum(recipe.rate(step, step / 100) for step in range(100))  # Adam's step is the rate
    assert moved == pytest.approx(expected, rel=0.01)


def test_a_task_moves_only_the_parameters_it_uses(tmp_path):
    both = nn.ModuleList([line(), line()])
    before = both[1].weight.detach().clone()
    train(both, [task(both[0])], replace(RECIPE, weight_decay=0.1), tmp_path, report=lambda _: None)
    assert torch.equal(both[1].weight, before)


def test_tasks_have_their_shares(tmp_path):
    module, counts = line(), [0, 0]

    def counted(index: int, share: float) -> Task:
        usual = task(module)

        def draw(draws: Draws) -> dict[str, torch.Tensor]:
            counts[index] += 1
            return usual.draw(draws)

        return Task(draw, usual.loss, share)

    recipe = replace(RECIPE, steps=400)
    train(module, [counted(0, 0.75), counted(1, 0.25)], recipe, tmp_path, report=lambda _: None)
    assert counts[0] - 1 == pytest.approx(300, abs=30)  # 3.5 standard deviations; one draw prepares
    assert sum(counts) == 402


def test_a_loss_that_is_not_finite_stops(tmp_path):
    module = line()
    broken = Task(lambda draws: {}, lambda: module.weight.sum() * float("nan"))
    with pytest.raises(FloatingPointError, match="nan near step 50"):
        train(module, [broken], replace(RECIPE, steps=60), tmp_path, report=lambda _: None)
