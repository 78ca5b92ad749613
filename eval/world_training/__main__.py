"""`python -m eval.world_training [STAGE ...]`: trains the glyph world, stage by stage, each
resumable.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from eval.world.models import WEIGHTS

_FIRST_WEIGHTS = 0  # seed of what a stage starts from; its own seed draws batches and noise


def main(
    stages: Annotated[
        list[str] | None, typer.Argument(help="Stages to run, in this order; all when empty.")
    ] = None,
    work: Annotated[Path, typer.Option(help="Checkpoints, logs and encoded clips.")] = Path(
        "runs/world"
    ),
    weights: Annotated[Path, typer.Option(help="Where trained parts are published.")] = WEIGHTS,
    budget: Annotated[
        float | None,
        typer.Option(
            min=0.01, help="Minutes of training for each stage but i2v, which counts steps."
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Steps in all for each stage, instead of its recipe's."),
    ] = None,
    go_on: Annotated[
        bool,
        typer.Option(
            "--go-on",
            help="Start from the published weights, not from scratch; with --minutes, from those "
            "in --weights, where a copy of the shipped ones is laid first.",
        ),
    ] = False,
    device: Annotated[
        str, typer.Option(help="Torch device to train on: cpu, cuda, cuda:1.")
    ] = "cpu",
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            help="Train the whole generator in this time, everything counted: meant for a GPU.",
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="With --minutes: coarse (8x8 latents), fine (16x16) or sixteen (16 frames of 128 "
            "px). Default: fine, and with --go-on what the weights are."
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="With --minutes: clips a step.")] = 64,
    clips: Annotated[int, typer.Option(min=1, help="With --minutes: clips drawn.")] = 40_000,
    workers: Annotated[
        int | None, typer.Option(min=1, help="With --minutes: processes that draw clips.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="With --minutes: folder for the weights in shards.")
    ] = None,
    ablations: Annotated[
        float, typer.Option(min=0.0, help="With --minutes: seconds of them kept for ablations.")
    ] = 0.0,
) -> None:
    """Trains the glyph world. A killed stage resumes from its checkpoint."""
    if minutes is not None:
        _in_minutes(
            minutes, work, weights, device, size, batch, clips, workers, out, ablations, go_on
        )
        return
    import torch

    from eval.world_training.context import Context
    from eval.world_training.recipe import EXTRAS, STAGES

    runnable = STAGES | EXTRAS
    chosen = stages or list(STAGES)
    if unknown := [name for name in chosen if name not in runnable]:
        raise typer.BadParameter(f"unknown stage {unknown[0]!r}; stages are {', '.join(runnable)}")
    command = "python -m eval.world_training " + " ".join(sys.argv[1:])
    with _fastest_attention(device):
        for name in chosen:
            torch.manual_seed(_FIRST_WEIGHTS)
            runnable[name](Context(work, weights, budget, command.strip(), steps, device, go_on))


def _in_minutes(
    minutes, work, weights, device, size, batch, clips, workers, out, ablations, go_on
) -> None:
    started = time.monotonic()
    from eval.world_training.context import Context
    from eval.world_training.gpu.size import SIZES
    from eval.world_training.gpu.start import size_of, start_folder
    from eval.world_training.gpu.timed_training import train_world

    if go_on:
        start_folder(weights)
        found = size_of(weights)
        if size not in (None, found):
            raise typer.BadParameter(f"--size {size}: the weights in {weights} are {found}")
        size = found
    size = size or "fine"
    if size not in SIZES:
        raise typer.BadParameter(f"unknown size {size!r}; sizes are {', '.join(SIZES)}")
    command = "python -m eval.world_training " + " ".join(sys.argv[1:])
    train_world(
        Context(work, weights, minutes, command.strip(), device=device, go_on=go_on),
        started=started,
        minutes=minutes,
        size=size,
        batch=batch,
        clips=clips,
        workers=workers or max(1, (os.cpu_count() or 2) - 1),
        out=out,
        ablation_seconds=ablations,
    )


def _fastest_attention(device: str):
    """On a CPU, plain matrix products: at these lengths (8 to 64 tokens) the fused kernel's
    backward pass takes a third of a training step."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    return sdpa_kernel(SDPBackend.MATH) if device == "cpu" else nullcontext()


if __name__ == "__main__":
    typer.run(main)
