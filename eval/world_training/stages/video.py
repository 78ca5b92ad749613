"""Stage `video`: a VideoMAE classifier of motion and glyph on clips; its features carry the Fréchet
video distance.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from eval.world import encoder_models
from eval.world.glyphs import GLYPHS
from eval.world.scenes import MOTIONS, Scene, render, sample_scene
from eval.world_training.data import to_tensor
from eval.world_training.trainer import Enough, Outcome, Recipe, train

RECIPE = Recipe(
    steps=4000,
    learning_rate=1e-3,
    seed=701,
    weight_decay=0.02,
    enough=Enough("motion_accuracy", 0.95),
)
BATCH = 24


def _labels(scenes: list[Scene]) -> tuple[torch.Tensor, torch.Tensor]:
    motions, glyphs = list(MOTIONS), list(GLYPHS)
    return (
        torch.tensor([motions.index(scene.motion) for scene in scenes]),
        torch.tensor([glyphs.index(scene.glyph) for scene in scenes]),
    )


def split_logits(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, motions + glyphs) -> motion logits (N, 7) and glyph logits (N, 36)."""
    return logits[:, : len(MOTIONS)], logits[:, len(MOTIONS) :]


def run(recipe: Recipe, folder: Path, start: nn.Module | None = None) -> Outcome:
    model = encoder_models.videomae() if start is None else start

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        scenes = [sample_scene(rng) for _ in range(BATCH)]
        clips = to_tensor(np.stack([render(scene).frames for scene in scenes])).to(recipe.device)
        motion, glyph = (labels.to(recipe.device) for labels in _labels(scenes))
        with recipe.autocast():
            logits = model(clips).logits
        motion_logits, glyph_logits = split_logits(logits.float())
        return functional.cross_entropy(motion_logits, motion) + functional.cross_entropy(
            glyph_logits, glyph
        )

    return train(model, loss_of, recipe, folder, figures=figures)


@torch.no_grad()
def figures(model: nn.Module) -> dict[str, float]:
    """Share of 256 fresh true clips whose motion, and whose glyph, is named rightly."""
    rng = np.random.default_rng(900_007)
    scenes = [sample_scene(rng) for _ in range(256)]
    clips = to_tensor(np.stack([render(scene).frames for scene in scenes]))
    motion, glyph = _labels(scenes)
    logits = torch.cat([model(part).logits for part in clips.split(32)])
    motion_logits, glyph_logits = split_logits(logits)
    return {
        "motion_accuracy": float((motion_logits.argmax(dim=1) == motion).float().mean()),
        "glyph_accuracy": float((glyph_logits.argmax(dim=1) == glyph).float().mean()),
    }
