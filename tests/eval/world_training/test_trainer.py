"""The training loop: resuming changes nothing, the average is the average."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from eval.world_training import trainer
from eval.world_training.trainer import Enough, Recipe, train

RECIPE = Recipe(steps=12, learning_rate=1e-2, seed=1)


def loss_of_line(module, stop_at=None, seen=None):
    def loss_of(rng):
        x = torch.from_numpy(rng.standard_normal((8, 3))).float()
        if seen is not None:
            seen.append(float(x[0, 0]))
            if stop_at == len(seen):
                raise KeyboardInterrupt
        return (module(x) - x.sum(dim=1, keepdim=True) + 0.1 * torch.randn(8, 1)).square().mean()

    return loss_of


def line() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, 1)


def test_a_killed_training_ends_where_an_undisturbed_one_does(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "_SAVE_EVERY", -1.0)
    whole = line()
    undisturbed = train(
        whole, loss_of_line(whole), RECIPE, tmp_path / "whole", report=lambda _: None
    )
    first, seen = line(), []
    with pytest.raises(KeyboardInterrupt):
        train(
            first, loss_of_line(first, 8, seen), RECIPE, tmp_path / "halves", report=lambda _: None
        )
    second = line()
    resumed = train(
        second, loss_of_line(second), RECIPE, tmp_path / "halves", report=lambda _: None
    )
    assert resumed.steps == undisturbed.steps == 12
    again = train(line(), loss_of_line(second), RECIPE, tmp_path / "whole", report=lambda _: None)
    assert again.steps == 12
    assert again.seconds == pytest.approx(undisturbed.seconds)
    for one, other in zip(
        undisturbed.module.parameters(), resumed.module.parameters(), strict=True
    ):
        assert torch.equal(one, other)


def test_the_average_follows_its_recurrence(tmp_path):
    module, history = line(), []
    loss_of = loss_of_line(module)

    def recorded(rng):
        history.append(module.weight.detach().clone())
        return loss_of(rng)

    outcome = train(module, recorded, RECIPE, tmp_path, report=lambda _: None)
    history.append(module.weight.detach().clone())
    expected = history[1]
    for taken, weight in enumerate(history[2:], start=1):
        decay = min(0.999, (1 + taken) / (10 + taken))
        expected = decay * expected + (1 - decay) * weight
    assert torch.allclose(outcome.module.weight, expected, atol=1e-6)


def test_buffers_are_copied_not_averaged(tmp_path):
    module = line()
    module.register_buffer("causal_mask", torch.full((2, 2), float("-inf")).triu(1))
    outcome = train(module, loss_of_line(module), RECIPE, tmp_path, report=lambda _: None)
    assert torch.equal(outcome.module.causal_mask, module.causal_mask)


def test_a_loss_that_is_not_finite_stops_with_the_step(tmp_path):
    module = line()
    with pytest.raises(FloatingPointError, match="nan at step 0"):
        train(module, lambda rng: module.weight.sum() * float("nan"), RECIPE, tmp_path)


def test_training_stops_once_its_figure_is_reached(tmp_path):
    module = line()
    recipe = replace(RECIPE, enough=Enough("likeness", 0.5, every=3))
    measured = iter([0.2, 0.7, 0.9])
    outcome = train(
        module,
        loss_of_line(module),
        recipe,
        tmp_path,
        figures=lambda _: {"likeness": next(measured)},
        report=lambda _: 0,
    )
    lines = [json.loads(text) for text in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert outcome.steps == 6
    assert [(entry["step"], entry["likeness"]) for entry in lines if "likeness" in entry] == [
        (3, 0.2),
        (6, 0.7),
    ]
    assert (tmp_path / "log.png").stat().st_size > 1000


def test_a_kept_log_has_each_training_once(tmp_path):
    from eval.world_training.steplog import keep_log, plot_logs

    kept = tmp_path / "logs" / "line.jsonl"
    for training, losses in enumerate(([3.0, 2.0], [1.5], [1.0])):
        folder = tmp_path / f"run{min(training, 1)}"
        folder.mkdir(exist_ok=True)
        lines = [
            {"step": step, "seconds": 60.0 * step, "loss": loss} for step, loss in enumerate(losses)
        ]
        (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        keep_log(folder, kept, min(training, 1))
    stood = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [(line["training"], line["loss"]) for line in stood] == [(0, 3.0), (0, 2.0), (1, 1.0)]
    keep_log(
        tmp_path / "run1", kept, 0
    )  # from scratch again: the later training's weights are gone
    assert [json.loads(line)["loss"] for line in kept.read_text().splitlines()] == [1.0]
    plot_logs([kept, tmp_path / "absent.jsonl"], tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_a_card_remembers_earlier_trainings(tmp_path):
    from eval.world.cards import training_history, write_card

    assert training_history(tmp_path) == []
    write_card(tmp_path, command="first", steps=3, figures={"psnr_unseen": 20.0})
    first = training_history(tmp_path)
    write_card(tmp_path, before=first, command="second", steps=5)
    assert training_history(tmp_path) == [
        {"command": "first", "steps": 3},
        {"command": "second", "steps": 5},
    ]


def test_the_rate_warms_up_and_falls():
    recipe = Recipe(steps=1000, learning_rate=1.0, seed=0)
    assert recipe.rate(0, 0.0) == pytest.approx(0.01)
    assert recipe.rate(500, 0.5) == pytest.approx(0.51)
    assert recipe.rate(1000, 1.0) == pytest.approx(0.02)


def test_a_budget_in_minutes_ends_the_schedule_early():
    recipe = Recipe(steps=1000, learning_rate=1.0, seed=0, minutes=1.0)
    assert recipe.progress(10, 30.0) == pytest.approx(0.5)
    assert recipe.progress(900, 30.0) == pytest.approx(0.9)
    assert recipe.progress(10, 90.0) == 1.0


def test_sinkhorn_shares_the_prototypes_equally():
    from eval.world_training.stages.dino import sinkhorn

    assigned = sinkhorn(
        torch.randn(64, 8, generator=torch.Generator().manual_seed(0)), 0.5, iterations=50
    )
    assert assigned.sum(dim=1).numpy() == pytest.approx(np.ones(64), abs=1e-4)
    assert assigned.sum(dim=0).numpy() == pytest.approx(np.full(8, 8.0), rel=1e-2)


def test_min_snr_weights():
    from eval.world_training.stages.epsilon import min_snr_weights

    alphas = torch.tensor([0.99, 0.5])  # SNR 99 and 1
    assert min_snr_weights(alphas, torch.tensor([0, 1])).numpy() == pytest.approx(
        [5.0 / 99.0, 1.0], rel=1e-4
    )
    floored = min_snr_weights(
        torch.tensor([0.2, 0.99]), torch.tensor([0, 1]), floor=0.5
    )  # SNR 1/4 and 99
    assert floored.numpy() == pytest.approx([2.0, 5.0 / 99.0], rel=1e-4)
