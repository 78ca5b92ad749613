"""The training loop for large batches on a GPU: low-precision weights with float32 masters, forward
and backward pass in a CUDA graph, batches drawn on the device.

Step k draws everything from (seed, k) alone, and the state is kept in a checkpoint, as
`eval.world_training.trainer` does: a training that was killed goes on as if nothing had happened.
On a CPU the same loop runs without a graph.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from eval.world_training.steplog import StepLog
from eval.world_training.trainer import Outcome, Recipe
from i2v_adapter.training.state import write_state

_LOG_EVERY = 50  # steps; StepLog's
_SAVE_EVERY = 60.0  # seconds


class Draws:
    """Random numbers on the device for one step."""

    def __init__(self, device: str, seed: int, step: int) -> None:
        self.device = device
        self._generator = torch.Generator(device).manual_seed(seed * 1_000_003 + step)

    def integers(self, high: int, count: int, low: int = 0) -> Tensor:
        """int64 (count,), uniform in [low, high)."""
        return torch.randint(low, high, (count,), generator=self._generator, device=self.device)

    def chance(self, count: int, share: float) -> Tensor:
        """bool (count,), each true with probability `share`."""
        return torch.rand(count, generator=self._generator, device=self.device) < share

    def uniform(self, count: int) -> Tensor:
        """float32 (count,) in [0, 1)."""
        return torch.rand(count, generator=self._generator, device=self.device)

    def normal(self, like: Tensor) -> Tensor:
        """float32 of the shape of `like`."""
        return torch.randn(like.shape, generator=self._generator, device=self.device)


class Task(NamedTuple):
    """One kind of step: `draw` gives a batch of the same shapes each time, `loss` takes it by name;
    `share` of all steps are of this kind."""

    draw: Callable[[Draws], dict[str, Tensor]]
    loss: Callable[..., Tensor]
    share: float = 1.0


def train(
    module: nn.Module,
    tasks: Sequence[Task],
    recipe: Recipe,
    folder: Path,
    *,
    report: Callable[[str], None] = print,
) -> Outcome:
    """Trains those of the module's parameters that require gradients, and returns the module with
    their exponential moving average, all of it in float32 on the CPU.

    The module's dtype is the one it computes in; the optimizer's parameters are float32. Raises
    FloatingPointError on a loss that is not finite (looked at every 50 steps).
    """
    device, graphs = recipe.device, torch.device(recipe.device).type == "cuda"
    parameters = [value for value in module.parameters() if value.requires_grad]
    state = _State(parameters, recipe, fused=graphs)
    log = StepLog(folder, report)
    state.resume(folder / "checkpoint.pt", device)
    first = Draws(device, recipe.seed, state.step)
    steps = [_Step(task, parameters, first, graphs, report) for task in tasks]
    state.copy_to(parameters)  # capturing has not moved them; resuming has
    shares = np.cumsum([task.share for task in tasks])
    started, saved = time.monotonic() - state.seconds, time.monotonic()
    total = torch.zeros((), device=device)
    while (progress := recipe.progress(state.step, state.seconds)) < 1.0:
        draws = Draws(device, recipe.seed, state.step)
        torch.manual_seed(recipe.seed * 1_000_003 + state.step)
        which = np.random.default_rng([recipe.seed, state.step]).random() * shares[-1]
        chosen = steps[int(np.searchsorted(shares, which, side="right"))]
        total += chosen(draws)
        state.update(chosen.gradients, parameters, recipe.rate(state.step, progress))
        if state.step % _LOG_EVERY == 0:
            mean = total.item() / _LOG_EVERY  # waits for the device
            total.zero_()
            if not np.isfinite(mean):
                raise FloatingPointError(f"loss is {mean} near step {state.step} of {folder.name}")
            log(state.step, mean)
        state.seconds = time.monotonic() - started
        if time.monotonic() - saved > _SAVE_EVERY:
            state.save(folder / "checkpoint.pt")
            saved = time.monotonic()
    state.save(folder / "checkpoint.pt")
    nn.Module.to(module, torch.float32)
    with torch.no_grad():
        for value, slow in zip(parameters, state.average, strict=True):
            value.copy_(slow)
    loss = log.loss if state.step >= _LOG_EVERY else float(total) / max(1, state.step)
    return Outcome(nn.Module.to(module, "cpu"), state.step, state.seconds, loss)


class _Step:
    """Forward and backward pass of a task, captured in a CUDA graph where there is CUDA."""

    def __init__(
        self,
        task: Task,
        parameters: Sequence[nn.Parameter],
        draws: Draws,
        graphs: bool,
        report: Callable[[str], None],
    ) -> None:
        self._task, self._parameters = task, parameters
        self._batch = {name: value.clone() for name, value in task.draw(draws).items()}
        self._graph: Any = None
        if not graphs:
            self._find_gradients()
            return
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._find_gradients()
            for _ in range(2):
                self._run()
        torch.cuda.current_stream().wait_stream(stream)
        torch.cuda.synchronize()
        try:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=stream):
                self._loss = self._run()
            self._graph = graph
        except RuntimeError as error:
            torch.cuda.synchronize()
            report(f"no CUDA graph, every kernel is launched by itself: {str(error)[:300]}")

    def _find_gradients(self) -> None:
        """One pass that finds the parameters the task trains, and their gradients' memory."""
        for value in self._parameters:
            value.grad = None
        self._task.loss(**self._batch).backward()
        self.gradients = {
            index: value.grad
            for index, value in enumerate(self._parameters)
            if value.grad is not None
        }

    def _run(self) -> Tensor:
        for index, value in enumerate(self._parameters):
            value.grad = self.gradients.get(index)
        torch._foreach_zero_(list(self.gradients.values()))
        loss = self._task.loss(**self._batch)
        loss.backward()
        return loss.detach()

    def __call__(self, draws: Draws) -> Tensor:
        for name, value in self._task.draw(draws).items():
            self._batch[name].copy_(value)
        if self._graph is None:
            return self._run()
        self._graph.replay()
        return self._loss


