"""Clips encoded once by the trained VAE and kept, so that the diffusion stages spend their time on
diffusion.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from eval.io.files import write_whole
from eval.world.glyphs import SEEN, mask
from eval.world.scenes import Draw, Scene, caption, render, sample_scene
from eval.world_training.data import to_tensor


class LatentSet(NamedTuple):
    """`latents` float16 (N, F, C, h, w), posterior samples times the scaling factor; `tokens` int64
    (N, L); `images` uint8 (N, H, W, 3), the first frames."""

    latents: torch.Tensor
    tokens: torch.Tensor
    images: torch.Tensor


def clip_scene(seed: int, index: int, *, wild: float, glyphs: Sequence[str] = tuple(SEEN)) -> Scene:
    """What clip `index` of the set with this seed shows."""
    return sample_scene(np.random.default_rng([seed, index]), glyphs=glyphs, wild=wild)


@torch.no_grad()
def latent_set(
    path: Path,
    vae,
    tokenizer,
    *,
    clips: int,
    seed: int,
    wild: float,
    glyphs: Sequence[str] = tuple(SEEN),
    draw: Draw = mask,
    chunk: int = 32,
) -> LatentSet:
    """Reads the set at `path`, or renders and encodes it. Clip k depends on (seed, k) alone."""
    from safetensors.torch import load_file, save

    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        parts: dict[str, list[torch.Tensor]] = {"latents": [], "tokens": [], "images": []}
        for start in range(0, clips, chunk):
            scenes = [
                clip_scene(seed, index, wild=wild, glyphs=glyphs)
                for index in range(start, min(start + chunk, clips))
            ]
            frames = np.stack([render(scene, draw=draw).frames for scene in scenes])
            with torch.autocast("cpu", torch.bfloat16):
                posterior = vae.encode(to_tensor(frames).flatten(0, 1)).latent_dist
            noise = torch.Generator().manual_seed(seed * 1_000_003 + start)
            latents = posterior.sample(noise).float() * vae.config.scaling_factor
            captions = [caption(scene) for scene in scenes]
            encoded = tokenizer(
                captions, padding="max_length", truncation=True, return_tensors="pt"
            )
            parts["latents"].append(latents.unflatten(0, frames.shape[:2]).half())
            parts["tokens"].append(encoded.input_ids)
            parts["images"].append(torch.from_numpy(frames[:, 0].copy()))
        write_whole(path, save({name: torch.cat(part) for name, part in parts.items()}))
    return LatentSet(**load_file(path))
