"""The order of the stages; every stage can stop and resume by itself."""

from __future__ import annotations

from collections.abc import Callable

from eval.world_training.context import Context
from eval.world_training.encoder_stages import clip, dino, style, video
from eval.world_training.generator_stages import (
    concat,
    content,
    controlnet,
    i2v,
    lora,
    motion,
    spatial,
    vae,
)


def figures(context: Context) -> None:
    """Measures what needs several parts and writes it into the cards (`flow`, `unet`,
    `i2v_adapter`).
    """
    from eval.world.cards import add_figures, read_cards
    from eval.world_training import figures as measure

    add_figures(context.weights / "flow", stage="figures", figures=measure.flow())
    add_figures(context.weights / "unet", figures=measure.text_to_video())
    add_figures(context.weights / "i2v_adapter", figures=measure.image_to_video())
    for name in read_cards(context.weights):
        add_figures(context.weights / name, figures={})
    for name, card in read_cards(context.weights).items():
        for figure, stated in card["figures"].items():
            value, bar = (
                (stated["value"], stated["bar"]) if isinstance(stated, dict) else (stated, None)
            )
            verdict = (
                "" if bar is None else f"  bar {bar:g}: {'reached' if value >= bar else 'MISSED'}"
            )
            print(f"{name:14s} {figure:32s} {value:8.3f}{verdict}")


def compare(context: Context) -> None:
    """The recipe's choices at equal numbers of steps; not part of the training."""
    from eval.world_training.compare import compare as run

    run(context)


def samples(context: Context) -> None:
    """Pictures and page of `docs/world.md`."""
    from eval.world_training.showcase import samples as run

    run(context)


def errors(context: Context) -> None:
    """What each family gets wrong in held-out clips, by timestep."""
    from eval.world_training.errors import show

    show(context)


def ablations(context: Context) -> None:
    """What limits the adapter: short trainings that differ in one thing each; `--steps`, 500."""
    from eval.world_training.gpu.ablations import ablate_what_ships

    ablate_what_ships(context)


STAGES: dict[str, Callable[[Context], None]] = {
    "vae": vae,
    "spatial": spatial,
    "motion": motion,
    "content": content,
    "i2v": i2v,
    "concat": concat,
    "lora": lora,
    "controlnet": controlnet,
    "dino": dino,
    "clip": clip,
    "video": video,
    "style": style,
    "figures": figures,
}
EXTRAS: dict[str, Callable[[Context], None]] = {
    "ablations": ablations,
    "compare": compare,
    "errors": errors,
    "samples": samples,
}
