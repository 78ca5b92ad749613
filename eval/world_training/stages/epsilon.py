"""Noise to predict: what every stage that trains a denoiser shares."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

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
    moments = torch.from_numpy(timesteps)
    weights = min_snr_weights(scheduler.alphas_cumprod, moments, gamma, floor)
    latents, moments, weights = (part.to(device) for part in (latents, moments, weights))
    noise = torch.randn_like(latents)
    return Noised(scheduler.add_noise(latents, noise, moments), noise, moments, weights)


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
