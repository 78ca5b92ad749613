"""Stage `spatial`: text encoder and image UNet together, on single frames (the way AnimateDiff's base was made)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from eval.world import models
from eval.world.latents import LatentSet
from eval.world.trainer import Outcome, Recipe, train

RECIPE = Recipe(steps=12_000, learning_rate=1e-3, seed=201)
BATCH = 64
TEXT_DROPOUT = 0.1
MIN_SNR_GAMMA = 5.0
SNR_FLOOR = 0.25  # reached at timestep 460; for the stages after this one


class TextToImage(nn.Module):
    """Text encoder and UNet under one roof, so that they share optimizer and EMA."""

    def __init__(self, vocabulary: int, unet: nn.Module) -> None:
        super().__init__()
        self.text_encoder, self.unet = models.text_encoder(vocabulary), unet


def min_snr_weights(
    alphas_cumprod: torch.Tensor, timesteps: torch.Tensor, gamma: float = MIN_SNR_GAMMA, floor: float = 0.0
) -> torch.Tensor:
    """min(SNR, gamma) / SNR for epsilon prediction (Hang et al., arXiv 2303.09556). (N,) int64 -> (N,) float32.

    With a floor, max(floor, min(SNR, gamma)) / SNR: what the clean latents look like then counts at high noise as well,
    where an error in them is an error of only SNR times its size in epsilon.
    """
    ratio = alphas_cumprod[timesteps] / (1.0 - alphas_cumprod[timesteps])
    return ratio.clamp(min=floor, max=gamma) / ratio


def drop_text(rng: np.random.Generator, tokens: torch.Tensor, empty: torch.Tensor) -> torch.Tensor:
    """Replaces each row of `tokens` (N, L) by the empty prompt's (L,) with probability `TEXT_DROPOUT`."""
    dropped = torch.from_numpy(rng.random(len(tokens)) < TEXT_DROPOUT)
    return torch.where(dropped[:, None], empty[None], tokens)


def run(
    recipe: Recipe, folder: Path, data: LatentSet, tokenizer, unet: nn.Module, gamma: float = MIN_SNR_GAMMA
) -> Outcome:
    """Trains `unet`, a UNet2DConditionModel, and a new text encoder; an infinite gamma weighs all timesteps alike."""
    model = TextToImage(len(tokenizer), unet)
    scheduler = models.scheduler()
    empty = tokenizer([""], padding="max_length", return_tensors="pt").input_ids[0]
    clips, frames = data.latents.shape[:2]

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        rows, moments = rng.integers(clips, size=BATCH), rng.integers(frames, size=BATCH)
        latents = data.latents[rows, moments].float()
        tokens = drop_text(rng, data.tokens[rows], empty)
        timesteps = torch.from_numpy(rng.integers(len(scheduler.betas), size=BATCH))
        weights = min_snr_weights(scheduler.alphas_cumprod, timesteps, gamma).to(recipe.device)
        latents, tokens, timesteps = (part.to(recipe.device) for part in (latents, tokens, timesteps))
        noise = torch.randn_like(latents)
        with recipe.autocast():
            states = model.text_encoder(tokens).last_hidden_state
            predicted = model.unet(scheduler.add_noise(latents, noise, timesteps), timesteps, states).sample
        error = (predicted.float() - noise).square().mean(dim=(1, 2, 3))
        return (error * weights).mean()

    return train(model, loss_of, recipe, folder)
