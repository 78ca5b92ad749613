"""Variants of the recipe, compared at equal numbers of steps: `python -m eval.world_training
variants --steps 300`.

Everything is small (UNet channels 48 and 96, 12 glyphs) so that minutes tell variants apart.
Reported: the error in the clean latents that the network leaves at three noise levels, on clips it
never saw, as a share of the latents' variance; the mean cosine of 64 prompted frames with their
prompts (CLIP), and the shares read as the prompted glyph and colour.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from eval.world import models
from eval.world.glyphs import SEEN
from eval.world.scenes import BACKGROUNDS, COLOURS, describe
from eval.world_training.context import Context
from eval.world_training.latents import LatentSet, latent_set
from eval.world_training.trainer import Outcome

CHANNELS = (48, 96)
FEW = tuple(SEEN)[:12]
_PROMPTS = 64
_MOMENTS = (300, 600, 900)


def prompts(glyphs: tuple[str, ...] = FEW) -> list[tuple[str, str, str]]:
    """(glyph, colour, prompt) of still scenes, drawn from a seed that no training uses."""
    rng = np.random.default_rng(900_010)
    drawn = [(str(rng.choice(glyphs)), str(rng.choice(list(COLOURS)))) for _ in range(_PROMPTS)]
    return [
        (glyph, colour, describe(colour, glyph, "still", str(rng.choice(list(BACKGROUNDS)))))
        for glyph, colour in drawn
    ]


@torch.no_grad()
def read_back(vae, tokenizer, text_encoder, unet) -> dict[str, float]:
    """Samples one frame per prompt (12 DDIM steps, guidance 3) and has CLIP read it."""
    from diffusers import StableDiffusionPipeline

    from eval.encoders import load_encoder
    from eval.world_training.acceptance import glyphs_and_colours

    pipeline = StableDiffusionPipeline(
        vae,
        text_encoder,
        tokenizer,
        unet,
        models.scheduler(),
        None,
        None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    asked = prompts()
    images = pipeline(
        prompt=[prompt for _, _, prompt in asked],
        height=64,
        width=64,
        num_inference_steps=12,
        guidance_scale=3.0,
        generator=[torch.Generator().manual_seed(index) for index in range(len(asked))],
        output_type="np",
    ).images
    frames = np.rint(images * 255.0).astype(np.uint8)
    clip: Any = load_encoder("clip_glyph")
    cosine = (
        clip.encode_frames(frames) * clip.encode_text([prompt for _, _, prompt in asked])
    ).sum(axis=1)
    glyphs, colours = glyphs_and_colours(frames[:, None])
    return {
        "clip": float(cosine.mean()),
        "glyph": float(
            np.mean([found == glyph for found, (glyph, _, _) in zip(glyphs, asked, strict=True)])
        ),
        "colour": float(
            np.mean([found == colour for found, (_, colour, _) in zip(colours, asked, strict=True)])
        ),
    }


@torch.no_grad()
def unexplained(set_: LatentSet, text_encoder, unet) -> dict[str, float]:
    """Mean squared error of the clean latents predicted at each of three timesteps, over the
    latents' variance: one frame of each clip of `set_`, the same noise for every variant. 0 is
    perfect, 1 is the mean latent.
    """
    scheduler = models.scheduler()
    latents = set_.latents[
        torch.arange(len(set_.latents)), torch.arange(len(set_.latents)) % 8
    ].float()
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(900_011))
    states = text_encoder(set_.tokens).last_hidden_state
    found = {}
    for moment in _MOMENTS:
        times = torch.full((len(latents),), moment)
        error = unet(scheduler.add_noise(latents, noise, times), times, states).sample - noise
        kept = scheduler.alphas_cumprod[moment]
        found[f"error {moment}"] = float(error.square().mean() * (1 - kept) / kept / latents.var())
    return found


def compare(context: Context) -> None:
    """Trains every variant for `context.steps` (default 300) and writes `compare.json` into the
    work folder.
    """
    from diffusers import AutoencoderKL
    from transformers import CLIPTokenizer

    from eval.world.cards import load
    from eval.world_training.stages import motion, spatial
    from eval.world_training.stages import vae as autoencoder

    work = context.work / "compare"
    steps = context.steps or 300
    tokenizer = CLIPTokenizer.from_pretrained(context.weights / "tokenizer")
    published = load(AutoencoderKL, context.weights / "vae")
    recipe = replace(spatial.RECIPE, steps=steps, device=context.device, seed=211)
    results: dict[str, dict[str, float]] = {}

    def data(vae, name: str, glyphs: tuple[str, ...], wild: float) -> tuple[LatentSet, LatentSet]:
        """What is trained on, and 256 clips of the 12 glyphs that are not."""
        learned = latent_set(
            work / f"{name}.safetensors",
            vae,
            tokenizer,
            clips=3000,
            seed=2011,
            wild=wild,
            glyphs=glyphs,
        )
        return learned, latent_set(
            work / f"{name} unseen.safetensors",
            vae,
            tokenizer,
            clips=256,
            seed=900_012,
            wild=0.0,
            glyphs=FEW,
        )

    def note(name: str, found: dict[str, float], outcome: Outcome) -> None:
        results[name] = {**found, "seconds": round(outcome.seconds)}
        work.mkdir(parents=True, exist_ok=True)
        (work / "compare.json").write_text(
            json.dumps({"steps": steps, "variants": results}, indent=1) + "\n"
        )
        print(name, results[name])

    def look(vae, unseen: LatentSet, text_encoder, unet) -> dict[str, float]:
        return {
            **unexplained(unseen, text_encoder, unet),
            **read_back(vae, tokenizer, text_encoder, unet),
        }

    def frames(
        name: str, vae, sets, gamma: float = spatial.MIN_SNR_GAMMA, raw: bool = False
    ) -> None:
        learned, unseen = sets
        side, channels = learned.latents.shape[-1], learned.latents.shape[2]
        unet = models.spatial_unet(CHANNELS, side=side, latent_channels=channels)
        outcome = spatial.run(recipe, work / name, learned, tokenizer, unet, gamma)
        note(
            name,
            look(vae, unseen, outcome.module.text_encoder.eval(), outcome.module.unet.eval()),
            outcome,
        )
        if raw:
            state = torch.load(
                work / name / "checkpoint.pt", map_location="cpu", weights_only=True
            )["module"]
            outcome.module.load_state_dict(state)
            found = look(vae, unseen, outcome.module.text_encoder, outcome.module.unet)
            note(f"{name}, no EMA", found, outcome)

    few = data(published, "few", FEW, 0.0)
    frames("frames", published, few, raw=True)
    frames("frames, no min-SNR", published, few, gamma=math.inf)
    frames(
        "frames, 24 glyphs and wild shapes", published, data(published, "many", tuple(SEEN), 0.15)
    )

    unet = models.motion_unet(models.spatial_unet(CHANNELS), models.motion_adapter(CHANNELS))
    text_encoder = models.text_encoder(len(tokenizer))
    clips = motion.run(
        recipe, work / "clips", [(few[0], 1.0)], tokenizer, text_encoder, unet, clip_steps=1.0
    )
    base = models.image_base(clips.module.unet).eval()
    note(
        "clips from scratch", look(published, few[1], clips.module.text_encoder.eval(), base), clips
    )

    for blocks, channels in ((4, 8), (3, 4)):
        name = f"vae {64 >> (blocks - 1)}x{64 >> (blocks - 1)}x{channels}"
        trained = autoencoder.run(
            replace(autoencoder.RECIPE, steps=steps, device=context.device),
            work / name,
            models.vae(blocks, channels),
        )
        small = trained.module.eval()
        small.register_to_config(scaling_factor=autoencoder.latent_scale(small))
        note(name, autoencoder.figures(small), trained)
    frames("frames, 16x16 latents", small, data(small, "fine", FEW, 0.0))
