"""The loss against its formula; the loop: what it trains, what it leaves alone, and how it goes
on."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from diffusers import DDIMScheduler, UNetMotionModel
from diffusers.training_utils import EMAModel
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from i2v_adapter import I2VAdapter, i2v_loss, train
from i2v_adapter.training import STATE_NAME, TrainingResult


@pytest.fixture
def scheduler() -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="linear", clip_sample=False
    )


def batch_of(step: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(step)
    return {
        "latents": torch.randn(2, 4, 4, 8, 8, generator=generator),
        "encoder_hidden_states": torch.randn(2, 5, 32, generator=generator),
    }


class WrongBy(nn.Module):
    """Stands for a UNet: off by a known error on the later frames, and by a huge one on the
    first."""

    def __init__(self, noise: Tensor, errors: Tensor) -> None:
        super().__init__()
        self.noise, self.errors = noise, errors
        self.seen: dict[str, Any] = {}

    def forward(self, sample: Tensor, timestep: Tensor, **kwargs: Any) -> SimpleNamespace:
        self.seen = {"sample": sample, "timestep": timestep, **kwargs}
        predicted = self.noise + self.errors.view(-1, 1, 1, 1, 1)
        predicted[:, :, 0] = 1e6
        return SimpleNamespace(sample=predicted)


@pytest.mark.parametrize(("snr_gamma", "snr_floor"), [(None, 0.0), (5.0, 0.0), (5.0, 0.25)])
def test_loss_is_the_error_on_the_later_frames(
    scheduler: DDIMScheduler, snr_gamma: float | None, snr_floor: float
) -> None:
    generator = torch.Generator().manual_seed(0)
    latents, noise = (torch.randn(2, 4, 5, 8, 8, generator=generator) for _ in range(2))
    timesteps, errors = torch.tensor([20, 900]), torch.tensor([0.5, 2.0])
    text = torch.randn(2, 3, 32, generator=generator)
    unet = WrongBy(noise, errors)
    loss = i2v_loss(
        unet,
        scheduler,
        latents,
        timesteps,
        noise,
        text,
        {"image_embeds": [text]},
        snr_gamma,
        snr_floor,
    )

    alpha_bar = torch.cumprod(1 - torch.linspace(0.00085, 0.012, 1000, dtype=torch.float64), 0)[
        timesteps
    ]
    snr = alpha_bar / (1 - alpha_bar)
    weights = torch.ones(2) if snr_gamma is None else snr.clamp(snr_floor, snr_gamma) / snr
    torch.testing.assert_close(
        loss.double(), (weights * errors**2).mean().double(), rtol=1e-4, atol=0
    )

    sample = unet.seen["sample"]
    assert torch.equal(sample[:, :, 0], latents[:, :, 0]), "neither noised nor dimmed"
    alpha_bar = alpha_bar.view(-1, 1, 1, 1, 1)
    expected = alpha_bar.sqrt() * latents[:, :, 1:] + (1 - alpha_bar).sqrt() * noise[:, :, 1:]
    torch.testing.assert_close(sample[:, :, 1:].double(), expected, rtol=0, atol=1e-5)
    assert torch.equal(
        unet.seen["encoder_hidden_states"], torch.stack([text[i // 5] for i in range(10)])
    )
    assert torch.equal(unet.seen["timestep"], timesteps)


def test_loss_refuses_what_does_not_fit(scheduler: DDIMScheduler) -> None:
    latents, text = torch.zeros(2, 4, 3, 8, 8), torch.zeros(2, 3, 32)
    timesteps, unet = torch.tensor([1, 2]), WrongBy(latents.clone(), torch.zeros(2))
    with pytest.raises(ValueError, match="F >= 2"):
        i2v_loss(unet, scheduler, latents[:, :, :1], timesteps, latents[:, :, :1], text)
    with pytest.raises(
        ValueError, match=r"must have 2 \(videos\) or 6 \(frames\) rows, but have 4"
    ):
        i2v_loss(unet, scheduler, latents, timesteps, latents, torch.zeros(4, 3, 32))
    odd = DDIMScheduler(prediction_type="sample")
    with pytest.raises(ValueError, match="prediction_type 'sample'"):
        i2v_loss(unet, odd, latents, timesteps, latents, text)


def test_only_the_adapter_changes(unet: UNetMotionModel, scheduler: DDIMScheduler) -> None:
    base = {name: value.clone() for name, value in unet.state_dict().items()}
    adapter = I2VAdapter.from_unet(unet)
    start = {name: value.clone() for name, value in adapter.state_dict().items()}
    seen: list[tuple[int, float]] = []
    result = train(
        adapter,
        unet,
        (batch_of(step) for step in range(9)),
        scheduler=scheduler,
        steps=3,
        learning_rate=1e-2,
        on_step=lambda step, loss: seen.append((step, loss)),
    )
    assert seen == list(enumerate(result.losses, start=1))
    assert result.step == 3
    assert all(torch.equal(value, base[name]) for name, value in unet.state_dict().items())
    assert all(
        parameter.grad is None and not parameter.requires_grad for parameter in unet.parameters()
    )
    for name, value in adapter.state_dict().items():
        assert not torch.equal(value, start[name]), name
    assert adapter.unet is None


def test_one_batch_is_learnt(unet: UNetMotionModel, scheduler: DDIMScheduler) -> None:
    adapter = I2VAdapter.from_unet(unet)
    batch = batch_of(0)
    noise, timesteps = (
        torch.randn(2, 4, 4, 8, 8, generator=torch.Generator().manual_seed(1)),
        torch.tensor([500, 800]),
    )

    def loss() -> float:
        with torch.no_grad(), adapter.attached(unet):
            text = batch["encoder_hidden_states"]
            return i2v_loss(unet, scheduler, batch["latents"], timesteps, noise, text).item()

    before = loss()
    train(adapter, unet, lambda _: batch, scheduler=scheduler, steps=12, learning_rate=1e-2)
    assert loss() < 0.98 * before


@pytest.mark.parametrize("as_iterable", [False, True])
def test_resumed_training_ends_with_the_same_weights(
    unet: UNetMotionModel, scheduler: DDIMScheduler, tmp_path: Path, as_iterable: bool
) -> None:
    def batches() -> Iterator[dict[str, Any]] | Callable[[int], dict[str, Any]]:
        return (batch_of(step) for step in range(4)) if as_iterable else batch_of

    def run(steps: int, folder: Path | None) -> tuple[I2VAdapter, list[float]]:
        adapter = I2VAdapter.from_unet(unet)
        options: dict[str, Any] = {
            "lr_schedule": lambda step: 1 / (1 + step),
            "state_dir": folder,
            "learning_rate": 1e-2,
        }
        return adapter, train(
            adapter, unet, batches(), scheduler=scheduler, steps=steps, **options
        ).losses

    whole, losses = run(4, None)
    _, first = run(2, tmp_path)
    kept = torch.load(tmp_path / STATE_NAME, weights_only=True)
    assert set(kept) == {"adapter", "optimizer", "schedule", "generator", "step"}, (
        "as in states saved so far"
    )
    resumed, second = run(4, tmp_path)
    assert first + second == losses
    assert all(
        torch.equal(value, whole.state_dict()[name]) for name, value in resumed.state_dict().items()
    )
    _, nothing_left = run(4, tmp_path)
    assert nothing_left == []


def test_a_trainable_base_is_refused(unet: UNetMotionModel, scheduler: DDIMScheduler) -> None:
    def thaw(step: int) -> dict[str, Any]:
        unet.conv_out.requires_grad_(True)
        return batch_of(step)

    with pytest.raises(RuntimeError, match=r"conv_out\.weight of the base would be trained"):
        train(I2VAdapter.from_unet(unet), unet, thaw, scheduler=scheduler, steps=1)


def test_too_few_batches(unet: UNetMotionModel, scheduler: DDIMScheduler) -> None:
    with pytest.raises(ValueError, match="ended after step 1, but 2 steps"):
        train(I2VAdapter.from_unet(unet), unet, [batch_of(0)], scheduler=scheduler, steps=2)


@contextmanager
def gradients_at_steps() -> Iterator[list[list[Tensor]]]:
    """A list that gets the gradients of every optimizer step within the block."""
    taken: list[list[Tensor]] = []

    def take(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        taken.append([parameter.grad.clone() for parameter in optimizer.param_groups[0]["params"]])

    handle = register_optimizer_step_pre_hook(take)
    try:
        yield taken
    finally:
        handle.remove()


def trained_alone(
    unet: UNetMotionModel,
    scheduler: DDIMScheduler,
    batches: Callable[[int], dict[str, Any]],
    **options: Any,
) -> tuple[I2VAdapter, TrainingResult, list[list[Tensor]]]:
    adapter = I2VAdapter.from_unet(unet)
    with gradients_at_steps() as gradients:
        result = train(
            adapter,
            unet,
            batches,
            scheduler=scheduler,
            steps=2,
            learning_rate=1e-2,
            max_grad_norm=1e9,
            **options,
        )
    return adapter, result, gradients


def test_accumulation_averages_its_batches(unet: UNetMotionModel, scheduler: DDIMScheduler) -> None:
    accelerator = Accelerator(gradient_accumulation_steps=2)
    _, result, gradients = trained_alone(unet, scheduler, batch_of, accelerator=accelerator)

    draws = torch.Generator().manual_seed(0)
    adapter, losses = I2VAdapter.from_unet(unet), []
    with adapter.attached(unet):
        for number in range(2):
            batch = batch_of(number)
            timesteps = torch.randint(0, 1000, (2,), generator=draws)
            noise = torch.randn(batch["latents"].shape, generator=draws)
            losses.append(
                i2v_loss(
                    unet,
                    scheduler,
                    batch["latents"],
                    timesteps,
                    noise,
                    batch["encoder_hidden_states"],
                )
            )
    expected = torch.autograd.grad(sum(losses) / 2, list(adapter.parameters()))
    assert len(gradients) == len(result.losses) == 2
    torch.testing.assert_close(gradients[0], list(expected), rtol=1e-4, atol=1e-8)
    assert result.losses[0] == pytest.approx(sum(loss.item() for loss in losses) / 2, rel=1e-6)


TWO_PROCESSES = """
import sys
import torch
from accelerate import Accelerator, debug_launcher
from diffusers import DDIMScheduler, UNetMotionModel
from torch.optim.optimizer import register_optimizer_step_pre_hook
from i2v_adapter import I2VAdapter, train

