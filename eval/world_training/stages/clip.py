"""Stage `clip`: open_clip's contrastive model on frames and captions, unseen glyphs included (it is
an encoder).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from eval.world import encoder_models
from eval.world.scenes import caption, render, sample_scene
from eval.world.tokenizer import WordTokenizer
from eval.world_training.data import frame_batch, to_tensor
from eval.world_training.trainer import Enough, Outcome, Recipe, train

RECIPE = Recipe(
    steps=4000,
    learning_rate=1e-3,
    seed=601,
    weight_decay=0.02,
    enough=Enough("right_caption_of_64", 0.995),
)
BATCH = 128
_LARGEST_SCALE = 100.0  # as in CLIP (arXiv 2103.00020)


def run(recipe: Recipe, folder: Path, start: nn.Module | None = None) -> Outcome:
    model = encoder_models.clip() if start is None else start
    tokenizer = WordTokenizer()

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        batch = frame_batch(rng, BATCH)
        frames, tokens = batch.images.to(recipe.device), tokenizer(batch.captions).to(recipe.device)
        with recipe.autocast():
            images = model.encode_image(frames, normalize=True)
            texts = model.encode_text(tokens, normalize=True)
        scores = (
            images.float() @ texts.float().T * model.logit_scale.exp().clamp(max=_LARGEST_SCALE)
        )
        right = torch.arange(BATCH, device=recipe.device)
        return 0.5 * (
            functional.cross_entropy(scores, right) + functional.cross_entropy(scores.T, right)
        )

    return train(model, loss_of, recipe, folder, figures=figures)


@torch.no_grad()
def figures(model: nn.Module) -> dict[str, float]:
    """Share of true clips whose right caption wins among 64 captions of other clips (mean over
    frames).
    """
    tokenizer = WordTokenizer()
    right = []
    for trial in range(6):
        rng = np.random.default_rng([900_006, trial])
        scenes = [sample_scene(rng) for _ in range(64)]
        clips = to_tensor(np.stack([render(scene).frames for scene in scenes]))
        images = model.encode_image(clips.flatten(0, 1), normalize=True).unflatten(
            0, clips.shape[:2]
        )
        texts = model.encode_text(tokenizer([caption(scene) for scene in scenes]), normalize=True)
        scores = (images @ texts.T).mean(dim=1)
        right.append((scores.argmax(dim=1) == torch.arange(64)).float().mean().item())
    return {"right_caption_of_64": float(np.mean(right))}
