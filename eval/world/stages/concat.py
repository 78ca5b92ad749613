"""Stage `concat`: channel concatenation, the family the paper argues against, as the twin of stage `i2v`.

Same base, latent set, batch, steps, learning rate and its schedule, uniform timesteps, their weights, guidance dropout
(text alone, image alone, both: 5 % each) and precision as stage `i2v`. Two things are the family's own: all weights of
the UNet learn, not an adapter beside it, and all frames are noised and count in the loss, as all are generated
(in stage `i2v` the first one is given and its prediction thrown away). The image's latent is repeated for all frames,
without a mask channel; see `eval.world.concatenation`. The text encoder stays frozen.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from eval.world import models
from eval.world.concatenation import concatenate
from eval.world.latents import LatentSet
from eval.world.stages import i2v
from eval.world.stages.spatial import SNR_FLOOR, min_snr_weights
from eval.world.trainer import Outcome, Recipe, train

RECIPE = Recipe(steps=i2v.RECIPE.steps, learning_rate=i2v.RECIPE.learning_rate, seed=802)


def run(recipe: Recipe, folder: Path, data: LatentSet, tokenizer, text_encoder: nn.Module, unet: nn.Module) -> Outcome:
    """Trains all of `unet`, a UNetMotionModel widened by the image's channels."""
    unet.train().requires_grad_(True)
    text_encoder.requires_grad_(False).to(recipe.device)
    scheduler = models.scheduler()
    empty = tokenizer([""], padding="max_length", return_tensors="pt").input_ids[0]
    frames = data.latents.shape[1]

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        rows = rng.integers(len(data.latents), size=i2v.BATCH)
        no_text, no_image = i2v.dropped(rng)
        latents = data.latents[rows].float().transpose(1, 2)  # (B, C, F, h, w)
        image = latents[:, :, 0] * (~no_image).float()[:, None, None, None]
        tokens = torch.where(no_text[:, None], empty[None], data.tokens[rows])
        timesteps = torch.from_numpy(rng.integers(len(scheduler.betas), size=i2v.BATCH))
        weights = min_snr_weights(scheduler.alphas_cumprod, timesteps, floor=SNR_FLOOR).to(recipe.device)
        latents, image, tokens, timesteps = (part.to(recipe.device) for part in (latents, image, tokens, timesteps))
        noise = torch.randn_like(latents)
        noisy = scheduler.add_noise(latents, noise, timesteps)
        with torch.no_grad():
            states = text_encoder(tokens).last_hidden_state.repeat_interleave(frames, dim=0)
        with recipe.autocast():
            predicted = unet(concatenate(noisy, image), timesteps, states).sample
        error = (predicted.float() - noise).square().flatten(1).mean(dim=1)
        return (error * weights).mean()

    return train(unet, loss_of, recipe, folder)
