"""`python -m eval.world_training samples`: what the glyph world looks like, for `docs/world.md`.

Nothing is picked by hand: the samples are the first ones of seeds that no training uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from eval.clips.strip import film_strip
from eval.samples import Sample
from eval.world.cards import BARS, read_cards
from eval.world.models import WEIGHTS
from eval.world_training.context import Context
from eval.world_training.steplog import plot_logs

_SIDE, _LINE, _GAP = 64, 16, 6


def draw_sheet(rows: Sequence[tuple[str, np.ndarray]], path: Path, *, columns: int = 2) -> None:
    """A PNG of labelled clips: rows of (label, uint8 (F, H, W, 3)), read left to right, then
    down."""
    from PIL import Image, ImageDraw, ImageFont

    strips = [(label, film_strip(frames, side=_SIDE, gap=1)) for label, frames in rows]
    width, height = max(strip.shape[1] for _, strip in strips) + _GAP, _SIDE + _LINE + _GAP
    sheet = Image.new("RGB", (columns * width, -(-len(strips) // columns) * height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for index, (label, strip) in enumerate(strips):
        left, top = index % columns * width, index // columns * height
        draw.text((left + 1, top + 1), label, fill="black", font=font)
        sheet.paste(Image.fromarray(strip), (left, top + _LINE))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, "PNG", optimize=True)


def round_trip(frames: np.ndarray, weights: Path) -> np.ndarray:
    """uint8 (F, 64, 64, 3) through the VAE and back."""
    import torch
    from diffusers import AutoencoderKL

    from eval.world.cards import load
    from eval.world_training.data import to_tensor

    vae = load(AutoencoderKL, weights / "vae")
    with torch.no_grad():
        decoded = vae.decode(vae.encode(to_tensor(frames)).latent_dist.mode()).sample
    return np.rint((decoded.clamp(-1, 1).permute(0, 2, 3, 1).numpy() + 1) * 127.5).astype(np.uint8)


def figure_table(context: Context) -> str:
    """Every figure that has a bar, with its value and whether it holds, as Markdown."""
    lines = ["| figure | part | measured | bar | |", "|---|---|---:|---:|---|"]
    for part, card in read_cards(context.weights).items():
        for name, stated in card["figures"].items():
            if name in BARS:
                verdict = "reached" if stated["value"] >= stated["bar"] else "**missed**"
                lines.append(
                    f"| {name} | {part} | {stated['value']:.3g} | {stated['bar']:g} | {verdict} |"
                )
    return "\n".join(lines)


def samples(context: Context) -> None:
    """Draws the pictures of `docs/world/` and writes `docs/world.md`; of weights other than those
    that ship, the same into the work folder.
    """
    from eval.samples.glyph_world import GlyphWorldSettings, load
    from eval.world_training.acceptance import generate

    weights = context.weights
    page = (Path("docs") if weights == WEIGHTS else context.work) / "world.md"
    folder = page.with_suffix("")
    seen = load(GlyphWorldSettings(seen=8, unseen=0, seed=9003))
    unseen = load(GlyphWorldSettings(seen=0, unseen=12, seed=9003))

    def labelled(
        chosen: Sequence[Sample], clips: Iterable[np.ndarray]
    ) -> list[tuple[str, np.ndarray]]:
        return [(sample.prompt, clip) for sample, clip in zip(chosen, clips, strict=True)]

    truth = generate("true-clip", seen)
    draw_sheet(labelled(seen, truth), folder / "true-clips.png")
    draw_sheet(
        labelled(seen, [round_trip(clip, weights) for clip in truth]), folder / "round-trips.png"
    )
    draw_sheet(
        labelled(seen, generate("text-to-video", seen, weights)), folder / "text-to-video.png"
    )
    draw_sheet(
        labelled(seen, generate("i2v-adapter", seen, weights)), folder / "image-to-video-seen.png"
    )
    draw_sheet(
        labelled(unseen, generate("i2v-adapter", unseen, weights)),
        folder / "image-to-video-unseen.png",
    )
    plot_logs(sorted((context.weights / "logs").glob("*.jsonl")), folder / "training.png")
    page.write_text(_PAGE.format(table=figure_table(context)))


_PAGE = """# The glyph world: samples

Written by `nox -s world -- samples`; the first samples of a seed that no training used, none
picked by hand. Frame 0 is at the left. How it was made:
`eval/world/README.md`.

## Measured

{table}

## Image-to-video, unseen glyphs: the full method, t0 = 1

No generator has ever seen these twelve shapes; only the image can say what to draw. Frame 0 is
the input.

![Twelve unseen glyphs animated by the full method](world/image-to-video-unseen.png)

## Image-to-video, seen glyphs

![Eight seen glyphs animated by the full method](world/image-to-video-seen.png)

## Text-to-video: the base alone

![Eight prompts rendered by the base](world/text-to-video.png)

## True clips

![Eight true clips](world/true-clips.png)

## The same through the VAE

![Eight true clips after the VAE's round trip](world/round-trips.png)

## Training

![Loss and figures of every stage over minutes of training](world/training.png)
"""
