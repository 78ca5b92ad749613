"""The training loop that every stage of the glyph world shares: resumable, with an EMA, a budget
and a log.

Step k draws its data and its noise from (seed, k) alone, so a run that was killed and resumed sees
what an undisturbed one sees.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from eval.world_training.steplog import StepLog, plot_logs
from i2v_adapter.training.state import write_state

_WARM_UP = 100  # steps
_SAVE_EVERY = 60.0  # seconds


class Enough(NamedTuple):
    """A stage's stopping rule: the figure it is trained for, measured every so many steps, has
    reached this value.
    """

    figure: str
    at_least: float
    every: int = 500


@dataclass(frozen=True)
class Recipe:
    """What a stage asks for. The learning rate warms up, then falls along a cosine over `steps`, or
    over `minutes` of training time where that is the tighter limit; `enough` may end it earlier."""

    steps: int
    learning_rate: float
    seed: int
    minutes: float | None = None
    weight_decay: float = 0.0
    ema_decay: float = 0.999
    enough: Enough | None = None
    device: str = "cpu"

    def autocast(self) -> torch.autocast:
        """bfloat16 where it is safe, on the recipe's device."""
        return torch.autocast(self.device, torch.bfloat16)

    def progress(self, step: int, seconds: float) -> float:
        done = step / self.steps
        return min(
            1.0, done if self.minutes is None else max(done, seconds / (60.0 * self.minutes))
        )

    def rate(self, step: int, progress: float) -> float:
        cosine = 0.5 * (1.0 + math.cos(math.pi * progress))
        return self.learning_rate * min(1.0, (step + 1) / _WARM_UP) * (0.02 + 0.98 * cosine)


class Outcome:
    """The averaged module and what it cost."""

    def __init__(self, module: nn.Module, steps: int, seconds: float, loss: float) -> None:
        self.module, self.steps, self.seconds, self.loss = module, steps, seconds, loss


def train(
    module: nn.Module,
    loss_of: Callable[[np.random.Generator], torch.Tensor],
    recipe: Recipe,
    folder: Path,
    *,
    parameters: Iterable[nn.Parameter] | None = None,
    figures: Callable[[nn.Module], dict[str, float]] | None = None,
    report: Callable[[str], None] = print,
) -> Outcome:
    """Trains `module` in place on the recipe's device and returns its exponential moving average,
    on the CPU.

    `loss_of(rng)` computes the loss of one fresh batch; torch's global generator is seeded for each
    step beside it. `figures(averaged module)` is what `recipe.enough` looks at. `folder` keeps
    `checkpoint.pt` (resumed when present), `log.jsonl` and its curve, `log.png`. Raises
    FloatingPointError on a loss that is not finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    module.to(recipe.device)
    trained = list(module.parameters() if parameters is None else parameters)
    optimizer = torch.optim.AdamW(
        trained, lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    average = AveragedModel(module, multi_avg_fn=_warming_average(recipe.ema_decay))
    log = StepLog(folder, report)
    step, log.seconds = _resume(folder, module, average, optimizer)
    saved = time.monotonic()
    while (progress := recipe.progress(step, log.seconds)) < 1.0:
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step, progress)
        rng = np.random.default_rng([recipe.seed, step])
        torch.manual_seed(int(rng.integers(2**62)))
        value = loss_of(rng)
        if not torch.isfinite(value):
            raise FloatingPointError(
                f"loss is {value.item()} at step {step} of {folder.name}; last checkpoint kept"
            )
        value.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        average.update_parameters(module)
        step += 1
        log(step, value.item())
        if _is_enough(recipe, step, average.module, figures, log):
            break
        if time.monotonic() - saved > _SAVE_EVERY:
            _save(folder, module, average, optimizer, step, log.seconds)
            saved = time.monotonic()
    _save(folder, module, average, optimizer, step, log.seconds)
    plot_logs([folder / "log.jsonl"], folder / "log.png")
    return Outcome(average.module.to("cpu"), step, log.seconds, log.loss)


def _is_enough(
    recipe: Recipe,
    step: int,
    module: nn.Module,
    figures: Callable[[nn.Module], dict[str, float]] | None,
    log: StepLog,
) -> bool:
    if recipe.enough is None or figures is None or step % recipe.enough.every:
        return False
    found = figures(copy.deepcopy(module).to("cpu").eval())
    log.figures(step, found)
    return found[recipe.enough.figure] >= recipe.enough.at_least


def _warming_average(decay: float) -> Callable[..., None]:
    """An EMA that forgets its start: its decay grows to `decay` with the number of steps taken."""

    @torch.no_grad()
    def average(
        averaged: list[torch.Tensor], current: list[torch.Tensor], taken: torch.Tensor
    ) -> None:
        now = min(decay, (1.0 + float(taken)) / (10.0 + float(taken)))
        for slow, fast in zip(averaged, current, strict=True):
            slow.lerp_(fast.to(slow.dtype), 1.0 - now)

    return average


def _save(
    folder: Path,
    module: nn.Module,
    average: AveragedModel,
    optimizer: torch.optim.Optimizer,
    step: int,
    seconds: float,
) -> None:
    state = {
        "module": module.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "seconds": seconds,
    }
    write_state(folder / "checkpoint.pt", state)


def _resume(
    folder: Path, module: nn.Module, average: AveragedModel, optimizer: torch.optim.Optimizer
) -> tuple[int, float]:
    path = folder / "checkpoint.pt"
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, map_location="cpu", weights_only=True)
    module.load_state_dict(state["module"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"], state["seconds"]
