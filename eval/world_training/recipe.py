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


def measure_acceptance(context: Context) -> None:
    """Measures what needs several parts, on the generators in `context.weights` with the encoders
    that ship, and writes it into their cards (`flow`, `unet`, `i2v_adapter`).
    """
    from eval.world.cards import add_figures, read_cards
    from eval.world_training import acceptance

    add_figures(context.weights / "flow", stage="acceptance", figures=acceptance.flow())
    weights = context.weights
    add_figures(weights / "unet", figures=acceptance.text_to_video(weights=weights))
    add_figures(weights / "i2v_adapter", figures=acceptance.image_to_video(weights=weights))
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


def variants(context: Context) -> None:
    """Variants of the recipe at equal numbers of steps; not part of the training."""
    from eval.world_training.recipe_variants import compare as run

    run(context)


def samples(context: Context) -> None:
    """Pictures and page of `docs/world.md`."""
    from eval.world_training.showcase import samples as run

    run(context)


def prediction_errors(context: Context) -> None:
    """Each family's prediction error on held-out clips, by timestep."""
    from eval.world_training.prediction_errors import show

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
    "acceptance": measure_acceptance,
}
EXTRAS: dict[str, Callable[[Context], None]] = {
    "ablations": ablations,
    "prediction-errors": prediction_errors,
    "samples": samples,
    "variants": variants,
}
