"""Noise to predict: what every stage that trains a denoiser shares."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from eval.world.concatenation import concatenate

TEXT_DROPOUT = 0.1
MIN_SNR_GAMMA = 5.0
SNR_FLOOR = 0.25  # reached at timestep 460; for all stages but the first, `spatial`


class Noised(NamedTuple):
    """Latents with noise, what the noise was, and how much an error in it counts. Latents (N, C,
    ...), the others as they are or (N,), on one device."""

    noisy: torch.Tensor
    noise: torch.Tensor
    timesteps: torch.Tensor
    weights: torch.Tensor

    def loss(self, predicted: torch.Tensor) -> torch.Tensor:
        """Mean over the batch of the weighed mean square error of predicted noise, shape of
        `noise`, any dtype.
        """
        error = (predicted.float() - self.noise).square().flatten(1).mean(dim=1)
        return (error * self.weights).mean()


def add_noise(
    scheduler: Any,
    latents: torch.Tensor,
    timesteps: np.ndarray,
    device: str,
    *,
    gamma: float = MIN_SNR_GAMMA,
    floor: float = SNR_FLOOR,
) -> Noised:
    """Moves latents, float32 (N, C, ...), to `device` and noises them to `timesteps`, int64
    (N,)."""
    latents, moments = latents.to(device), torch.from_numpy(timesteps).to(device)
    return noised(scheduler, latents, torch.randn_like(latents), moments, gamma=gamma, floor=floor)


def noised(
    scheduler: Any,
    latents: torch.Tensor,
    noise: torch.Tensor,
    timesteps: torch.Tensor,
    *,
    gamma: float = MIN_SNR_GAMMA,
    floor: float = SNR_FLOOR,
) -> Noised:
    """Latents, float32 (N, C, ...), with their noise, to `timesteps`, int64 (N,), all on one
    device."""
    alphas_cumprod = scheduler.alphas_cumprod.to(timesteps.device)
    weights = min_snr_weights(alphas_cumprod, timesteps, gamma, floor)
    return Noised(scheduler.add_noise(latents, noise, timesteps), noise, timesteps, weights)


def denoising_loss(
    unet: Any, known: Noised, states: torch.Tensor, beside: torch.Tensor | None = None, **more: Any
) -> torch.Tensor:
    """What `unet` gets wrong in the noise of frames (N, C, h, w) or clips (N, C, F, h, w): the loss
    of every stage that trains a denoiser, but `i2v`, whose first frame is clean
    (`i2v_adapter.training.i2v_loss`), and `controlnet`.

    Args:
        states: text, (N, L, D).
        beside: the image's latent, (N, C, h, w), where the UNet reads it beside every frame.
        more: passed to the UNet.
    """
    noisy = known.noisy
    if noisy.ndim == 5:
        states = states.repeat_interleave(noisy.shape[2], dim=0)
    if beside is not None:
        noisy = concatenate(noisy, beside)
    return known.loss(unet(noisy, known.timesteps, states, **more).sample)


def min_snr_weights(
    alphas_cumprod: torch.Tensor,
    timesteps: torch.Tensor,
    gamma: float = MIN_SNR_GAMMA,
    floor: float = 0.0,
) -> torch.Tensor:
    """min(SNR, gamma) / SNR for epsilon prediction (Hang et al., arXiv 2303.09556). (N,) int64 ->
    (N,) float32.

    With a floor, max(floor, min(SNR, gamma)) / SNR: what the clean latents look like then counts at
    high noise as well, where an error in them is an error of only SNR times its size in epsilon.
    """
    ratio = alphas_cumprod[timesteps] / (1.0 - alphas_cumprod[timesteps])
    return ratio.clamp(min=floor, max=gamma) / ratio


def drop_text(rng: np.random.Generator, tokens: torch.Tensor, empty: torch.Tensor) -> torch.Tensor:
    """Replaces each row of `tokens` (N, L) by the empty prompt's (L,) with probability
    `TEXT_DROPOUT`.
    """
    dropped = torch.from_numpy(rng.random(len(tokens)) < TEXT_DROPOUT)
    return torch.where(dropped[:, None], empty[None], tokens)
