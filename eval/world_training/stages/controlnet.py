"""Stage `controlnet`: a ControlNet on position maps, per frame, on the frozen text-to-video base.

It is trained on clips through the motion modules, half of the time under a caption whose motion is
drawn at random: the map must move the glyph, whatever the words and the motion modules would rather
do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from eval.world import models
from eval.world.control import discs
from eval.world_training.latents import LatentSet
from eval.world_training.stages.epsilon import Noised, add_noise, drop_text
from eval.world_training.trainer import Outcome, Recipe, train

RECIPE = Recipe(steps=4000, learning_rate=5e-4, seed=1001, minutes=20.0)
BATCH = 8
OTHER_MOTION = 0.5  # share of the captions that name a motion drawn at random
HIGH_NOISE, HIGH_NOISE_FROM = 0.5, 500  # share of the timesteps at or above this one


def loss(
    controlnet: Any, unet: Any, known: Noised, states: torch.Tensor, maps: torch.Tensor
) -> torch.Tensor:
    """What `unet` gets wrong in the noise of clips (B, C, F, h, w) under the ControlNet's
    residuals; `states` (B, L, D), `maps` (B * F, 3, H, W)."""
    frames = known.noisy.shape[2]
    states = states.repeat_interleave(frames, dim=0)
    down, middle = controlnet(
        known.noisy.transpose(1, 2).flatten(0, 1),
        known.timesteps.repeat_interleave(frames),
        states,
        controlnet_cond=maps,
        return_dict=False,
    )
    predicted = unet(
        known.noisy,
        known.timesteps,
        states,
        down_block_additional_residuals=tuple(down),
        mid_block_additional_residual=middle,
    ).sample
    return known.loss(predicted)


def run(
    recipe: Recipe,
    folder: Path,
    data: LatentSet,
    places: np.ndarray,
    other: torch.Tensor,
    tokenizer,
    text_encoder: nn.Module,
    unet: nn.Module,
) -> Outcome:
    """Trains a ControlNet for the frozen `unet`, a UNetMotionModel.

    Args:
        places: float32 (N, F, 3), centre and size of the glyph in every frame of every clip of
            `data`.
        other: int64 (N, L), tokens of the clips' captions with a motion drawn at random.
    """
    controlnet = models.controlnet(models.image_base(unet))
    unet.requires_grad_(False).to(recipe.device)
    text_encoder.to(recipe.device)
    scheduler = models.scheduler()
    empty = tokenizer([""], padding="max_length", return_tensors="pt").input_ids[0]
    clips = len(data.latents)

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        rows = rng.integers(clips, size=BATCH)
        latents = data.latents[rows].float().transpose(1, 2)  # (B, C, F, h, w)
        misnamed = torch.from_numpy(rng.random(BATCH) < OTHER_MOTION)
        tokens = drop_text(
            rng, torch.where(misnamed[:, None], other[rows], data.tokens[rows]), empty
        )
        maps = torch.from_numpy(discs(places[rows])).flatten(0, 1)[:, None].expand(-1, 3, -1, -1)
        last = len(scheduler.betas)
        high = rng.random(BATCH) < HIGH_NOISE
        moments = np.where(
            high, rng.integers(HIGH_NOISE_FROM, last, size=BATCH), rng.integers(last, size=BATCH)
        )
        noised = add_noise(scheduler, latents, moments, recipe.device)
        with torch.no_grad():
            states = text_encoder(tokens.to(recipe.device)).last_hidden_state
        with recipe.autocast():
            return loss(controlnet, unet, noised, states, maps.to(recipe.device))

    return train(controlnet, loss_of, recipe, folder)
