"""The training loop: trains only the adapter, and continues where it stopped."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from i2v_adapter.adapter import I2VAdapter
from i2v_adapter.training.loss import i2v_loss
from i2v_adapter.training.state import read_state, write_state

if TYPE_CHECKING:
    from accelerate import Accelerator
    from diffusers.training_utils import EMAModel

Batch = Mapping[str, Any]
STATE_NAME = "training_state.pt"


class TrainingResult(NamedTuple):
    """What :func:`train` did: `step` steps in all, and the losses of those that this call ran."""

    step: int
    losses: list[float]


class _Objective(nn.Module):
    """The loss as a module whose parameters are the adapter's alone, so that accelerate wraps just
    those.
    """

    def __init__(
        self,
        adapter: I2VAdapter,
        unet: nn.Module,
        scheduler: Any,
        snr_gamma: float | None,
        snr_floor: float,
    ) -> None:
        super().__init__()
        self.adapter = adapter
        self._frozen = (unet, scheduler, snr_gamma, snr_floor)

    def forward(self, batch: Batch, timesteps: Tensor, noise: Tensor) -> Tensor:
        unet, scheduler, snr_gamma, snr_floor = self._frozen
        return i2v_loss(
            unet,
            scheduler,
            batch["latents"],
            timesteps,
            noise,
            batch["encoder_hidden_states"],
            batch.get("added_cond_kwargs"),
            snr_gamma,
            snr_floor,
        )


def train(
    adapter: I2VAdapter,
    unet: nn.Module,
    batches: Iterable[Batch] | Callable[[int], Batch],
    *,
    scheduler: Any,
    steps: int,
    learning_rate: float = 1e-4,
    weight_decay: float = 1e-2,
    max_grad_norm: float = 1.0,
    lr_schedule: Callable[[int], float] | None = None,
    snr_gamma: float | None = None,
    snr_floor: float = 0.0,
    seed: int = 0,
    state_dir: str | os.PathLike[str] | None = None,
    save_every: int = 500,
    on_step: Callable[[int, float], None] | None = None,
    accelerator: Accelerator | None = None,
    ema: EMAModel | None = None,
) -> TrainingResult:
    """Train the adapter with AdamW on a frozen UNet, until `steps` steps are done in all.

    The UNet is frozen (`requires_grad_(False)`) and its weights are not touched; the adapter is
    attached for the time of the training and left as it was found. Timesteps and noise come from a
    generator of their own, seeded by `seed`, drawn on the CPU, so a resumed run takes the same
    draws. Every process draws for all processes and uses its share, so N processes compute
    the gradients of one process on their N batches together.

    Args:
        adapter: trained in place; its parameters should be float32.
        unet: the base, moved to the accelerator's device.
        batches: mappings with `latents` (B, C, F, h, w), `encoder_hidden_states` (B, L, D) or
            (B * F, L, D), and, if the base has a content adapter, `added_cond_kwargs`. Either an
            iterable of at least `steps` of them, of which a resumed run skips those used already,
            or a function of the step number. With gradient accumulation over n batches
            (`Accelerator(gradient_accumulation_steps=n)`) a step takes n of them, and the function
            is called with step * n, step * n + 1, ...; with several processes each gives its own
            batches, of one size.
        scheduler: training noise schedule, see :func:`i2v_loss`.
        steps: number of the last step, those of earlier calls that saved to `state_dir` included.
        learning_rate: of AdamW, constant unless `lr_schedule` says otherwise (paper, section 4.1).
        weight_decay: of AdamW.
        max_grad_norm: gradients are clipped to this norm.
        lr_schedule: step number -> factor on the learning rate.
        snr_gamma, snr_floor: see :func:`i2v_loss`.
        seed: of timesteps and noise.
        state_dir: folder of the resumable state (adapter, optimizer, step, generator, moving
            average, loss scale), written after every `save_every` steps and at the end, and read
            first when it is there. None: nothing is kept.
        save_every: steps between two saves.
        on_step: called with (number of steps done, mean loss of the step's batches, of all
            processes) after each step.
        accelerator: one set up for mixed precision, accumulation or several processes; by
            default a plain one.
        ema: moving average of the adapter's parameters, made from them by the caller; updated
            after each step.

    Raises:
        TrainingError: the state cannot be written, or the one to go on from is damaged.
        ValueError: the batches end before `steps`, or the state was saved without the moving
            average asked for.
        RuntimeError: a parameter of the base would be trained, or one of the adapter would not.

    Examples:
        >>> from accelerate import Accelerator
        >>> from i2v_adapter.tiny import tiny_components
        >>> parts = tiny_components()
        >>> clips, text = torch.zeros(2, 4, 5, 8, 8), torch.zeros(2, 7, 32)
        >>> result = train(
        ...     parts["i2v_adapter"],
        ...     parts["unet"],
        ...     [{"latents": clips, "encoder_hidden_states": text}] * 3,
        ...     scheduler=parts["scheduler"],
        ...     steps=3,
        ...     accelerator=Accelerator(cpu=True),
        ... )
        >>> result.step, len(result.losses)
        (3, 3)
    """
    if accelerator is None:
        from accelerate import Accelerator

        accelerator = Accelerator()
    device = accelerator.device
    unet.requires_grad_(False).to(device)
    unet.zero_grad(set_to_none=True)
    adapter.requires_grad_(True).to(device)
    objective = _Objective(adapter, unet, scheduler, snr_gamma, snr_floor)
    optimizer = torch.optim.AdamW(adapter.parameters(), lr=learning_rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lr_schedule or (lambda _: 1.0))
    generator = torch.Generator().manual_seed(seed)
    if ema is not None:
        ema.to(device)

    state_path = None if state_dir is None else Path(state_dir) / STATE_NAME
    done = 0
    if state_path is not None and state_path.is_file():
        state = read_state(state_path)
        adapter.load_state_dict(state["adapter"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        generator.set_state(state["generator"])
        done = state["step"]
        if accelerator.scaler is not None and "scaler" in state:
            accelerator.scaler.load_state_dict(state["scaler"])
        if ema is not None:
            if "ema" not in state:
                raise ValueError(
                    f"{state_path} holds no moving average: go on without ema, or start in another "
                    "folder"
                )
            ema.load_state_dict(state["ema"])
            ema.to(device)
    model, optimizer = accelerator.prepare(objective, optimizer)

    accumulated = accelerator.gradient_accumulation_steps
    losses: list[float] = []
    parts: list[Tensor] = []
    with adapter.attached(unet):
        for batch in _between(batches, done * accumulated, steps * accumulated):
            batch = _to_device(batch, device)
            timesteps, noise = _draw(batch["latents"], scheduler, generator, accelerator)
            with accelerator.accumulate(model):
                with accelerator.autocast():
                    loss = model(batch, timesteps, noise)
                accelerator.backward(loss)
            parts.append(loss.detach())
            if not accelerator.sync_gradients:
                continue
            if not losses:
                _assert_only_the_adapter_trains(adapter, unet)
            accelerator.clip_grad_norm_(adapter.parameters(), max_grad_norm)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            if ema is not None:
                ema.step(adapter.parameters())
            done += 1
            losses.append(accelerator.gather(torch.stack(parts)).mean().item())
            parts.clear()
            if (
                state_path is not None
                and accelerator.is_main_process
                and (done % save_every == 0 or done == steps)
            ):
                _save(
                    state_path,
                    adapter,
                    optimizer,
                    schedule,
                    generator,
                    done,
                    ema,
                    accelerator.scaler,
                )
            if on_step is not None:
                on_step(done, losses[-1])
    if done < steps:
        raise ValueError(f"the batches ended after step {done}, but {steps} steps were asked for")
    return TrainingResult(done, losses)


def _between(
    batches: Iterable[Batch] | Callable[[int], Batch], start: int, stop: int
) -> Iterator[Batch]:
    if callable(batches):
        return (batches(number) for number in range(start, stop))
    return islice(batches, start, stop)


def _draw(
    latents: Tensor, scheduler: Any, generator: torch.Generator, accelerator: Accelerator
) -> tuple[Tensor, Tensor]:
    """Timesteps and noise of this process: its share of what is drawn for all."""
    size = latents.shape[0]
    everyone = size * accelerator.num_processes
    mine = slice(accelerator.process_index * size, (accelerator.process_index + 1) * size)
    timesteps = torch.randint(
        0, scheduler.config.num_train_timesteps, (everyone,), generator=generator
    )
    noise = torch.randn((everyone, *latents.shape[1:]), generator=generator)
    return timesteps[mine].to(latents.device), noise[mine].to(latents.device, latents.dtype)


def _to_device(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, Mapping):
        return {key: _to_device(item, device) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_to_device(item, device) for item in value)
    return value


def _assert_only_the_adapter_trains(adapter: I2VAdapter, unet: nn.Module) -> None:
    for name, parameter in unet.named_parameters():
        if parameter.requires_grad or parameter.grad is not None:
            raise RuntimeError(
                f"parameter {name} of the base would be trained: only the adapter may be"
            )
    for name, parameter in adapter.named_parameters():
        if parameter.grad is None:
            raise RuntimeError(
                f"parameter {name} of the adapter gets no gradient: is the adapter attached?"
            )


def _save(
    path: Path,
    adapter: I2VAdapter,
    optimizer: Any,
    schedule: Any,
    generator: torch.Generator,
    step: int,
    ema: EMAModel | None,
    scaler: Any,
) -> None:
    state = {
        "adapter": adapter.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "generator": generator.get_state(),
        "step": step,
    }
    if ema is not None:
        state["ema"] = ema.state_dict()
    if scaler is not None:
        state["scaler"] = scaler.state_dict()
    write_state(path, state)
