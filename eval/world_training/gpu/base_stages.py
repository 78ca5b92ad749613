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
from eval.world_training.context import published_base, published_vae
from eval.world_training.gpu.stage_setup import FRAMES_A_CLIP, StageSetup, set_motion_attention
from eval.world_training.gpu.trainer import Draws, Task, in_dtype
from eval.world_training.stages import epsilon, motion, spatial, vae
from eval.world_training.trainer import Recipe


def train_vae(setup: StageSetup, recipe: Recipe) -> None:
    clips, count = setup.clips, 2 * setup.batch
    pulls = 0

    def draw(draws: Draws) -> dict[str, Tensor]:
        nonlocal pulls
        if pulls % 50 == 0:  # frames that have been drawn since
            clips.pull()
        pulls += 1
        rows, moments = clips.any_row(draws, count), draws.integers(setup.size.frames, count)
        masks = clips.masks[rows, moments][:, None].float() / 255.0
        return {"images": clips.images(rows, moments), "masks": masks}

    model = setup.here(setup.size.vae(), learns=True)
    outcome = setup.train(
        "vae", model, [Task(draw, lambda images, masks: vae.loss(model, images, masks))], recipe
    )
    trained: Any = nn.Module.to(outcome.module, setup.device).eval()
    trained.register_to_config(scaling_factor=vae.latent_scale(trained))
    publish(trained, setup.context.weights / "vae")
    setup.record("vae", "vae", recipe, outcome, **vae.figures(trained))


def encode(setup: StageSetup) -> None:
    """Latents of all clips by the published VAE; tokens of their captions."""
    from eval.world.tokenizer import build_clip_tokenizer

    tokenizer = build_clip_tokenizer()
    tokenizer.save_pretrained(setup.context.weights / "tokenizer")
    models.scheduler().save_pretrained(setup.context.weights / "scheduler")
    setup.clips.finish()
    setup.clips.tokenize(tokenizer)
    setup.clips.encode(setup.here(published_vae(setup.context)))


def text_task(
    setup: StageSetup,
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
    scheduler, data, denoise = models.scheduler(), setup.clips, in_dtype(unet, setup.dtype)
    count = setup.batch if clips else FRAMES_A_CLIP * setup.batch
    last = len(scheduler.betas)

    def draw(draws: Draws) -> dict[str, Tensor]:
        chosen = rows(draws, count)
        latents = (
            data.latents[chosen].float().transpose(1, 2)
            if clips
            else data.latents[chosen, draws.integers(setup.size.frames, count)].float()
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


def train_spatial(setup: StageSetup, recipe: Recipe) -> None:
    from transformers import CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(setup.context.weights / "tokenizer")
    model = spatial.TextToImage(len(tokenizer), setup.size.spatial_unet())
    setup.here(model, learns=True)
    task = text_task(
        setup,
        model.text_encoder,
        model.unet,
        lambda draws, count: setup.clips.rows(draws, "base", count),
        clips=False,
        floor=0.0,
    )
    outcome = setup.train("spatial", model, [task], recipe)
    for part in ("text_encoder", "unet"):
        publish(getattr(outcome.module, part), setup.context.work / "spatial" / part)


def mixed_rows(setup: StageSetup, draws: Draws, count: int) -> Tensor:
    """Rows of what the base is trained on: seven tenths of named shapes, the rest mostly wild."""
    base, wild = (setup.clips.rows(draws, part, count) for part in ("base", "wild"))
    return torch.where(draws.chance(count, 0.7), base, wild)


def clean_first_task(setup: StageSetup, text_encoder: Any, unet: Any, usual: Task) -> Task:
    """The clips of `usual`, a `text_task`, each with its first frame clean, as the I2V adapter will
    have it; errors in that frame do not count.
    """
    from i2v_adapter.training import i2v_loss

    scheduler, denoise = models.scheduler(), in_dtype(unet, setup.dtype)

    def loss(latents: Tensor, noise: Tensor, tokens: Tensor, timesteps: Tensor) -> Tensor:
        states = text_encoder(tokens).last_hidden_state
        return i2v_loss(
            denoise,
            scheduler,
            latents,
            timesteps,
            noise,
            states,
            snr_gamma=epsilon.MIN_SNR_GAMMA,
            snr_floor=epsilon.SNR_FLOOR,
        )

    return usual._replace(loss=loss)


def _start_of_motion(setup: StageSetup) -> tuple[Any, Any]:
    """Text encoder and motion UNet: of stage `spatial`, or those that are trained on."""
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel

    if setup.context.go_on:
        _, text_encoder, unet = published_base(setup.context)
        return text_encoder, unet
    folder = setup.context.work / "spatial"
    image_unet = load(UNet2DConditionModel, folder / "unet")
    text_encoder = load(CLIPTextModel, folder / "text_encoder")
    return text_encoder, models.motion_unet(image_unet, setup.size.motion_adapter())


def train_motion(setup: StageSetup, recipe: Recipe) -> None:
    """A base that is trained on sees half of its clips with a clean first frame: of all changes
    tried, that takes most off the adapter's error (`eval/world/README.md`).
    """
    text_encoder, unet = _start_of_motion(setup)
    model = motion.TextToVideo(text_encoder, set_motion_attention(unet, setup.temporal))
    setup.here(model, learns=True)

    images = models.image_base(model.unet)

    def rows(draws: Draws, count: int) -> Tensor:
        return mixed_rows(setup, draws, count)

    clips = text_task(
        setup,
        model.text_encoder,
        model.unet,
        rows,
        clips=True,
        high_noise=motion.HIGH_NOISE,
        share=0.75,
    )
    tasks = [clips]
    if setup.context.go_on:
        half = clips._replace(share=clips.share / 2)
        tasks = [half, clean_first_task(setup, model.text_encoder, model.unet, half)]
    tasks.append(text_task(setup, model.text_encoder, images, rows, clips=False, share=0.25))
    outcome = setup.train("motion", model, tasks, recipe)
    for part in ("text_encoder", "unet"):
        publish(getattr(outcome.module, part), setup.context.weights / part)
        setup.record("motion", part, recipe, outcome)


def read(setup: StageSetup) -> None:
    """What the published text encoder makes of all captions."""
    _, text_encoder, _ = published_base(setup.context)
    setup.clips.read(setup.here(text_encoder))
