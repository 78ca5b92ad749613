"""The stages on the frozen base, `content` to `controlnet`, on a GPU: models and losses of
`eval.world_training.stages`, on batches that fill it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from eval.world import models
from eval.world.cards import load, publish
from eval.world.scenes import SIZE
from eval.world_training.context import published_base, published_image_encoder, trainable
from eval.world_training.generator_stages import publish_content
from eval.world_training.gpu.stage_setup import FRAMES_A_CLIP, StageSetup, set_motion_attention
from eval.world_training.gpu.trainer import Draws, Task, in_dtype
from eval.world_training.stages import content, controlnet, epsilon, i2v, lora
from eval.world_training.trainer import Recipe


def _state_batch(
    setup: StageSetup, draws: Draws, rows: Tensor, silent: Tensor, *, clips: bool
) -> dict:
    """Latents, noise, timesteps and text states of rows; those that are `silent` say nothing."""
    data, count = setup.clips, len(rows)
    latents = (
        data.latents[rows].float().transpose(1, 2)
        if clips
        else data.latents[rows, draws.integers(setup.size.frames, count)].float()
    )
    return {
        "latents": latents,
        "noise": draws.normal(latents),
        "timesteps": draws.integers(1000, count),
        "states": torch.where(silent[:, None, None], data.no_text[None], data.states[rows]),
    }


def train_content(setup: StageSetup, recipe: Recipe) -> None:
    _, _, unet = published_base(setup.context)
    image_unet = setup.here(models.image_base(unet))
    weights = setup.context.weights
    start = (
        (published_image_encoder(setup.context), models.published_ip_adapter(weights))
        if setup.context.go_on
        else (models.image_encoder(setup.size.pixels), models.new_ip_adapter(image_unet))
    )
    model = content.Content(image_unet, start)
    setup.here(model, learns=True)
    scheduler, denoise = models.scheduler(), in_dtype(image_unet, setup.dtype)
    count = FRAMES_A_CLIP * setup.batch

    def draw(draws: Draws) -> dict[str, Tensor]:
        rows = setup.clips.rows(draws, "wild", count)
        shown = ~draws.chance(count, content.IMAGE_DROPOUT)
        silent = draws.chance(count, epsilon.TEXT_DROPOUT)
        images = setup.clips.images(rows, 0) * shown.float()[:, None, None, None]
        return {**_state_batch(setup, draws, rows, silent, clips=False), "images": images}

    def loss(latents, noise, timesteps, states, images) -> Tensor:
        known = epsilon.noised(scheduler, latents, noise, timesteps)
        shown = content.image_states(model.image_encoder, images.to(setup.dtype))
        return epsilon.denoising_loss(denoise, known, states, added_cond_kwargs=shown)

    outcome = setup.train("content", model, [Task(draw, loss)], recipe)
    publish_content(outcome.module, setup.context.weights)
    for part in ("ip_adapter", "image_encoder"):
        setup.record("content", part, recipe, outcome)


def _dropped(draws: Draws, count: int) -> tuple[Tensor, Tensor]:
    """As `stages.i2v.dropped`: whether the text, and whether the image, is left out."""
    chance, share = draws.uniform(count), i2v.DROPOUT
    no_text = (chance < share) | ((chance >= 2 * share) & (chance < 3 * share))
    return no_text, (chance >= share) & (chance < 3 * share)


def base_with_content(setup: StageSetup) -> Any:
    """The published motion UNet with its content adapter, frozen, on the device."""
    _, _, unet = published_base(setup.context)
    unet._load_ip_adapter_weights(
        [models.published_ip_adapter(setup.context.weights)], low_cpu_mem_usage=False
    )
    return setup.here(set_motion_attention(unet, setup.temporal))


def i2v_task(
    setup: StageSetup, unet: Any, floor: float = epsilon.SNR_FLOOR, part: str = "wild"
) -> Task:
    """The I2V adapter's training on `unet`, which carries content adapter and I2V adapter; clips of
    a part of `setup.clips`."""
    from i2v_adapter.training import i2v_loss

    encoder: Any = setup.here(published_image_encoder(setup.context))

    def hidden(images: Tensor) -> Tensor:
        shown = content.image_states(encoder, images.to(setup.dtype))
        return shown["image_embeds"][0][:, 0]

    embeds = setup.clips.first_frames(hidden)
    nothing = hidden(
        torch.zeros(1, 3, setup.size.pixels, setup.size.pixels, device=setup.device)
    ).detach()
    scheduler, denoise = models.scheduler(), in_dtype(unet, setup.dtype)

    def draw(draws: Draws) -> dict[str, Tensor]:
        rows = setup.clips.rows(draws, part, setup.batch)
        no_text, no_image = _dropped(draws, setup.batch)
        shown = torch.where(no_image[:, None, None], nothing, embeds[rows])
        return {**_state_batch(setup, draws, rows, no_text, clips=True), "shown": shown[:, None]}

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


def train_i2v(setup: StageSetup, recipe: Recipe) -> None:
    from i2v_adapter import I2VAdapter

    unet = base_with_content(setup)
    folder = setup.context.weights / "i2v_adapter"
    adapter = load(I2VAdapter, folder) if setup.context.go_on else I2VAdapter.from_unet(unet)
    setup.here(adapter, learns=True)
    adapter.attach(unet)
    outcome = setup.train("i2v", adapter, [i2v_task(setup, unet)], recipe)
    publish(outcome.module, folder)
    setup.record("i2v", "i2v_adapter", recipe, outcome, **trainable(outcome.module))


def train_concat(setup: StageSetup, recipe: Recipe) -> None:
    from diffusers import UNetMotionModel

    from eval.world.concatenation import widen

    folder = setup.context.weights / "concat"
    wide = (
        load(UNetMotionModel, folder)
        if setup.context.go_on
        else widen(published_base(setup.context)[2])
    )
    model = setup.here(set_motion_attention(wide, setup.temporal), learns=True)
    scheduler, denoise = models.scheduler(), in_dtype(model, setup.dtype)

    def draw(draws: Draws) -> dict[str, Tensor]:
        rows = setup.clips.rows(draws, "wild", setup.batch)
        no_text, no_image = _dropped(draws, setup.batch)
        batch = _state_batch(setup, draws, rows, no_text, clips=True)
        beside = batch["latents"][:, :, 0] * (~no_image).float()[:, None, None, None]
        return {**batch, "beside": beside}

    def loss(latents, noise, timesteps, states, beside) -> Tensor:
        known = epsilon.noised(scheduler, latents, noise, timesteps)
        return epsilon.denoising_loss(denoise, known, states, beside)

    outcome = setup.train("concat", model, [Task(draw, loss)], recipe)
    publish(outcome.module, folder)
    setup.record("concat", "concat", recipe, outcome, **trainable(outcome.module))


def train_lora(setup: StageSetup, recipe: Recipe) -> None:
    from diffusers import StableDiffusionPipeline

    from i2v_adapter import I2VAdapter

    unet = base_with_content(setup)
    setup.here(load(I2VAdapter, setup.context.weights / "i2v_adapter")).attach(unet)
    weights = setup.context.weights
    model = lora.StyleLora(unet, models.published_lora(weights) if setup.context.go_on else None)
    for module in (unet, model):
        nn.Module.to(module, setup.device, setup.dtype)
    outcome = setup.train("lora", model, [i2v_task(setup, unet, part="style")], recipe)
    trained: Any = outcome.module
    StableDiffusionPipeline.save_lora_weights(
        setup.context.weights / "style_lora", unet_lora_layers=trained.released_state()
    )
    setup.record("lora", "style_lora", recipe, outcome)


def train_controlnet(setup: StageSetup, recipe: Recipe) -> None:
    from diffusers import ControlNetModel

    _, _, unet = published_base(setup.context)
    start = (
        load(ControlNetModel, setup.context.weights / "controlnet")
        if setup.context.go_on
        else models.controlnet(models.image_base(unet), setup.size.pixels)
    )
    model = setup.here(start, learns=True)
    setup.here(set_motion_attention(unet, setup.temporal))
    scheduler, data = models.scheduler(), setup.clips
    denoise, control = in_dtype(unet, setup.dtype), in_dtype(model, setup.dtype)

    def draw(draws: Draws) -> dict[str, Tensor]:
        rows = data.rows(draws, "wild", setup.batch)
        silent = draws.chance(setup.batch, epsilon.TEXT_DROPOUT)
        batch = _state_batch(setup, draws, rows, silent, clips=True)
        misnamed = draws.chance(setup.batch, controlnet.OTHER_MOTION) & ~silent
        states = torch.where(misnamed[:, None, None], data.other_states[rows], batch["states"])
        high = draws.chance(setup.batch, controlnet.HIGH_NOISE)
        raised = draws.integers(1000, setup.batch, low=controlnet.HIGH_NOISE_FROM)
        timesteps = torch.where(high, raised, batch["timesteps"])
        maps = (
            discs(data.places[rows], setup.size.pixels).flatten(0, 1)[:, None].expand(-1, 3, -1, -1)
        )
        return {**batch, "states": states, "timesteps": timesteps, "maps": maps}

    def loss(latents, noise, timesteps, states, maps) -> Tensor:
        known = epsilon.noised(scheduler, latents, noise, timesteps)
        return controlnet.loss(control, denoise, known, states, maps)

    outcome = setup.train("controlnet", model, [Task(draw, loss)], recipe)
    publish(outcome.module, setup.context.weights / "controlnet")
    setup.record("controlnet", "controlnet", recipe, outcome)


def discs(places: Tensor, side: int = SIZE) -> Tensor:
    """As `eval.world.control.discs`, on the device."""
    half = torch.arange(side, device=places.device) + 0.5
    x, y, size = (part[..., None, None] for part in places.unbind(-1))
    distance = torch.hypot(half[None, :] - x, half[:, None] - y)
    return (size / 2.0 + 0.5 - distance).clamp(0.0, 1.0)
