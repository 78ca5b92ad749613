"""Stage `lora`: a style LoRA, inverted glyphs, on the frozen image base (as diffusers'
text-to-image example does).

It changes the attention projections of the spatial layers, self-attention's keys and values among
them: the layers that an I2V adapter trained on the untouched base is attached to.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from eval.world import models
from eval.world_training.latents import LatentSet
from eval.world_training.stages.epsilon import add_noise, denoising_loss, drop_text
from eval.world_training.trainer import Outcome, Recipe, train

RECIPE = Recipe(steps=4000, learning_rate=2e-3, seed=901, minutes=10.0)
BATCH = 64
RANK = 16
STYLE = "inverted"
_TARGETS = ["to_q", "to_k", "to_v", "to_out.0"]


class StyleLora(nn.Module):
    """The trained matrices, inside `spatial`'s layers."""

    def __init__(self, spatial: nn.Module) -> None:
        from peft import LoraConfig

        super().__init__()
        spatial.requires_grad_(False)
        spatial.add_adapter(
            LoraConfig(
                r=RANK, lora_alpha=RANK, init_lora_weights="gaussian", target_modules=_TARGETS
            )
        )
        added = {name: value for name, value in spatial.named_parameters() if value.requires_grad}
        self.matrices = nn.ParameterDict(
            {name.replace(".", "/"): value for name, value in added.items()}
        )

    def released_state(self) -> dict[str, torch.Tensor]:
        """float16, under the names that diffusers gives the UNet's part of a LoRA file."""
        return {
            name.replace("/", ".").replace(".default.", "."): value.detach().half().contiguous()
            for name, value in self.matrices.items()
        }


def run(
    recipe: Recipe,
    folder: Path,
    data: LatentSet,
    tokenizer,
    text_encoder: nn.Module,
    spatial: nn.Module,
) -> Outcome:
    """Trains on the frozen `spatial`, a UNet2DConditionModel; `data` shows the style under everyday
    captions.
    """
    lora = StyleLora(spatial)
    spatial.to(recipe.device)
    text_encoder.to(recipe.device)
    scheduler = models.scheduler()
    empty = tokenizer([""], padding="max_length", return_tensors="pt").input_ids[0]
    clips, frames = data.latents.shape[:2]

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        rows, moments = rng.integers(clips, size=BATCH), rng.integers(frames, size=BATCH)
        latents = data.latents[rows, moments].float()
        tokens = drop_text(rng, data.tokens[rows], empty)
        noised = add_noise(
            scheduler, latents, rng.integers(len(scheduler.betas), size=BATCH), recipe.device
        )
        with torch.no_grad():
            states = text_encoder(tokens.to(recipe.device)).last_hidden_state
        with recipe.autocast():
            return denoising_loss(spatial, noised, states)

    return train(lora, loss_of, recipe, folder)
