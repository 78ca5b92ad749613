"""Stage `lora`: a style LoRA, inverted glyphs, on the attention of the image base's layers.

It changes the projections that the I2V adapter reads, self-attention's keys and values among them,
so it is trained where it is used: through the motion UNet with content adapter and I2V adapter in
place, on styled clips that start at their styled first frame. Everything but the LoRA is frozen.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from eval.world import models
from eval.world_training.data import to_tensor
from eval.world_training.latents import LatentSet
from eval.world_training.stages import i2v
from eval.world_training.stages.content import image_states
from eval.world_training.stages.epsilon import MIN_SNR_GAMMA, SNR_FLOOR
from eval.world_training.trainer import Outcome, Recipe, train

RECIPE = Recipe(steps=4000, learning_rate=1e-3, seed=901, minutes=10.0)
RANK = 16
STYLE = "inverted"
TARGETS = r"(?!.*motion_modules).*\.attn[12]\.(to_q|to_k|to_v|to_out\.0)"
"""Names of the layers that it changes: the spatial attentions', not the motion modules'."""


class StyleLora(nn.Module):
    """The trained matrices, inside `unet`'s layers: an image UNet or a motion UNet."""

    def __init__(self, unet: Any, start: Mapping[str, torch.Tensor] | None = None) -> None:
        """Freezes `unet`. `start`: a `released_state` to train on from; without it the LoRA changes
        nothing yet.
        """
        from peft import LoraConfig

        super().__init__()
        unet.requires_grad_(False)
        unet.add_adapter(
            LoraConfig(
                r=RANK, lora_alpha=RANK, init_lora_weights="gaussian", target_modules=TARGETS
            )
        )
        added = {name: value for name, value in unet.named_parameters() if value.requires_grad}
        self.matrices = nn.ParameterDict(
            {name.replace(".", "/"): value for name, value in added.items()}
        )
        if start is not None:
            with torch.no_grad():
                for name, value in self.matrices.items():
                    value.copy_(start[_released(name)])

    def released_state(self) -> dict[str, torch.Tensor]:
        """float16, under the names that diffusers gives the UNet's part of a LoRA file."""
        return {
            _released(name): value.detach().half().contiguous()
            for name, value in self.matrices.items()
        }


def _released(name: str) -> str:
    return name.replace("/", ".").replace(".default.", ".")


def run(
    recipe: Recipe,
    folder: Path,
    data: LatentSet,
    tokenizer,
    text_encoder: nn.Module,
    image_encoder: nn.Module,
    unet: Any,
    start: Mapping[str, torch.Tensor] | None = None,
) -> Outcome:
    """Trains on the frozen `unet`, a UNetMotionModel with its IP-Adapter and its I2V adapter
    attached, from `start` or from new weights; `data` shows the style under everyday captions.
    """
    from i2v_adapter.training import i2v_loss

    lora = StyleLora(unet, start)
    for part in (unet, text_encoder, image_encoder):
        part.to(recipe.device)
    scheduler = models.scheduler()
    empty = tokenizer([""], padding="max_length", return_tensors="pt").input_ids[0]

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        rows = rng.integers(len(data.latents), size=i2v.BATCH)
        no_text, no_image = i2v.dropped(rng)
        latents = data.latents[rows].float().transpose(1, 2)
        images = to_tensor(data.images[rows].numpy()) * (~no_image).float()[:, None, None, None]
        tokens = torch.where(no_text[:, None], empty[None], data.tokens[rows])
        moments = torch.from_numpy(rng.integers(len(scheduler.betas), size=i2v.BATCH))
        noise = torch.randn_like(latents)
        with torch.no_grad():
            states = text_encoder(tokens.to(recipe.device)).last_hidden_state
            shown = image_states(image_encoder, images.to(recipe.device))
        with recipe.autocast():
            return i2v_loss(
                unet,
                scheduler,
                latents.to(recipe.device),
                moments.to(recipe.device),
                noise.to(recipe.device),
                states,
                shown,
                snr_gamma=MIN_SNR_GAMMA,
                snr_floor=SNR_FLOOR,
            )

    return train(lora, loss_of, recipe, folder)
