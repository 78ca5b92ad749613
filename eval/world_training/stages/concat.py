"""Stage `concat`: channel concatenation, the family the paper argues against, as the twin of stage
`i2v`.

Same base, latent set, batch, steps, learning rate and its schedule, uniform timesteps, their
weights, guidance dropout (text alone, image alone, both: 5 % each) and precision as stage `i2v`.
Two things are the family's own: all weights of the UNet learn, not an adapter beside it, and all
frames are noised and count in the loss, as all are generated (in stage `i2v` the first one is given
and its prediction thrown away). The image's latent is repeated for all frames, without a mask
channel; see `eval.world.concatenation`. The text encoder stays frozen.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from eval.world import models
from eval.world_training.latents import LatentSet
from eval.world_training.stages import i2v
from eval.world_training.stages.epsilon import add_noise, denoising_loss
from eval.world_training.trainer import Outcome, Recipe, train

RECIPE = Recipe(steps=i2v.RECIPE.steps, learning_rate=i2v.RECIPE.learning_rate, seed=802)


def run(
    recipe: Recipe,
    folder: Path,
    data: LatentSet,
    tokenizer,
    text_encoder: nn.Module,
    unet: nn.Module,
) -> Outcome:
    """Trains all of `unet`, a UNetMotionModel widened by the image's channels."""
    unet.train().requires_grad_(True)
    text_encoder.requires_grad_(False).to(recipe.device)
    scheduler = models.scheduler()
    empty = tokenizer([""], padding="max_length", return_tensors="pt").input_ids[0]

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        rows = rng.integers(len(data.latents), size=i2v.BATCH)
        no_text, no_image = i2v.dropped(rng)
        latents = data.latents[rows].float().transpose(1, 2)  # (B, C, F, h, w)
        image = latents[:, :, 0] * (~no_image).float()[:, None, None, None]
        tokens = torch.where(no_text[:, None], empty[None], data.tokens[rows])
        noised = add_noise(
            scheduler, latents, rng.integers(len(scheduler.betas), size=i2v.BATCH), recipe.device
        )
        with torch.no_grad():
            states = text_encoder(tokens.to(recipe.device)).last_hidden_state
        with recipe.autocast():
            return denoising_loss(unet, noised, states, image.to(recipe.device))

    return train(unet, loss_of, recipe, folder)
