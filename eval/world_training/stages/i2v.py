"""Stage `i2v`: the I2V adapter of the paper on the frozen text-to-video base with its content
adapter.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from eval.world import models
from eval.world_training.data import to_tensor
from eval.world_training.latents import LatentSet
from eval.world_training.stages.epsilon import MIN_SNR_GAMMA, SNR_FLOOR
from eval.world_training.steplog import StepLog
from eval.world_training.trainer import Outcome, Recipe

RECIPE = Recipe(steps=2000, learning_rate=1e-3, seed=801)
BATCH = 8
DROPOUT = 0.05  # text alone, image alone and both, each


def dropped(rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """For each of a batch, whether the text and whether the image is left out (guidance dropout);
    bool (B,) each.
    """
    draw = torch.from_numpy(rng.random(BATCH))
    no_text = (draw < DROPOUT) | ((draw >= 2 * DROPOUT) & (draw < 3 * DROPOUT))
    return no_text, (draw >= DROPOUT) & (draw < 3 * DROPOUT)


def run(
    recipe: Recipe,
    folder: Path,
    data: LatentSet,
    tokenizer,
    text_encoder: nn.Module,
    image_encoder: nn.Module,
    unet: nn.Module,
    adapter,
) -> Outcome:
    """Trains `adapter`, an `I2VAdapter` for `unet`, which carries its IP-Adapter, with
    `i2v_adapter.training`.
    """
    from accelerate import Accelerator
    from diffusers.training_utils import EMAModel

    from i2v_adapter.training import train

    empty = tokenizer([""], padding="max_length", return_tensors="pt").input_ids[0]

    @torch.no_grad()
    def batch(step: int) -> dict:
        rng = np.random.default_rng([recipe.seed, step])
        rows = rng.integers(len(data.latents), size=BATCH)
        no_text, no_image = dropped(rng)
        images = to_tensor(data.images[rows].numpy()) * (~no_image).float()[:, None, None, None]
        tokens = torch.where(no_text[:, None], empty[None], data.tokens[rows])
        return {
            "latents": data.latents[rows].float().transpose(1, 2),
            "encoder_hidden_states": text_encoder(tokens).last_hidden_state,
            "added_cond_kwargs": {
                "image_embeds": [
                    image_encoder(images, output_hidden_states=True).hidden_states[-2][:, None]
                ]
            },
        }

    log = StepLog(folder)
    average = EMAModel(adapter.parameters(), decay=recipe.ema_decay)
    result = train(
        adapter,
        unet,
        batch,
        scheduler=models.scheduler(),
        steps=recipe.steps,
        learning_rate=recipe.learning_rate,
        lr_schedule=lambda step: recipe.rate(step, step / recipe.steps) / recipe.learning_rate,
        snr_gamma=MIN_SNR_GAMMA,
        snr_floor=SNR_FLOOR,
        seed=recipe.seed,
        state_dir=folder,
        save_every=100,
        on_step=log,
        accelerator=Accelerator(mixed_precision="bf16", cpu=recipe.device == "cpu"),
        ema=average,
    )
    average.copy_to(adapter.parameters())
    return Outcome(adapter, result.step, log.seconds, log.loss)
