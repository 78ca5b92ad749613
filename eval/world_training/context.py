"""What every stage of the recipe is given, reads of what is published, and leaves behind beside its
weights.
"""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from eval.world.cards import load, training_history, write_card
from eval.world_training.steplog import keep_log


class Context(NamedTuple):
    """`work` keeps checkpoints, logs and encoded clips; `weights` is what the repository carries;
    `minutes` and `steps` stand in for the recipe's where they are given. With `go_on` a stage
    starts from the weights that are published, not from scratch, and its card says so."""

    work: Path
    weights: Path
    minutes: float | None
    command: str
    steps: int | None = None
    device: str = "cpu"
    go_on: bool = False


def record(
    context: Context, stage: str, part: str, recipe, outcome, figures: dict, **facts: Any
) -> None:
    """Keeps a training's log and writes the card of `part`, which it trained; `facts` beside what
    every card says."""
    import torch

    before = training_history(context.weights / part) if context.go_on else []
    keep_log(context.work / stage, context.weights / "logs" / f"{stage}.jsonl", len(before))
    write_card(
        context.weights / part,
        **({"before": before} if before else {}),
        stage=stage,
        command=context.command,
        seed=recipe.seed,
        learning_rate=recipe.learning_rate,
        steps=outcome.steps,
        seconds=round(outcome.seconds),
        final_loss=outcome.loss,
        device=recipe.device
        if recipe.device == "cpu"
        else torch.cuda.get_device_name(recipe.device),
        machine=f"{platform.machine()}, {torch.get_num_threads()} threads",
        torch=torch.__version__,
        **facts,
        figures=figures,
    )


def asked(context: Context, recipe, part: str):
    """`recipe` with what the command line asks for; trained on, each training of `part` draws a
    stream of its own.
    """
    before = len(training_history(context.weights / part)) if context.go_on else 0
    return replace(
        recipe,
        minutes=context.minutes or recipe.minutes,
        steps=context.steps or recipe.steps,
        device=context.device,
        seed=recipe.seed + 10_000 * before,
    )


def published_vae(context: Context):
    from diffusers import AutoencoderKL

    return load(AutoencoderKL, context.weights / "vae")


def encoded_clips(
    context: Context, tokenizer, *, wild: float, seed: int, clips: int = 12_000, **options
):
    """The `LatentSet` of a seed; drawn and encoded on the first call, then read from the work
    folder.
    """
    from eval.world_training.latents import latent_set

    path = context.work / "latents" / f"{seed}.safetensors"
    return latent_set(
        path, published_vae(context), tokenizer, clips=clips, seed=seed, wild=wild, **options
    )


def published_base(context: Context):
    """Tokenizer, text encoder and motion UNet of the base, as published."""
    from diffusers import UNetMotionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(context.weights / "tokenizer")
    text_encoder = load(CLIPTextModel, context.weights / "text_encoder")
    return tokenizer, text_encoder, load(UNetMotionModel, context.weights / "unet")


def published_image_encoder(context: Context):
    from transformers import CLIPVisionModelWithProjection

    return load(CLIPVisionModelWithProjection, context.weights / "image_encoder")


def trainable(module) -> dict[str, int]:
    return {"trainable_parameters": sum(parameter.numel() for parameter in module.parameters())}
