"""The base's stages on a GPU, `vae` to `motion`: models and losses of `eval.world_training.stages`,
on batches that fill it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from eval.world import models
from eval.world.cards import load, publish
from eval.world.scenes import FRAMES
from eval.world_training.context import published_base, published_vae
from eval.world_training.gpu.bench import Bench, quicken
from eval.world_training.gpu.trainer import Draws, Task, in_dtype
from eval.world_training.stages import epsilon, motion, spatial, vae
from eval.world_training.trainer import Recipe


def train_vae(bench: Bench, recipe: Recipe) -> None:
    clips, count = bench.clips, 2 * bench.batch
    pulls = 0

    def draw(draws: Draws) -> dict[str, Tensor]:
        nonlocal pulls
        if pulls % 50 == 0:  # frames that have been drawn since
            clips.pull()
        pulls += 1
        rows, moments = clips.any_row(draws, count), draws.integers(FRAMES, count)
        masks = clips.masks[rows, moments][:, None].float() / 255.0
        return {"images": clips.images(rows, moments), "masks": masks}

    model = bench.here(bench.size.vae(), learns=True)
    outcome = bench.train(
        "vae", model, [Task(draw, lambda images, masks: vae.loss(model, images, masks))], recipe
    )
    trained: Any = nn.Module.to(outcome.module, bench.device).eval()
    trained.register_to_config(scaling_factor=vae.latent_scale(trained))
    publish(trained, bench.context.weights / "vae")
    bench.record("vae", "vae", recipe, outcome, **vae.figures(trained))


def encode(bench: Bench) -> None:
    """Latents of all clips by the published VAE; tokens of their captions."""
    from eval.world.tokenizer import build_clip_tokenizer

    tokenizer = build_clip_tokenizer()
    tokenizer.save_pretrained(bench.context.weights / "tokenizer")
    models.scheduler().save_pretrained(bench.context.weights / "scheduler")
    bench.clips.finish()
    bench.clips.tokenize(tokenizer)
    bench.clips.encode(bench.here(published_vae(bench.context)))


def text_task(
    bench: Bench,
    text_encoder: Any,
    unet: Any,
    rows: Callable[[Draws, int], Tensor],
    *,
    clips: bool,
    high_noise: float = 0.0,
    share: float = 1.0,
    **weights: float,
) -> Task:
    """Text and noise, single frames or clips; `weights` go to `epsilon.noised`."""
    scheduler, data, denoise = models.scheduler(), bench.clips, in_dtype(unet, bench.dtype)
    count = bench.batch if clips else FRAMES * bench.batch
    last = len(scheduler.betas)

    def draw(draws: Draws) -> dict[str, Tensor]:
        chosen = rows(draws, count)
        latents = (
            data.latents[chosen].float().transpose(1, 2)
            if clips
            else data.latents[chosen, draws.integers(FRAMES, count)].float()
        )
        silent = draws.chance(count, epsilon.TEXT_DROPOUT)
        high = draws.chance(count, high_noise)
        raised = draws.integers(last, count, low=motion.HIGH_NOISE_FROM)
        return {
            "latents": latents,
            "noise": draws.normal(latents),
            "tokens": torch.where(silent[:, None], data.empty[None], data.tokens[chosen]),
            "timesteps": torch.where(high, raised, draws.integers(last, count)),
        }

    def loss(latents: Tensor, noise: Tensor, tokens: Tensor, timesteps: Tensor) -> Tensor:
        known = epsilon.noised(scheduler, latents, noise, timesteps, **weights)
        states = text_encoder(tokens).last_hidden_state
        return epsilon.denoising_loss(denoise, known, states)

    return Task(draw, loss, share)


def train_spatial(bench: Bench, recipe: Recipe) -> None:
    from transformers import CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(bench.context.weights / "tokenizer")
    model = spatial.TextToImage(len(tokenizer), bench.size.spatial_unet())
    bench.here(model, learns=True)
    task = text_task(
        bench,
        model.text_encoder,
        model.unet,
        lambda draws, count: bench.clips.rows(draws, "base", count),
        clips=False,
        floor=0.0,
    )
    outcome = bench.train("spatial", model, [task], recipe)
    for part in ("text_encoder", "unet"):
        publish(getattr(outcome.module, part), bench.context.work / "spatial" / part)


def mixed_rows(bench: Bench, draws: Draws, count: int) -> Tensor:
    """Rows of what the base is trained on: seven tenths of named shapes, the rest mostly wild."""
    base, wild = (bench.clips.rows(draws, part, count) for part in ("base", "wild"))
    return torch.where(draws.chance(count, 0.7), base, wild)


def train_motion(bench: Bench, recipe: Recipe) -> None:
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel

    folder = bench.context.work / "spatial"
    image_unet = load(UNet2DConditionModel, folder / "unet")
    model = motion.TextToVideo(
        load(CLIPTextModel, folder / "text_encoder"),
        quicken(models.motion_unet(image_unet, bench.size.motion_adapter()), bench.temporal),
    )
    bench.here(model, learns=True)

    images = models.image_base(model.unet)

    def rows(draws: Draws, count: int) -> Tensor:
        return mixed_rows(bench, draws, count)

    tasks = [
        text_task(
            bench,
            model.text_encoder,
            model.unet,
            rows,
            clips=True,
            high_noise=motion.HIGH_NOISE,
            share=0.75,
        ),
        text_task(bench, model.text_encoder, images, rows, clips=False, share=0.25),
    ]
    outcome = bench.train("motion", model, tasks, recipe)
    for part in ("text_encoder", "unet"):
        publish(getattr(outcome.module, part), bench.context.weights / part)
        bench.record("motion", part, recipe, outcome)


def read(bench: Bench) -> None:
    """What the published text encoder makes of all captions."""
    _, text_encoder, _ = published_base(bench.context)
    bench.clips.read(bench.here(text_encoder))
