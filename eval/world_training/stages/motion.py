"""Stage `motion`: the text-to-video base, on clips and on single frames in turn.

AnimateDiff trains its motion modules alone. Here the image base has seen the words "moving left" on
single frames only, where they say next to nothing: after 1,500 steps of motion modules (and
cross-attention) clips were steady and ignored the prompted motion. So everything learns: a step
sees either 8 clips, mostly at the high noise where a clip's motion is decided, or 64 different
frames through the same weights without motion modules, which keep the shapes. And errors at high
noise get a weight that lets them be learned: at timestep 900, where sampling settles the motion,
the signal-to-noise ratio is .005, so plain epsilon loss hardly sees whether a glyph goes left or
right.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from eval.world import models
from eval.world_training.latents import LatentSet
from eval.world_training.stages.epsilon import add_noise, denoising_loss, drop_text
from eval.world_training.trainer import Outcome, Recipe, train

RECIPE = Recipe(steps=6000, learning_rate=1e-3, seed=302)
CLIPS, FRAMES = 8, 64  # a step of either kind
HIGH_NOISE, HIGH_NOISE_FROM = 0.6, 500  # share of a clip step's timesteps at or above this one


class TextToVideo(nn.Module):
    """Text encoder and motion UNet under one roof, so that they share optimizer and EMA."""

    def __init__(self, text_encoder: nn.Module, unet: nn.Module) -> None:
        super().__init__()
        self.text_encoder, self.unet = text_encoder, unet


def run(
    recipe: Recipe,
    folder: Path,
    sets: Sequence[tuple[LatentSet, float]],
    tokenizer,
    text_encoder: nn.Module,
    unet: nn.Module,
    *,
    clip_steps: float = 0.75,
) -> Outcome:
    """Trains `unet`, a UNetMotionModel, and the text encoder.

    `sets` are encoded clips and the share of batches that comes from them; `clip_steps` is the
    share of steps that see clips.
    """
    model = TextToVideo(text_encoder, unet).train().requires_grad_(True).to(recipe.device)
    images = models.image_base(model.unet)
    scheduler = models.scheduler()
    empty = tokenizer([""], padding="max_length", return_tensors="pt").input_ids[0]
    last = len(scheduler.betas)

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        data = sets[int(rng.choice(len(sets), p=[share for _, share in sets]))][0]
        clips, frames = data.latents.shape[:2]
        is_clip = rng.random() < clip_steps
        rows = rng.integers(clips, size=CLIPS if is_clip else FRAMES)
        tokens = drop_text(rng, data.tokens[rows], empty)
        timesteps = rng.integers(last, size=len(rows))
        if is_clip:
            latents = data.latents[rows].float().transpose(1, 2)  # (B, C, F, h, w)
            high = rng.random(CLIPS) < HIGH_NOISE
            timesteps = np.where(high, rng.integers(HIGH_NOISE_FROM, last, size=CLIPS), timesteps)
        else:
            latents = data.latents[rows, rng.integers(frames, size=FRAMES)].float()
        noised = add_noise(scheduler, latents, timesteps, recipe.device)
        with recipe.autocast():
            states = model.text_encoder(tokens.to(recipe.device)).last_hidden_state
            return denoising_loss(model.unet if is_clip else images, noised, states)

    return train(model, loss_of, recipe, folder)
