"""Stage `motion`: the motion modules on clips, and the cross-attention that tells them which motion was asked for.

AnimateDiff trains its motion modules alone. Here the image base has seen the words "moving left" on single frames only,
where they say next to nothing: after 1,000 steps of motion modules alone clips were steady but ignored the prompted
motion. So the text's cross-attention learns with them; the rest of the image base stays frozen.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from eval.world import models
from eval.world.latents import LatentSet
from eval.world.stages.spatial import drop_text, min_snr_weights
from eval.world.trainer import Outcome, Recipe, train

RECIPE = Recipe(steps=6000, learning_rate=1e-3, seed=301)
BATCH = 8


def run(
    recipe: Recipe, folder: Path, data: LatentSet, tokenizer, text_encoder: nn.Module, spatial: nn.Module
) -> Outcome:
    unet = models.motion_unet(spatial, models.motion_adapter())
    unet.requires_grad_(False)
    trained = [value for name, value in unet.named_parameters() if "motion_modules" in name or ".attn2." in name]
    for value in trained:
        value.requires_grad_(True)
    scheduler = models.scheduler()
    empty = tokenizer([""], padding="max_length", return_tensors="pt").input_ids[0]
    clips, frames = data.latents.shape[:2]

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        rows = rng.integers(clips, size=BATCH)
        latents = data.latents[rows].float().transpose(1, 2)  # (B, C, F, h, w)
        tokens = drop_text(rng, data.tokens[rows], empty)
        timesteps = torch.from_numpy(rng.integers(len(scheduler.betas), size=BATCH))
        timesteps[: BATCH // 2] = timesteps[: BATCH // 2] * 2 // 5 + 600  # where a clip's motion is decided
        noise = torch.randn_like(latents)
        with torch.no_grad():
            states = text_encoder(tokens).last_hidden_state.repeat_interleave(frames, dim=0)
        with torch.autocast("cpu", torch.bfloat16):
            predicted = unet(scheduler.add_noise(latents, noise, timesteps), timesteps, states).sample
        error = (predicted.float() - noise).square().mean(dim=(1, 2, 3, 4))
        return (error * min_snr_weights(scheduler.alphas_cumprod, timesteps)).mean()

    return train(unet, loss_of, recipe, folder, parameters=trained)