class _State:
    """float32 masters of the parameters, their average and the optimizer."""

    def __init__(self, parameters: Iterable[nn.Parameter], recipe: Recipe, fused: bool) -> None:
        self.masters = [nn.Parameter(value.detach().float().clone()) for value in parameters]
        self.average = [value.detach().clone() for value in self.masters]
        self._gradients = [torch.zeros_like(value) for value in self.masters]
        self.optimizer = torch.optim.AdamW(
            self.masters, recipe.learning_rate, weight_decay=recipe.weight_decay, fused=fused
        )
        self.step, self.seconds, self._decay = 0, 0.0, recipe.ema_decay

    @torch.no_grad()
    def update(
        self, gradients: dict[int, Tensor], parameters: Sequence[nn.Parameter], rate: float
    ) -> None:
        """One step of the optimizer and of the average. `gradients`, by the parameter's number."""
        used = list(gradients)
        torch._foreach_copy_([self._gradients[index] for index in used], list(gradients.values()))
        for index, master in enumerate(self.masters):
            master.grad = self._gradients[index] if index in gradients else None
        torch.nn.utils.clip_grad_norm_([self.masters[index] for index in used], 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        now = min(self._decay, (1.0 + self.step) / (10.0 + self.step))
        torch._foreach_lerp_(self.average, list(self.masters), 1.0 - now)
        self.copy_to(parameters)
        self.step += 1

    @torch.no_grad()
    def copy_to(self, parameters: Sequence[nn.Parameter]) -> None:
        torch._foreach_copy_(list(parameters), list(self.masters))

    def save(self, path: Path) -> None:
        state = {
            "masters": [value.detach() for value in self.masters],
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        write_state(path, state)

    @torch.no_grad()
    def resume(self, path: Path, device: str) -> None:
        if not path.exists():
            return
        state = torch.load(path, map_location=device, weights_only=True)
        torch._foreach_copy_(list(self.masters), state["masters"])
        torch._foreach_copy_(self.average, state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]


def in_dtype(model: Callable, dtype: torch.dtype) -> Callable:
    """`model`, with every floating-point tensor it is called with brought to `dtype` first: the
    losses noise their latents in float32."""

    def call(*positional: Any, **named: Any) -> Any:
        return model(*_cast(positional, dtype), **_cast(named, dtype))

    return call


def _cast(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, dict):
        return {name: _cast(part, dtype) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_cast(part, dtype) for part in value)
    return value
