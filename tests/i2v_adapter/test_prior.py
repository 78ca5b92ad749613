"""Equation 7 against closed forms computed from the betas; statistics with tolerances of five
standard errors.
"""

import math
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    LMSDiscreteScheduler,
    PNDMScheduler,
)
from torch import Tensor

from i2v_adapter import FrameSimilarityPrior
from i2v_adapter.prior import gaussian_blur

BETAS: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "linear"}
ALPHA_BAR = np.cumprod(1 - np.linspace(0.00085, 0.012, 1000))


def scheduler_of(kind: type, steps: int = 10, **options: Any) -> Any:
    scheduler = kind(**BETAS, **options)
    scheduler.set_timesteps(steps)
    return scheduler


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def slow_blur(image: np.ndarray, modes: tuple[str, str]) -> np.ndarray:
    """9x9 window of weights exp(-r^2 / (2 * 18^2)), written out."""
    padded = np.pad(image, ((4, 4), (0, 0)), mode=modes[0])
    padded = np.pad(padded, ((0, 0), (4, 4)), mode=modes[1])
    offsets = np.arange(-4, 5)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * 18.0**2))
    window /= window.sum()
    result = np.empty_like(image)
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            result[row, column] = (padded[row : row + 9, column : column + 9] * window).sum()
    return result


