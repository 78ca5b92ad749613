"""The generator's stages on a GPU: models and losses of `eval.world_training.stages`, on batches
that fill it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from eval.world import models
from eval.world.cards import load, publish
from eval.world.scenes import FRAMES, SIZE
from eval.world_training.context import (
    Context,
    published_base,
    published_image_encoder,
    published_vae,
    record,
    trainable,
)
from eval.world_training.generator_stages import publish_content
from eval.world_training.gpu.clips import Clips
from eval.world_training.gpu.size import Size
from eval.world_training.gpu.trainer import Draws, Task, in_dtype, train
from eval.world_training.stages import (
    content,
    controlnet,
    epsilon,
    i2v,
    lora,
    motion,
    spatial,
    vae,
)
from eval.world_training.trainer import Outcome, Recipe


@dataclass(frozen=True)
class Bench:
    """What every stage here works with. `batch` is the number of clips a step sees, and an eighth
    of the number of single frames."""

    context: Context
    clips: Clips
    size: Size
    batch: int
    dtype: torch.dtype
    temporal: Any
    """Attention of the motion modules in training."""

    @property
    def device(self) -> str:
        return self.context.device

    def here(self, module: nn.Module, *, learns: bool = False) -> nn.Module:
        """The module on the device in the dtype that is computed in."""
        nn.Module.to(module, self.device, self.dtype)
        return module.train(learns).requires_grad_(learns)

    def train(self, stage: str, module: nn.Module, tasks: Sequence[Task], recipe: Recipe):
        return train(module, tasks, recipe, self.context.work / stage)

    def record(self, stage: str, part: str, recipe: Recipe, outcome: Outcome, **figures) -> None:
        facts = {"batch": self.batch, "precision": str(self.dtype).removeprefix("torch.")}
        record(self.context, stage, part, recipe, outcome, figures, **facts)


def quicken(unet: Any, processor: Any) -> Any:
    """Sets the attention of the motion modules, which see eight tokens a sequence and thousands of
    sequences at once; returns `unet`."""
    from diffusers.models.attention_processor import Attention

    for name, module in unet.named_modules():
        if "motion_modules" in name and isinstance(module, Attention):
            module.set_processor(processor)
    return unet


def faster_attention(sequences: int, width: int, device: str, dtype: torch.dtype) -> Any:
    """diffusers' processor that is faster at this: the fused one, or plain matrix products. On a
    CPU the plain one (`eval/world/README.md`)."""
    import time

    from diffusers.models.attention_processor import Attention, AttnProcessor, AttnProcessor2_0

    if torch.device(device).type != "cuda":
        return AttnProcessor()
    took = {}
    for processor in (AttnProcessor(), AttnProcessor2_0()):
        layer = Attention(width, heads=4, dim_head=width // 4, processor=processor)
        layer.to(device, dtype)
        tokens = torch.zeros(sequences, FRAMES, width, device=device, dtype=dtype)
        for turn in range(8):
            if turn == 3:
                torch.cuda.synchronize()
                start = time.monotonic()
            layer(tokens.requires_grad_()).sum().backward()
        torch.cuda.synchronize()
        took[processor] = time.monotonic() - start
    return min(took, key=lambda processor: took[processor])


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
