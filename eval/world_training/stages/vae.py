"""Stage `vae`: AutoencoderKL on single frames, seen and wild shapes only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from eval.world import models
from eval.world.glyphs import SEEN, UNSEEN
from eval.world.scenes import frames_at, render_frame, sample_scene
from eval.world_training.data import frame_batch, to_tensor
from eval.world_training.trainer import Enough, Outcome, Recipe, train

RECIPE = Recipe(steps=6000, learning_rate=2e-3, seed=101, enough=Enough("psnr_unseen", 31.0))
_GLYPH_WEIGHT = 0.5  # more than that (3 was tried) costs the backgrounds their hue and 5 dB
_KL_WEIGHT = 1e-4


def loss(model: Any, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Square error, more of it near the glyph, and a little of the KL divergence; images float32
    (N, 3, H, W) in [-1, 1], masks float32 (N, 1, H, W) in [0, 1]."""
    posterior = model.encode(images.to(model.dtype)).latent_dist
    decoded = model.decode(posterior.sample()).sample
    error = (decoded.float() - images).square()
    weights = 1.0 + _GLYPH_WEIGHT * functional.max_pool2d(masks, 5, stride=1, padding=2)
    divergence = posterior.kl().float().mean() / posterior.mean[0].numel()
    return (error * weights).mean() + _KL_WEIGHT * divergence


def run(recipe: Recipe, folder: Path, model: torch.nn.Module | None = None) -> Outcome:
    model = models.vae() if model is None else model

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        batch = frame_batch(rng, 16, glyphs=tuple(SEEN), wild=0.4)
        images, masks = batch.images.to(recipe.device), batch.masks.to(recipe.device)
        with recipe.autocast():
            return loss(model, images, masks)

    return train(model, loss_of, recipe, folder, figures=figures)


@torch.no_grad()
def latent_scale(model: Any) -> float:
    """1 / standard deviation of the latents: diffusers' `scaling_factor`."""
    rng, side = np.random.default_rng(102), model.config.sample_size
    batch = frame_batch(rng, 256, side=side, glyphs=tuple(SEEN), wild=0.4)
    return 1.0 / float(model.encode(batch.images.to(model.device)).latent_dist.mean.std())


@torch.no_grad()
def round_trips(model: Any) -> Iterator[tuple[str, list[float]]]:
    """(group, PSNR in dB of each of 256 fresh frames) for unseen and seen glyphs: round trips with
    the posterior's mode.
    """
    for group, glyphs in (("unseen", UNSEEN), ("seen", SEEN)):
        rng = np.random.default_rng([900_001, len(glyphs)])
        side = model.config.sample_size
        scenes = [sample_scene(rng, glyphs=tuple(glyphs)).enlarged(side) for _ in range(256)]
        last = frames_at(side)
        images = to_tensor(
            np.stack([render_frame(scene, int(rng.integers(last)))[0] for scene in scenes])
        ).to(model.device)
        decoded = model.decode(model.encode(images).latent_dist.mode()).sample.clamp(-1.0, 1.0)
        error = (decoded - images).square().mean(dim=(1, 2, 3)) / 4.0
        yield group, (-10.0 * error.log10()).tolist()


def figures(model: Any) -> dict[str, float]:
    """Mean PSNR in dB of `round_trips`, of unseen and of seen glyphs."""
    return {f"psnr_{group}": float(np.mean(values)) for group, values in round_trips(model)}
