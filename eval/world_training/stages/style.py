"""Stage `style`: a ResNet classifier of how glyphs are drawn, on frames of all glyphs (it is an
encoder).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from eval.world import encoder_models
from eval.world.scenes import FRAMES, render_frame, sample_scene
from eval.world.styles import STYLES
from eval.world_training.data import to_tensor
from eval.world_training.trainer import Enough, Outcome, Recipe, train

RECIPE = Recipe(
    steps=2000,
    learning_rate=2e-3,
    seed=1101,
    minutes=4.0,
    weight_decay=0.02,
    enough=Enough("style_accuracy", 0.995, every=100),
)
BATCH = 96
_BLURRED = 0.25  # share of the frames that a generator's softness is imitated on


def _frames(rng: np.random.Generator, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`size` frames of as many scenes, every style in turn: RGB (N, 3, 64, 64) in [-1, 1] and style
    numbers (N,).
    """
    labels = np.arange(size) % len(STYLES)
    draws = list(STYLES.values())
    shots = [
        render_frame(sample_scene(rng), int(rng.integers(FRAMES)), draws[label])[0]
        for label in labels
    ]
    return to_tensor(np.stack(shots)), torch.from_numpy(labels)


def _softened(rng: np.random.Generator, images: torch.Tensor) -> torch.Tensor:
    """Some of the images through half their size and back, and all of them with a little noise."""
    small = functional.interpolate(images, scale_factor=0.5, mode="area")
    blurred = functional.interpolate(small, scale_factor=2.0, mode="bilinear")
    chosen = torch.from_numpy(rng.random((len(images), 1, 1, 1)) < _BLURRED)
    return torch.where(chosen, blurred, images) + 0.03 * torch.randn_like(images)


def run(recipe: Recipe, folder: Path, start: nn.Module | None = None) -> Outcome:
    model = encoder_models.style_classifier() if start is None else start

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        images, labels = _frames(rng, BATCH)
        images, labels = _softened(rng, images).to(recipe.device), labels.to(recipe.device)
        return functional.cross_entropy(model(images).logits, labels)

    return train(model, loss_of, recipe, folder, figures=figures)


@torch.no_grad()
def figures(model: nn.Module) -> dict[str, float]:
    """Share of 512 fresh frames, untouched and softened ones in turn, whose style is named
    rightly."""
    rng = np.random.default_rng(900_011)
    torch.manual_seed(900_011)
    right = []
    for part in range(8):
        images, labels = _frames(rng, 64)
        seen = _softened(rng, images) if part % 2 else images
        right.append((model(seen).logits.argmax(dim=1) == labels).float().mean().item())
    return {"style_accuracy": float(np.mean(right))}
