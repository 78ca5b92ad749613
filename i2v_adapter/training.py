"""Training of the adapter: the loss on the frames after the first, and a loop that trains nothing but the adapter."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from i2v_adapter.adapter import I2VAdapter

if TYPE_CHECKING:
    from accelerate import Accelerator

Batch = Mapping[str, Any]
STATE_NAME = "training_state.pt"


class TrainingResult(NamedTuple):
    """What :func:`train` did: `step` steps in all, and the losses of those that this call ran."""

    step: int
    losses: list[float]


def i2v_loss(
    unet: nn.Module,
    noise_scheduler: Any,
    latents: Tensor,
    timesteps: Tensor,
    noise: Tensor,
    encoder_hidden_states: Tensor,
    added_cond_kwargs: Mapping[str, Any] | None = None,
    snr_gamma: float | None = None,
    snr_floor: float = 0.0,
) -> Tensor:
    """Epsilon-MSE on the frames after the first (paper, section 3.2); the first one enters the UNet clean.

    Args:
        unet: motion UNet with the adapter attached.
        noise_scheduler: gives `add_noise`; `prediction_type` epsilon, or v_prediction for bases trained that way.
        latents: (B, C, F, h, w) clean, scaled, F >= 2. Frame 0 is neither noised nor dimmed by sqrt(alpha_bar).
        timesteps: (B,) int64, one for all frames of a video.
        noise: standard normal, shape of `latents`; what it holds for frame 0 is not used.
        encoder_hidden_states: (B, L, D), repeated for every frame here, or (B * F, L, D), frame index fastest.
        added_cond_kwargs: passed to the UNet, e.g. `image_embeds` of the content adapter.
        snr_gamma: weigh each video by min(SNR, gamma) / SNR (Min-SNR, arXiv 2303.09556); None: no weights.
        snr_floor: with `snr_gamma`, weigh by max(floor, min(SNR, gamma)) / SNR, so that errors in the clean latents
            count at high noise too.

    Returns:
        the loss, a float32 scalar.

    Raises:
        ValueError: shapes do not agree, fewer than two frames, or an unknown prediction type.
    """
    if latents.ndim != 5 or latents.shape[2] < 2 or noise.shape != latents.shape:
        raise ValueError(
            "latents and noise must share one shape (B, C, F, h, w) with F >= 2, but have"
            f" {tuple(latents.shape)} and {tuple(noise.shape)}"
        )
    batch, frames = latents.shape[0], latents.shape[2]
    if encoder_hidden_states.shape[0] == batch:
        encoder_hidden_states = encoder_hidden_states.repeat_interleave(frames, dim=0)
    elif encoder_hidden_states.shape[0] != batch * frames:
        raise ValueError(
            f"encoder_hidden_states must have {batch} (videos) or {batch * frames} (frames) rows,"
            f" but have {encoder_hidden_states.shape[0]}"
        )
    first, later, noise = latents[:, :, :1], latents[:, :, 1:], noise[:, :, 1:]
    noisy = torch.cat([first, noise_scheduler.add_noise(later, noise, timesteps)], dim=2)
    predicted = unet(
        noisy,
        timesteps,
        encoder_hidden_states=encoder_hidden_states,
        added_cond_kwargs=None if added_cond_kwargs is None else dict(added_cond_kwargs),
    ).sample[:, :, 1:]

    prediction_type = noise_scheduler.config.prediction_type
    if prediction_type == "epsilon":
        target = noise
    elif prediction_type == "v_prediction":
        target = noise_scheduler.get_velocity(later, noise, timesteps)
    else:
        raise ValueError(f"prediction_type {prediction_type!r} is not supported: use 'epsilon' or 'v_prediction'")
    error = F.mse_loss(predicted.float(), target.float(), reduction="none").mean(dim=(1, 2, 3, 4))
    if snr_gamma is not None:
        alpha_bar = noise_scheduler.alphas_cumprod.to(error.device)[timesteps]
        snr = alpha_bar / (1 - alpha_bar)
        divisor = snr if prediction_type == "epsilon" else snr + 1
        error = error * snr.clamp(min=snr_floor, max=snr_gamma) / divisor
    return error.mean()


class _Objective(nn.Module):
    """The loss as a module whose parameters are the adapter's alone, so that accelerate wraps just those."""

    def __init__(
        self, adapter: I2VAdapter, unet: nn.Module, scheduler: Any, snr_gamma: float | None, snr_floor: float
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
) -> TrainingResult:
    """Train the adapter with AdamW on a frozen UNet, until `steps` steps are done in all.

    The UNet is frozen (`requires_grad_(False)`) and its weights are not touched; the adapter is attached for the time
    of the training and left as it was found. Timesteps and noise come from a generator of their own, seeded by `seed`,
    drawn on the CPU: the same run resumed takes the same draws.

    Args:
        adapter: trained in place; its parameters should be float32.
        unet: the base, moved to the accelerator's device.
        batches: mappings with `latents` (B, C, F, h, w), `encoder_hidden_states` (B, L, D) or (B * F, L, D), and, if
            the base has a content adapter, `added_cond_kwargs`. Either an iterable of at least `steps` of them, of
            which a resumed run skips those used already, or a function of the step number.
        scheduler: training noise schedule, see :func:`i2v_loss`.
        steps: number of the last step, those of earlier calls that saved to `state_dir` included.
        learning_rate: of AdamW, constant unless `lr_schedule` says otherwise (paper, section 4.1).
        weight_decay: of AdamW.
        max_grad_norm: gradients are clipped to this norm.
        lr_schedule: step number -> factor on the learning rate.
        snr_gamma, snr_floor: see :func:`i2v_loss`.
        seed: of timesteps and noise.
        state_dir: folder of the resumable state (adapter, optimizer, step, generator), written after every `save_every`
            steps and at the end, and read first when it is there. None: nothing is kept.
        save_every: steps between two saves.
        on_step: called with (number of steps done, loss) after each step.
        accelerator: one set up for mixed precision or several processes; by default a plain one.

    Raises:
        ValueError: the batches end before `steps`.
        RuntimeError: a parameter of the base would be trained, or one of the adapter would not.
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
    generator = torch.Generator().manual_seed(seed + accelerator.process_index)

    state_path = None if state_dir is None else Path(state_dir) / STATE_NAME
    done = 0
    if state_path is not None and state_path.is_file():
        state = torch.load(state_path, map_location="cpu", weights_only=True)
        adapter.load_state_dict(state["adapter"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        generator.set_state(state["generator"])
        done = state["step"]
    model, optimizer = accelerator.prepare(objective, optimizer)

    losses: list[float] = []
    with adapter.attached(unet):
        for batch in _from_step(batches, done, steps):
            batch = _to_device(batch, device)
            shape = batch["latents"].shape
            timesteps = torch.randint(0, scheduler.config.num_train_timesteps, (shape[0],), generator=generator)
            noise = torch.randn(shape, generator=generator)
            with accelerator.autocast():
                loss = model(batch, timesteps.to(device), noise.to(device, batch["latents"].dtype))
            accelerator.backward(loss)
            if not losses:
                _assert_only_the_adapter_trains(adapter, unet)
            accelerator.clip_grad_norm_(adapter.parameters(), max_grad_norm)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            done += 1
            losses.append(loss.item())
            if state_path is not None and accelerator.is_main_process and (done % save_every == 0 or done == steps):
                _save(state_path, adapter, optimizer, schedule, generator, done)
            if on_step is not None:
                on_step(done, losses[-1])
    if done < steps:
        raise ValueError(f"the batches ended after step {done}, but {steps} steps were asked for")
    return TrainingResult(done, losses)


def _from_step(batches: Iterable[Batch] | Callable[[int], Batch], start: int, stop: int) -> Iterator[Batch]:
    if callable(batches):
        return (batches(step) for step in range(start, stop))
    return islice(batches, start, stop)


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
            raise RuntimeError(f"parameter {name} of the base would be trained: only the adapter may be")
    for name, parameter in adapter.named_parameters():
        if parameter.grad is None:
            raise RuntimeError(f"parameter {name} of the adapter gets no gradient: is the adapter attached?")


def _save(
    path: Path, adapter: I2VAdapter, optimizer: Any, schedule: Any, generator: torch.Generator, step: int
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".tmp")
    state = {
        "adapter": adapter.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "generator": generator.get_state(),
        "step": step,
    }
    torch.save(state, unfinished)
    os.replace(unfinished, path)
