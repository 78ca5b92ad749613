"""Stage `content`: an IP-Adapter Plus and its image encoder, on the frozen image base (as the
original was trained).

The reference is another moment of the same clip, so the adapter learns what is shown rather than
where it stands.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from eval.world import models
from eval.world_training.data import to_tensor
from eval.world_training.latents import LatentSet
from eval.world_training.stages.epsilon import add_noise, denoising_loss, drop_text
from eval.world_training.trainer import Outcome, Recipe, train

RECIPE = Recipe(steps=2000, learning_rate=1e-3, seed=401)
BATCH = 64
IMAGE_DROPOUT = 0.1


class Content(nn.Module):
    """The trained parts: image encoder, resampler and the key and value projections, the last two
    inside the UNet.
    """

    def __init__(self, unet: nn.Module, start: tuple[nn.Module, dict] | None = None) -> None:
        super().__init__()
        self.image_encoder, adapter = (
            (models.image_encoder(), models.new_ip_adapter(unet)) if start is None else start
        )
        unet._load_ip_adapter_weights([adapter], low_cpu_mem_usage=False)
        self.resampler = unet.encoder_hid_proj
        self.projections = nn.ModuleDict(
            {
                name.replace(".", "/"): value
                for name, value in unet.attn_processors.items()
                if hasattr(value, "to_k_ip")
            }
        )


def image_states(image_encoder: nn.Module, images: torch.Tensor) -> dict[str, list[torch.Tensor]]:
    """What the UNet is told of images, (N, 3, H, W) in [-1, 1]: its `added_cond_kwargs`."""
    hidden = image_encoder(images, output_hidden_states=True).hidden_states[-2]
    return {"image_embeds": [hidden[:, None]]}


def released_state(content: Content) -> dict[str, dict[str, torch.Tensor]]:
    """The trained adapter in the released IP-Adapter Plus layout."""
    return models.ip_adapter_layout(content.resampler, list(content.projections.values()))


def run(
    recipe: Recipe,
    folder: Path,
    data: LatentSet,
    tokenizer,
    text_encoder: nn.Module,
    spatial: nn.Module,
    start: tuple[nn.Module, dict] | None = None,
) -> Outcome:
    """Trains on the frozen `spatial`, a UNet2DConditionModel, from `start` (image encoder, released
    layout) or from new weights.
    """
    spatial.requires_grad_(False).to(recipe.device)
    text_encoder.to(recipe.device)
    content = Content(spatial, start).requires_grad_(True)
    scheduler = models.scheduler()
    empty = tokenizer([""], padding="max_length", return_tensors="pt").input_ids[0]
    clips, frames = data.latents.shape[:2]

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        rows, moments = rng.integers(clips, size=BATCH), rng.integers(frames, size=BATCH)
        latents = data.latents[rows, moments].float()
        tokens = drop_text(rng, data.tokens[rows], empty)
        images = to_tensor(data.images[rows].numpy())
        images *= torch.from_numpy(rng.random((BATCH, 1, 1, 1)) >= IMAGE_DROPOUT).float()
        noised = add_noise(
            scheduler, latents, rng.integers(len(scheduler.betas), size=BATCH), recipe.device
        )
        with torch.no_grad():
            states = text_encoder(tokens.to(recipe.device)).last_hidden_state
        with recipe.autocast():
            shown = image_states(content.image_encoder, images.to(recipe.device))
            return denoising_loss(spatial, noised, states, added_cond_kwargs=shown)

    return train(content, loss_of, recipe, folder)