folder = sys.argv[1]
torch.set_num_threads(1)
unet = UNetMotionModel.from_pretrained(f"{folder}/unet").eval()
scheduler = DDIMScheduler.from_pretrained(f"{folder}/scheduler")
batches = torch.load(f"{folder}/batches.pt", weights_only=True)

def one():
    process = Accelerator().process_index
    taken = []
    register_optimizer_step_pre_hook(
        lambda optimizer, *_: taken.append(
            [p.grad.clone() for p in optimizer.param_groups[0]["params"]]
        )
    )
    mine = slice(process, process + 1)
    half = lambda step: {name: value[mine] for name, value in batches[step].items()}
    result = train(
        I2VAdapter.from_unet(unet), unet, half, scheduler=scheduler, steps=2,
        learning_rate=1e-2, max_grad_norm=1e9,
    )
    torch.save({"losses": result.losses, "gradients": taken}, f"{folder}/{process}.pt")

debug_launcher(one, num_processes=2)
"""


def test_two_processes_give_the_gradients_of_one(
    unet: UNetMotionModel, scheduler: DDIMScheduler, tmp_path: Path
) -> None:
    """Each of two gloo processes, forked where nothing else has run, trains on half of every
    batch."""
    unet.save_pretrained(tmp_path / "unet")
    scheduler.save_pretrained(tmp_path / "scheduler")
    torch.save([batch_of(step) for step in range(2)], tmp_path / "batches.pt")
    subprocess.run([sys.executable, "-c", TWO_PROCESSES, str(tmp_path)], check=True, timeout=300)
    _, result, gradients = trained_alone(unet, scheduler, batch_of)
    for process in range(2):
        seen = torch.load(tmp_path / f"{process}.pt", weights_only=True)
        assert seen["losses"] == pytest.approx(result.losses, rel=1e-5)
        torch.testing.assert_close(seen["gradients"][0], gradients[0], rtol=1e-4, atol=1e-7)


def test_moving_average(unet: UNetMotionModel, scheduler: DDIMScheduler, tmp_path: Path) -> None:
    """The average of the weights after each step with the decays min(0.9, (1 + n) / (10 + n)), also
    when resumed.
    """
    after: list[list[Tensor]] = []

    def run(steps: int, folder: Path | None) -> EMAModel:
        adapter = I2VAdapter.from_unet(unet)
        average = EMAModel(adapter.parameters(), decay=0.9)

        def remember(step: int, loss: float) -> None:
            after.append([parameter.detach().clone() for parameter in adapter.parameters()])

        train(
            adapter,
            unet,
            batch_of,
            scheduler=scheduler,
            steps=steps,
            learning_rate=1e-2,
            state_dir=folder,
            on_step=remember,
            ema=average,
        )
        return average

    run(2, tmp_path)
    average = run(3, tmp_path)
    expected = after[0]
    for decay, current in zip((2 / 11, 3 / 12), after[1:], strict=True):
        expected = [
            decay * old + (1 - decay) * new for old, new in zip(expected, current, strict=True)
        ]
    torch.testing.assert_close(average.shadow_params, expected, rtol=1e-5, atol=1e-7)


def test_a_state_without_a_moving_average_is_not_given_one(
    unet: UNetMotionModel, scheduler: DDIMScheduler, tmp_path: Path
) -> None:
    adapter = I2VAdapter.from_unet(unet)
    train(adapter, unet, batch_of, scheduler=scheduler, steps=1, state_dir=tmp_path)
    average = EMAModel(adapter.parameters())
    with pytest.raises(ValueError, match="holds no moving average"):
        train(
            adapter, unet, batch_of, scheduler=scheduler, steps=2, state_dir=tmp_path, ema=average
        )
