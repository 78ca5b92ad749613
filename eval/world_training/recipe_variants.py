"""Variants of the recipe, compared at equal numbers of steps: `python -m eval.world_training
variants --steps 300`.

Everything is small (UNet channels 48 and 96, 12 glyphs) so that minutes tell variants apart.
Reported: the error in the clean latents that the network leaves at three noise levels, on clips it
never saw, as a share of the latents' variance; the mean cosine of 64 prompted frames with their
prompts (CLIP), and the shares read as the prompted glyph and colour. Clips, noise and prompts are
the same for every variant, so differences are paired. Each variant's values are written to
`compare.json` as it ends; a killed comparison goes on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eval.errors import EvalError
from eval.io.files import write_whole
from eval.world import models
from eval.world.glyphs import SEEN
from eval.world.scenes import BACKGROUNDS, COLOURS, describe
from eval.world_training.context import Context
from eval.world_training.latents import LatentSet, latent_set

CHANNELS = (48, 96)
FEW = tuple(SEEN)[:12]
_PROMPTS = 64
_MOMENTS = (300, 600, 900)
_SHARES = ("glyph", "colour")

Values = dict[str, list[float]]
"""Of one variant: figure -> one value for each clip, prompt or frame, in the same order."""


def prompts(glyphs: tuple[str, ...] = FEW) -> list[tuple[str, str, str]]:
    """(glyph, colour, prompt) of still scenes, drawn from a seed that no training uses."""
    rng = np.random.default_rng(900_010)
    drawn = [(str(rng.choice(glyphs)), str(rng.choice(list(COLOURS)))) for _ in range(_PROMPTS)]
    return [
        (glyph, colour, describe(colour, glyph, "still", str(rng.choice(list(BACKGROUNDS)))))
        for glyph, colour in drawn
    ]


@torch.no_grad()
def read_back(vae, tokenizer, text_encoder, unet) -> Values:
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
        "clip": [float(value) for value in cosine],
        "glyph": [
            float(found == glyph) for found, (glyph, _, _) in zip(glyphs, asked, strict=True)
        ],
        "colour": [
            float(found == colour) for found, (_, colour, _) in zip(colours, asked, strict=True)
        ],
    }


@torch.no_grad()
def unexplained(set_: LatentSet, text_encoder, unet) -> Values:
    """Mean squared error of the clean latents predicted at each of three timesteps, over the
    latents' variance: one frame of each clip of `set_`, the same noise for every variant. A mean of
    0 is perfect, of 1 is the mean latent.
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
        each = error.square().flatten(1).mean(dim=1) * (1 - kept) / kept / latents.var()
        found[f"error {moment}"] = each.tolist()
    return found


def read_results(path: Path, steps: int) -> dict[str, Values]:
    """The variants that `path` holds. Raises EvalError if they had another number of steps."""
    if not path.exists():
        return {}
    known = json.loads(path.read_text())
    if known["steps"] != steps:
        raise EvalError(
            f"{path} compares variants at {known['steps']} steps, not {steps}; "
            f"give --steps {known['steps']} or another folder with --work"
        )
    return known["variants"]


def table(results: dict[str, Values]) -> str:
    """Markdown: the first variant's means, and what the others add to it, paired by clip, prompt or
    frame. ± is half of a 95 % interval (normal approximation); shares have Wilson's. A figure that
    the first one lacks is given as a mean.
    """
    from scipy.stats import binomtest

    first = next(iter(results.values()))
    figures = list(dict.fromkeys(name for values in results.values() for name in values))

    def cell(values: Values, figure: str) -> str:
        if figure not in values:
            return ""
        found = np.array(values[figure])
        paired = values is not first and figure in first
        if paired:
            found = found - np.array(first[figure])
            if not found.any():
                return "equal in all"
        elif figure in _SHARES:
            share = binomtest(int(found.sum()), len(found)).proportion_ci(method="wilson")
            return f"{found.mean():.3f} [{share.low:.3f}, {share.high:.3f}]"
        half = 1.96 * found.std(ddof=1) / math.sqrt(len(found))
        return f"{found.mean():{'+' if paired else ''}.3f} ±{half:.3f}"

    counts = {
        name: len(next(values[name] for values in results.values() if name in values))
        for name in figures
    }
    lines = [
        "| variant | " + " | ".join(f"{name} (n = {counts[name]})" for name in figures) + " |",
        "|---|" + "---:|" * len(figures),
    ]
    for variant, values in results.items():
        cells = " | ".join(cell(values, name) for name in figures)
        lines.append(f"| {variant} | {cells} |")
    return "\n".join(lines)


