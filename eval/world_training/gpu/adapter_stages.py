"""The stages on the frozen base, `content` to `controlnet`, on a GPU: models and losses of
`eval.world_training.stages`, on batches that fill it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from eval.world import models
from eval.world.cards import load, publish
from eval.world.scenes import FRAMES, SIZE
from eval.world_training.context import published_base, published_image_encoder, trainable
from eval.world_training.generator_stages import publish_content
from eval.world_training.gpu.bench import Bench, quicken
from eval.world_training.gpu.trainer import Draws, Task, in_dtype
from eval.world_training.stages import content, controlnet, epsilon, i2v, lora
from eval.world_training.trainer import Recipe


def _state_batch(bench: Bench, draws: Draws, rows: Tensor, silent: Tensor, *, clips: bool) -> dict:
    """Latents, noise, timesteps and text states of rows; those that are `silent` say nothing."""
    data, count = bench.clips, len(rows)
    latents = (
        data.latents[rows].float().transpose(1, 2)
        if clips
        else data.latents[rows, draws.integers(FRAMES, count)].float()
    )
    return {
        "latents": latents,
        "noise": draws.normal(latents),
        "timesteps": draws.integers(1000, count),
        "states": torch.where(silent[:, None, None], data.no_text[None], data.states[rows]),
    }


def train_content(bench: Bench, recipe: Recipe) -> None:
    _, _, unet = published_base(bench.context)
    image_unet = bench.here(models.image_base(unet))
    model = content.Content(image_unet)
    bench.here(model, learns=True)
    scheduler, denoise = models.scheduler(), in_dtype(image_unet, bench.dtype)
    count = FRAMES * bench.batch

    def draw(draws: Draws) -> dict[str, Tensor]:
        rows = bench.clips.rows(draws, "wild", count)
        shown = ~draws.chance(count, content.IMAGE_DROPOUT)
        silent = draws.chance(count, epsilon.TEXT_DROPOUT)
        images = bench.clips.images(rows, 0) * shown.float()[:, None, None, None]
        return {**_state_batch(bench, draws, rows, silent, clips=False), "images": images}

    def loss(latents, noise, timesteps, states, images) -> Tensor:
        known = epsilon.noised(scheduler, latents, noise, timesteps)
        shown = content.image_states(model.image_encoder, images.to(bench.dtype))
        return epsilon.denoising_loss(denoise, known, states, added_cond_kwargs=shown)

    outcome = bench.train("content", model, [Task(draw, loss)], recipe)
    publish_content(outcome.module, bench.context.weights)
    for part in ("ip_adapter", "image_encoder"):
        bench.record("content", part, recipe, outcome)


def _dropped(draws: Draws, count: int) -> tuple[Tensor, Tensor]:
    """As `stages.i2v.dropped`: whether the text, and whether the image, is left out."""
    chance, share = draws.uniform(count), i2v.DROPOUT
    no_text = (chance < share) | ((chance >= 2 * share) & (chance < 3 * share))
    return no_text, (chance >= share) & (chance < 3 * share)


def base_with_content(bench: Bench) -> Any:
    """The published motion UNet with its content adapter, frozen, on the device."""
    _, _, unet = published_base(bench.context)
    unet._load_ip_adapter_weights(
        [models.published_ip_adapter(bench.context.weights)], low_cpu_mem_usage=False
    )
    return bench.here(quicken(unet, bench.temporal))


def i2v_task(bench: Bench, unet: Any, floor: float = epsilon.SNR_FLOOR, part: str = "wild") -> Task:
    """The I2V adapter's training on `unet`, which carries content adapter and I2V adapter; clips of
    a part of `bench.clips`."""
    from i2v_adapter.training import i2v_loss

    encoder: Any = bench.here(published_image_encoder(bench.context))

    def hidden(images: Tensor) -> Tensor:
        shown = content.image_states(encoder, images.to(bench.dtype))
        return shown["image_embeds"][0][:, 0]

    embeds = bench.clips.first_frames(hidden)
    nothing = hidden(torch.zeros(1, 3, SIZE, SIZE, device=bench.device)).detach()
    scheduler, denoise = models.scheduler(), in_dtype(unet, bench.dtype)

    def draw(draws: Draws) -> dict[str, Tensor]:
        rows = bench.clips.rows(draws, part, bench.batch)
        no_text, no_image = _dropped(draws, bench.batch)
        shown = torch.where(no_image[:, None, None], nothing, embeds[rows])
        return {**_state_batch(bench, draws, rows, no_text, clips=True), "shown": shown[:, None]}

    def loss(latents, noise, timesteps, states, shown) -> Tensor:
        return i2v_loss(
            denoise,
            scheduler,
            latents,
            timesteps,
            noise,
            states,
            {"image_embeds": [shown]},
            snr_gamma=epsilon.MIN_SNR_GAMMA,
            snr_floor=floor,
        )

    return Task(draw, loss)


def train_i2v(bench: Bench, recipe: Recipe) -> None:
    from i2v_adapter import I2VAdapter

    unet = base_with_content(bench)
    adapter = I2VAdapter.from_unet(unet)
    bench.here(adapter, learns=True)
    adapter.attach(unet)
    outcome = bench.train("i2v", adapter, [i2v_task(bench, unet)], recipe)
    publish(outcome.module, bench.context.weights / "i2v_adapter")
    bench.record("i2v", "i2v_adapter", recipe, outcome, **trainable(outcome.module))


def train_concat(bench: Bench, recipe: Recipe) -> None:
    from eval.world.concatenation import widen

    _, _, unet = published_base(bench.context)
    model = bench.here(quicken(widen(unet), bench.temporal), learns=True)
    scheduler, denoise = models.scheduler(), in_dtype(model, bench.dtype)

    def draw(draws: Draws) -> dict[str, Tensor]:
        rows = bench.clips.rows(draws, "wild", bench.batch)
        no_text, no_image = _dropped(draws, bench.batch)
        batch = _state_batch(bench, draws, rows, no_text, clips=True)
        beside = batch["latents"][:, :, 0] * (~no_image).float()[:, None, None, None]
        return {**batch, "beside": beside}

    def loss(latents, noise, timesteps, states, beside) -> Tensor:
        known = epsilon.noised(scheduler, latents, noise, timesteps)
        return epsilon.denoising_loss(denoise, known, states, beside)

    outcome = bench.train("concat", model, [Task(draw, loss)], recipe)
    publish(outcome.module, bench.context.weights / "concat")
    bench.record("concat", "concat", recipe, outcome, **trainable(outcome.module))


def train_lora(bench: Bench, recipe: Recipe) -> None:
    from diffusers import StableDiffusionPipeline

    from i2v_adapter import I2VAdapter

    unet = base_with_content(bench)
    bench.here(load(I2VAdapter, bench.context.weights / "i2v_adapter")).attach(unet)
    model = lora.StyleLora(unet)
    for module in (unet, model):
        nn.Module.to(module, bench.device, bench.dtype)
    outcome = bench.train("lora", model, [i2v_task(bench, unet, part="style")], recipe)
    trained: Any = outcome.module
    StableDiffusionPipeline.save_lora_weights(
        bench.context.weights / "style_lora", unet_lora_layers=trained.released_state()
    )
    bench.record("lora", "style_lora", recipe, outcome)


def train_controlnet(bench: Bench, recipe: Recipe) -> None:
    _, _, unet = published_base(bench.context)
    model = bench.here(models.controlnet(models.image_base(unet)), learns=True)
    bench.here(quicken(unet, bench.temporal))
    scheduler, data = models.scheduler(), bench.clips
    denoise, control = in_dtype(unet, bench.dtype), in_dtype(model, bench.dtype)

    def draw(draws: Draws) -> dict[str, Tensor]:
        rows = data.rows(draws, "wild", bench.batch)
        silent = draws.chance(bench.batch, epsilon.TEXT_DROPOUT)
        batch = _state_batch(bench, draws, rows, silent, clips=True)
        misnamed = draws.chance(bench.batch, controlnet.OTHER_MOTION) & ~silent
        states = torch.where(misnamed[:, None, None], data.other_states[rows], batch["states"])
        high = draws.chance(bench.batch, controlnet.HIGH_NOISE)
        raised = draws.integers(1000, bench.batch, low=controlnet.HIGH_NOISE_FROM)
        timesteps = torch.where(high, raised, batch["timesteps"])
        maps = discs(data.places[rows]).flatten(0, 1)[:, None].expand(-1, 3, -1, -1)
        return {**batch, "states": states, "timesteps": timesteps, "maps": maps}

    def loss(latents, noise, timesteps, states, maps) -> Tensor:
        known = epsilon.noised(scheduler, latents, noise, timesteps)
        return controlnet.loss(control, denoise, known, states, maps)

    outcome = bench.train("controlnet", model, [Task(draw, loss)], recipe)
    publish(outcome.module, bench.context.weights / "controlnet")
    bench.record("controlnet", "controlnet", recipe, outcome)


def discs(places: Tensor) -> Tensor:
    """As `eval.world.control.discs`, on the device."""
    half = torch.arange(SIZE, device=places.device) + 0.5
    x, y, size = (part[..., None, None] for part in places.unbind(-1))
    distance = torch.hypot(half[None, :] - x, half[:, None] - y)
    return (size / 2.0 + 0.5 - distance).clamp(0.0, 1.0)
