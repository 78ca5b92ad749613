"""The loss against its formula; the loop: what it trains, what it leaves alone, and how it goes on."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, UNetMotionModel
from torch import Tensor, nn

from i2v_adapter import I2VAdapter, i2v_loss, train


@pytest.fixture
def scheduler() -> DDIMScheduler:
    return DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="linear", clip_sample=False)


def batch_of(step: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(step)
    return {
        "latents": torch.randn(2, 4, 4, 8, 8, generator=generator),
        "encoder_hidden_states": torch.randn(2, 5, 32, generator=generator),
    }


class WrongBy(nn.Module):
    """Stands for a UNet: off by a known error on the later frames, and by a huge one on the first."""

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
    loss = i2v_loss(unet, scheduler, latents, timesteps, noise, text, {"image_embeds": [text]}, snr_gamma, snr_floor)

    alpha_bar = torch.cumprod(1 - torch.linspace(0.00085, 0.012, 1000, dtype=torch.float64), 0)[timesteps]
    snr = alpha_bar / (1 - alpha_bar)
    weights = torch.ones(2) if snr_gamma is None else snr.clamp(snr_floor, snr_gamma) / snr
    torch.testing.assert_close(loss.double(), (weights * errors**2).mean().double(), rtol=1e-4, atol=0)

    sample = unet.seen["sample"]
    assert torch.equal(sample[:, :, 0], latents[:, :, 0]), "neither noised nor dimmed"
    alpha_bar = alpha_bar.view(-1, 1, 1, 1, 1)
    expected = alpha_bar.sqrt() * latents[:, :, 1:] + (1 - alpha_bar).sqrt() * noise[:, :, 1:]
    torch.testing.assert_close(sample[:, :, 1:].double(), expected, rtol=0, atol=1e-5)
    assert torch.equal(unet.seen["encoder_hidden_states"], torch.stack([text[i // 5] for i in range(10)]))
    assert torch.equal(unet.seen["timestep"], timesteps)


def test_loss_refuses_what_does_not_fit(scheduler: DDIMScheduler) -> None:
    latents, text = torch.zeros(2, 4, 3, 8, 8), torch.zeros(2, 3, 32)
    timesteps, unet = torch.tensor([1, 2]), WrongBy(latents.clone(), torch.zeros(2))
    with pytest.raises(ValueError, match="F >= 2"):
        i2v_loss(unet, scheduler, latents[:, :, :1], timesteps, latents[:, :, :1], text)
    with pytest.raises(ValueError, match=r"must have 2 \(videos\) or 6 \(frames\) rows, but have 4"):
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
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in unet.parameters())
    for name, value in adapter.state_dict().items():
        assert not torch.equal(value, start[name]), name
    assert adapter.unet is None


def test_one_batch_is_learnt(unet: UNetMotionModel, scheduler: DDIMScheduler) -> None:
    adapter = I2VAdapter.from_unet(unet)
    batch = batch_of(0)
    noise, timesteps = torch.randn(2, 4, 4, 8, 8, generator=torch.Generator().manual_seed(1)), torch.tensor([500, 800])

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
        return adapter, train(adapter, unet, batches(), scheduler=scheduler, steps=steps, **options).losses

    whole, losses = run(4, None)
    _, first = run(2, tmp_path)
    resumed, second = run(4, tmp_path)
    assert first + second == losses
    assert all(torch.equal(value, whole.state_dict()[name]) for name, value in resumed.state_dict().items())
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