def compare(context: Context) -> None:
    """Trains every variant for `context.steps` (default 300), writes `compare.json` into the work
    folder and prints the table. Variants that the file holds are not trained again.

    Raises:
        EvalError: the file holds variants at another number of steps.
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
    path = work / "compare.json"
    results = read_results(path, steps)

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

    def note(name: str, found: Values) -> None:
        results[name] = found
        content = json.dumps({"steps": steps, "variants": results}, indent=1) + "\n"
        write_whole(path, content.encode())
        print(name, {figure: round(float(np.mean(v)), 4) for figure, v in found.items()})

    def look(vae, unseen: LatentSet, text_encoder, unet) -> Values:
        return {
            **unexplained(unseen, text_encoder, unet),
            **read_back(vae, tokenizer, text_encoder, unet),
        }

    def frames(
        name: str,
        vae,
        sets: Callable[[], tuple[LatentSet, LatentSet]],
        gamma: float = spatial.MIN_SNR_GAMMA,
        raw: bool = False,
    ) -> None:
        second = f"{name}, no EMA"
        if name in results and (not raw or second in results):
            return
        learned, unseen = sets()
        side, channels = learned.latents.shape[-1], learned.latents.shape[2]
        unet = models.spatial_unet(CHANNELS, side=side, latent_channels=channels)
        model = spatial.run(recipe, work / name, learned, tokenizer, unet, gamma).module
        note(name, look(vae, unseen, model.text_encoder.eval(), model.unet.eval()))
        if raw:
            checkpoint = work / name / "checkpoint.pt"
            state = torch.load(checkpoint, map_location="cpu", weights_only=True)["module"]
            model.load_state_dict(state)
            note(second, look(vae, unseen, model.text_encoder, model.unet))

    def few() -> tuple[LatentSet, LatentSet]:
        return data(published, "few", FEW, 0.0)

    def many() -> tuple[LatentSet, LatentSet]:
        return data(published, "many", tuple(SEEN), 0.15)

    def clips(name: str) -> None:
        if name in results:
            return
        learned, unseen = few()
        unet = models.motion_unet(models.spatial_unet(CHANNELS), models.motion_adapter(CHANNELS))
        text_encoder = models.text_encoder(len(tokenizer))
        model = motion.run(
            recipe, work / name, [(learned, 1.0)], tokenizer, text_encoder, unet, clip_steps=1.0
        ).module
        image_base = models.image_base(model.unet).eval()
        note(name, look(published, unseen, model.text_encoder.eval(), image_base))

    def trained_vae(name: str, blocks: int, channels: int) -> Any:
        vae_recipe = replace(autoencoder.RECIPE, steps=steps, device=context.device)
        model = models.vae(blocks, channels)
        trained = autoencoder.run(vae_recipe, work / name, model).module.eval()
        if name not in results:
            note(name, {f"psnr {group}": v for group, v in autoencoder.round_trips(trained)})
        trained.register_to_config(scaling_factor=autoencoder.latent_scale(trained))
        return trained

    frames("frames", published, few, raw=True)
    frames("frames, no min-SNR", published, few, gamma=math.inf)
    frames("frames, 24 glyphs and wild shapes", published, many)
    clips("clips from scratch")
    coarse, fine, on_fine = "vae 8x8x8", "vae 16x16x4", "frames, 16x16 latents"
    if coarse not in results:
        trained_vae(coarse, 4, 8)
    if fine not in results or on_fine not in results:
        small = trained_vae(fine, 3, 4)
        frames(on_fine, small, lambda: data(small, "fine", FEW, 0.0))
    print(table(results))
