"""Stage `spatial`: text encoder and image UNet together, on single frames (the way AnimateDiff's
base was made).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from eval.world import models
from eval.world_training.latents import LatentSet
from eval.world_training.stages.epsilon import (
    MIN_SNR_GAMMA,
    add_noise,
    denoising_loss,
    drop_text,
)
from eval.world_training.trainer import Outcome, Recipe, train

RECIPE = Recipe(steps=12_000, learning_rate=1e-3, seed=201)
BATCH = 64


class TextToImage(nn.Module):
    """Text encoder and UNet under one roof, so that they share optimizer and EMA."""

    def __init__(self, vocabulary: int, unet: nn.Module) -> None:
        super().__init__()
        self.text_encoder, self.unet = models.text_encoder(vocabulary), unet


def run(
    recipe: Recipe,
    folder: Path,
    data: LatentSet,
    tokenizer,
    unet: nn.Module,
    gamma: float = MIN_SNR_GAMMA,
) -> Outcome:
    """Trains `unet`, a UNet2DConditionModel, and a new text encoder; an infinite gamma weighs all
    timesteps alike.
    """
    model = TextToImage(len(tokenizer), unet)
    scheduler = models.scheduler()
    empty = tokenizer([""], padding="max_length", return_tensors="pt").input_ids[0]
    clips, frames = data.latents.shape[:2]

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        rows, moments = rng.integers(clips, size=BATCH), rng.integers(frames, size=BATCH)
        latents = data.latents[rows, moments].float()
        tokens = drop_text(rng, data.tokens[rows], empty)
        timesteps = rng.integers(len(scheduler.betas), size=BATCH)
        noised = add_noise(scheduler, latents, timesteps, recipe.device, gamma=gamma, floor=0.0)
        with recipe.autocast():
            states = model.text_encoder(tokens.to(recipe.device)).last_hidden_state
            return denoising_loss(model.unet, noised, states)

    return train(model, loss_of, recipe, folder)