@pytest.mark.parametrize(
    ("size", "modes"),
    [
        ((8, 8), ("reflect", "reflect")),
        ((12, 5), ("reflect", "reflect")),
        ((4, 9), ("edge", "reflect")),
    ],
)
def test_blur_is_the_written_out_window(size: tuple[int, int], modes: Any) -> None:
    images = torch.randn(2, 3, *size, generator=seeded(), dtype=torch.float64)
    expected = np.stack(
        [[slow_blur(channel, modes) for channel in image] for image in images.numpy()]
    )
    np.testing.assert_allclose(gaussian_blur(images).numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_p_is_the_share_kept(p: float) -> None:
    latents = torch.randn(2, 4, 30, 16, 16, generator=seeded())
    blurred = gaussian_blur(latents)
    degraded = FrameSimilarityPrior(p=p).degrade(latents, seeded(1))
    kept = degraded == latents
    assert torch.equal(degraded, torch.where(kept, latents, blurred))
    count = latents.numel()
    assert abs(kept.double().mean().item() - p) <= 5 * math.sqrt(p * (1 - p) / count)
    if 0 < p < 1:
        per_frame = kept.flatten(3).double().mean(dim=(1, 3))
        assert per_frame.unique().numel() > 20, "every frame has its own mask"


def test_mean_and_variance_of_equation_7() -> None:
    frames, p = 4000, 0.3
    image = 3 * torch.randn(1, 1, 8, 8, generator=seeded())
    sample = FrameSimilarityPrior(t0=0.4, p=p).sample(
        image, frames + 1, scheduler_of(DDIMScheduler), seeded(1)
    )
    alpha_bar = ALPHA_BAR[int(sample.timesteps[0])]
    x, blurred = (
        image[0, 0].double().numpy(),
        slow_blur(image[0, 0].double().numpy(), ("reflect", "reflect")),
    )
    mean = math.sqrt(alpha_bar) * (p * x + (1 - p) * blurred)
    variance = (1 - alpha_bar) + alpha_bar * p * (1 - p) * (x - blurred) ** 2
    draws = sample.latents[0, 0, 1:].double().numpy()
    assert variance.max() > 2 * (1 - alpha_bar), "the mask's share of the variance is visible"
    assert (np.abs(draws.mean(axis=0) - mean) < 5 * np.sqrt(variance / frames)).all()
    # Fourth moments are at most the normal's for these mixtures, so sqrt(2 / n) bounds the relative
    # error.
    assert (np.abs(draws.var(axis=0) / variance - 1) < 5 * math.sqrt(2 / frames)).all()


@pytest.mark.parametrize(("t0", "kept"), [(1.0, 10), (0.99, 9), (0.7, 7), (0.25, 2), (0.01, 1)])
@pytest.mark.parametrize("kind", [DDIMScheduler, DPMSolverMultistepScheduler])
def test_t0_selects_the_noise_level(kind: type, t0: float, kept: int) -> None:
    scheduler = scheduler_of(kind)
    image, noise = (
        torch.randn(2, 4, 8, 8, generator=seeded()),
        torch.randn(2, 4, 3, 8, 8, generator=seeded(1)),
    )
    latents, timesteps = FrameSimilarityPrior(t0, p=1).sample(image, 3, scheduler, noise=noise)
    assert torch.equal(timesteps, scheduler.timesteps[-kept:])
    alpha_bar = ALPHA_BAR[int(timesteps[0])]
    expected = math.sqrt(alpha_bar) * image[:, :, None] + math.sqrt(1 - alpha_bar) * noise[:, :, 1:]
    torch.testing.assert_close(latents[:, :, 1:], expected, rtol=0, atol=2e-5)
    assert torch.equal(latents[:, :, 0], image)


@pytest.mark.parametrize(
    "kind",
    [
        EulerDiscreteScheduler,
        EulerAncestralDiscreteScheduler,
        LMSDiscreteScheduler,
        HeunDiscreteScheduler,
    ],
)
def test_sigma_space_schedulers(kind: type) -> None:
    scheduler = scheduler_of(kind, timestep_spacing="leading")
    image, noise = (
        torch.randn(1, 4, 8, 8, generator=seeded()),
        torch.randn(1, 4, 3, 8, 8, generator=seeded(1)),
    )
    latents, timesteps = FrameSimilarityPrior(0.6, p=1).sample(image, 3, scheduler, noise=noise)
    alpha_bar = ALPHA_BAR[int(timesteps[0])]
    sigma = math.sqrt((1 - alpha_bar) / alpha_bar)
    torch.testing.assert_close(
        latents[:, :, 1:], image[:, :, None] + sigma * noise[:, :, 1:], rtol=1e-4, atol=1e-4
    )
    assert torch.equal(latents[:, :, 0], image)
    assert len(timesteps) == 6 * scheduler.order - (scheduler.order - 1)


def test_pndm_keeps_its_last_steps() -> None:
    scheduler = scheduler_of(PNDMScheduler, skip_prk_steps=True)
    _, timesteps = FrameSimilarityPrior(0.5).sample(torch.zeros(1, 4, 8, 8), 2, scheduler, seeded())
    assert torch.equal(timesteps, scheduler.timesteps[5:])


def test_an_element_does_not_depend_on_its_batch() -> None:
    images = torch.randn(3, 4, 8, 8, generator=seeded())
    prior, scheduler = FrameSimilarityPrior(), scheduler_of(DDIMScheduler)
    together = prior.sample(images, 4, scheduler, [seeded(seed) for seed in (7, 8, 9)]).latents
    for row, seed in enumerate((7, 8, 9)):
        alone = prior.sample(images[row : row + 1], 4, scheduler, [seeded(seed)]).latents
        assert torch.equal(together[row : row + 1], alone)
        assert torch.equal(
            prior.sample(images[row : row + 1], 4, scheduler, seeded(seed)).latents, alone
        )


@pytest.mark.parametrize("shape", [(3, 4, 8, 8), (3, 4, 5, 8, 8)])
def test_a_p_for_each_element_is_that_p_alone(shape: tuple[int, ...]) -> None:
    latents = torch.randn(shape, generator=seeded())
    each = (0.1, 0.7, 1.0)
    degraded = FrameSimilarityPrior(p=list(each)).degrade(
        latents, [seeded(seed) for seed in (7, 8, 9)]
    )
    blurred = gaussian_blur(latents)
    for row, (p, seed) in enumerate(zip(each, (7, 8, 9), strict=True)):
        kept = torch.rand(shape[1:], generator=seeded(seed)) < p
        assert torch.equal(degraded[row], torch.where(kept, latents[row], blurred[row]))


def test_a_sweep_over_p_in_one_call_starts_as_its_calls_do() -> None:
    images, scheduler = torch.randn(1, 4, 8, 8, generator=seeded()), scheduler_of(DDIMScheduler)
    each = (0.3, 0.5, 0.9)
    together = FrameSimilarityPrior(0.6, each).sample(
        images.expand(3, -1, -1, -1), 4, scheduler, [seeded(5) for _ in each]
    )
    for row, p in enumerate(each):
        alone = FrameSimilarityPrior(0.6, p).sample(images, 4, scheduler, [seeded(5)])
        assert torch.equal(together.latents[row : row + 1], alone.latents)
        assert torch.equal(together.timesteps, alone.timesteps)
    assert hash(FrameSimilarityPrior(p=[0.1])) == hash(FrameSimilarityPrior(p=(0.1,)))


def test_sweeps_share_their_draws() -> None:
    scheduler = scheduler_of(DDIMScheduler)
    zero = torch.zeros(1, 4, 8, 8)

    def noise_of(t0: float, p: float) -> Tensor:
        latents, timesteps = FrameSimilarityPrior(t0, p).sample(zero, 3, scheduler, seeded())
        return latents / math.sqrt(1 - ALPHA_BAR[int(timesteps[0])])

    torch.testing.assert_close(noise_of(0.6, 0.1), noise_of(1.0, 0.9), rtol=1e-5, atol=1e-5)
    latents = torch.randn(1, 4, 8, 8, generator=seeded())
    few, many = (
        FrameSimilarityPrior(p=p).degrade(latents, seeded(1)) == latents for p in (0.2, 0.6)
    )
    assert (many | ~few).all(), "what a small p keeps, a larger one keeps too"


def test_only_the_given_generator_is_used() -> None:
    before = torch.get_rng_state()
    FrameSimilarityPrior().sample(torch.zeros(1, 4, 8, 8), 3, scheduler_of(DDIMScheduler), seeded())
    assert torch.equal(torch.get_rng_state(), before)


def test_half_precision_keeps_frame_0_and_dtype() -> None:
    image = torch.randn(1, 4, 8, 8, generator=seeded()).half()
    scheduler = scheduler_of(DDIMScheduler)
    latents = FrameSimilarityPrior().sample(image, 3, scheduler, seeded(1)).latents
    assert latents.dtype == torch.float16
    assert torch.equal(latents[:, :, 0], image)
    full = FrameSimilarityPrior().sample(image.float(), 3, scheduler, seeded(1)).latents
    torch.testing.assert_close(latents.float(), full, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", [DDIMScheduler, EulerDiscreteScheduler])
def test_zero_terminal_snr_warns(kind: type) -> None:
    scheduler = scheduler_of(kind, rescale_betas_zero_snr=True)
    with pytest.warns(UserWarning, match="zero terminal SNR"):
        FrameSimilarityPrior().sample(torch.zeros(1, 4, 8, 8), 3, scheduler, seeded())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"t0": 0}, r"t0 must lie in \(0, 1\], but is 0"),
        ({"t0": 1.01}, "t0 must lie"),
        ({"t0": math.nan}, "t0 must lie"),
        ({"p": -0.1}, r"p must lie in \[0, 1\], but is -0.1"),
        ({"p": math.nan}, "p must lie"),
        ({"p": (0.5, 1.5)}, r"p must lie in \[0, 1\], but is 1.5"),
        ({"p": []}, "p is empty: give one, or one for each element of the batch"),
    ],
)
def test_ranges(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FrameSimilarityPrior(**arguments)


def test_unusable_calls() -> None:
    prior, image = FrameSimilarityPrior(), torch.zeros(2, 4, 8, 8)
    with pytest.raises(ValueError, match="num_frames must be at least 2"):
        prior.sample(image, 1, scheduler_of(DDIMScheduler))
    with pytest.raises(ValueError, match="call set_timesteps"):
        prior.sample(image, 3, DDIMScheduler())
    with pytest.raises(ValueError, match="noise must have shape"):
        prior.sample(image, 3, scheduler_of(DDIMScheduler), noise=torch.zeros(2, 4, 2, 8, 8))
    with pytest.raises(
        ValueError, match="3 values of p were given for a batch of 2: give one, or one for each"
    ):
        FrameSimilarityPrior(p=(0.1, 0.2, 0.3)).sample(image, 3, scheduler_of(DDIMScheduler))
    with pytest.raises(ValueError, match="3 generators were given for a batch of 2"):
        prior.sample(image, 3, scheduler_of(DDIMScheduler), [seeded()] * 3)
