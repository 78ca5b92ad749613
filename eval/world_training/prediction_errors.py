"""The prediction error of each family on held-out clips, by noise level: `python -m
eval.world_training prediction-errors`.

The mean square error of the predicted clean latents of frames 1 and later, without guidance. It
needs no sampling and no encoder, so it tells trainings apart that scores on generated clips do not.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from eval.world import models
from eval.world.cards import load
from eval.world_training.context import (
    Context,
    published_base,
    published_image_encoder,
    published_vae,
)

TIMESTEPS = (200, 400, 600, 800, 950)
CLIPS, SEED, WILD = 96, 900_021, 0.6
_AT_ONCE = 16


class HeldOut(NamedTuple):
    """Clips that no training saw: `latents` float32 (N, C, F, h, w) and `noise` like them; `tokens`
    int64 (N, L); `images` float32 (N, 3, H, W), their first frames."""

    latents: Tensor
    noise: Tensor
    tokens: Tensor
    images: Tensor


@torch.no_grad()
def held_out(context: Context, tokenizer: Any, clips: int = CLIPS) -> HeldOut:
    """The clips of a fixed seed, three fifths of them of wild shapes, and the noise of another."""
    from eval.world.scenes import caption, frames_at, render
    from eval.world_training.data import to_tensor
    from eval.world_training.latents import clip_scene

    vae = torch.nn.Module.to(published_vae(context), context.device)
    side = vae.config.sample_size
    scenes = [clip_scene(SEED, index, wild=WILD).enlarged(side) for index in range(clips)]
    frames = to_tensor(np.stack([render(scene, frames_at(side)).frames for scene in scenes]))
    latents = torch.stack(
        [vae.encode(clip.to(context.device)).latent_dist.mode().cpu() for clip in frames]
    )
    latents = latents.transpose(1, 2) * vae.config.scaling_factor
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(SEED + 1))
    tokens = tokenizer(
        [caption(scene) for scene in scenes],
        padding="max_length",
        truncation=True,
        return_tensors="pt",
    ).input_ids
    return HeldOut(latents, noise, tokens, frames[:, 0])


Predict = Callable[[Tensor, Tensor, Tensor, dict, Tensor], Tensor]
"""(noisy, timesteps, states, what the content adapter is shown, clean first frame) -> noise."""


@torch.no_grad()
def errors(
    known: HeldOut,
    text_encoder: Any,
    image_encoder: Any,
    predict: Predict,
    *,
    device: str = "cpu",
    clean_first: bool = False,
) -> np.ndarray:
    """float64 (timesteps, N): each clip's mean square error. With `clean_first` the first frame
    enters without noise; it never counts."""
    from eval.world_training.stages.content import image_states

    scheduler, rows = models.scheduler(), []
    for moment in TIMESTEPS:
        kept, found = float(scheduler.alphas_cumprod[moment]), []
        for start in range(0, len(known.latents), _AT_ONCE):
            latents, noise, tokens, images = (
                part[start : start + _AT_ONCE].to(device) for part in known
            )
            times = torch.full((len(latents),), moment, device=device)
            noisy = kept**0.5 * latents + (1.0 - kept) ** 0.5 * noise
            if clean_first:
                noisy = torch.cat([latents[:, :, :1], noisy[:, :, 1:]], dim=2)
            states = text_encoder(tokens).last_hidden_state.repeat_interleave(
                latents.shape[2], dim=0
            )
            shown = image_states(image_encoder, images)
            said = predict(noisy, times, states, shown, latents[:, :, 0])
            wrong = (said.float() - noise)[:, :, 1:].square().mean(dim=(1, 2, 3, 4))
            found.append((wrong * (1.0 - kept) / kept).double().cpu())
        rows.append(torch.cat(found).numpy())
    return np.stack(rows)


def families(context: Context) -> dict[str, Callable[[], tuple[Predict, bool]]]:
    """Each family's network, loaded when called, and whether its first frame is clean."""
    from diffusers import UNetMotionModel

    from eval.world.concatenation import concatenate
    from i2v_adapter import I2VAdapter

    def with_content(adapter: bool) -> tuple[Predict, bool]:
        _, _, unet = published_base(context)
        unet._load_ip_adapter_weights(
            [models.published_ip_adapter(context.weights)], low_cpu_mem_usage=False
        )
        torch.nn.Module.to(unet, context.device, torch.float32)
        if adapter:
            branch = load(I2VAdapter, context.weights / "i2v_adapter").to(context.device)
            branch.attach(unet)
        return (
            lambda noisy, times, states, shown, _: (
                unet(noisy, times, states, added_cond_kwargs=shown).sample
            )
        ), adapter

    def base() -> tuple[Predict, bool]:
        unet = torch.nn.Module.to(published_base(context)[2], context.device)
        return lambda noisy, times, states, shown, _: unet(noisy, times, states).sample, False

    def concat() -> tuple[Predict, bool]:
        unet = load(UNetMotionModel, context.weights / "concat")
        torch.nn.Module.to(unet, context.device)
        return (
            lambda noisy, times, states, shown, first: (
                unet(concatenate(noisy, first), times, states).sample
            )
        ), False

    return {
        "base, text alone": base,
        "content adapter alone": lambda: with_content(False),
        "full system": lambda: with_content(True),
        "concatenation": concat,
    }


def table(context: Context, clips: int = CLIPS) -> dict[str, np.ndarray]:
    """Family -> float64 (timesteps, N), on the clips of `held_out`."""
    tokenizer, text_encoder, _ = published_base(context)
    known = held_out(context, tokenizer, clips)
    text_encoder.to(context.device)
    image_encoder = published_image_encoder(context).to(context.device)
    found = {}
    for name, make in families(context).items():
        predict, clean_first = make()
        found[name] = errors(
            known,
            text_encoder,
            image_encoder,
            predict,
            device=context.device,
            clean_first=clean_first,
        )
    return found


def summary(values: np.ndarray) -> dict[str, dict[str, float]]:
    """float64 (timesteps, N) -> timestep -> mean, and the half width of its 95 % interval (normal
    approximation over clips)."""
    half = 1.96 * values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
    return {
        str(moment): {"mean": float(row.mean()), "half_width": float(width)}
        for moment, row, width in zip(TIMESTEPS, values, half, strict=True)
    }


def show(context: Context, clips: int = CLIPS) -> None:
    """Prints the table as Markdown and writes it to `prediction_errors.json` in the work folder."""
    found = table(context, clips)
    lines = ["| | " + " | ".join(map(str, TIMESTEPS)) + " |", "|---|" + "---:|" * len(TIMESTEPS)]
    for name, values in found.items():
        cells = [
            f"{stated['mean']:.4f} ±{stated['half_width']:.4f}"
            for stated in summary(values).values()
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    print("\n".join(lines))
    write(found, context.work / "prediction_errors.json")


def write(found: dict[str, np.ndarray], path: Path) -> None:
    """The summary of each family, and what was measured, as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {
        "clips": next(iter(found.values())).shape[1],
        "seed": SEED,
        "wild": WILD,
        "guidance": 0,
    }
    measured = {name: summary(values) for name, values in found.items()}
    path.write_text(json.dumps({**facts, "errors": measured}, indent=1) + "\n")
