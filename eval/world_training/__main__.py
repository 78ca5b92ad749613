"""`python -m eval.world_training [STAGE ...]`: trains the glyph world, stage by stage, each
resumable.
"""

from __future__ import annotations

import sys
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
        bool, typer.Option("--go-on", help="Start from the published weights, not from scratch.")
    ] = False,
    device: Annotated[
        str, typer.Option(help="Torch device to train on: cpu, cuda, cuda:1.")
    ] = "cpu",
) -> None:
    """Trains the glyph world. A stage that was killed goes on from its checkpoint."""
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


def _fastest_attention(device: str):
    """On a CPU, plain matrix products: at these lengths (8 to 64 tokens) the fused kernel's
    backward pass takes a third of a training step."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    return sdpa_kernel(SDPBackend.MATH) if device == "cpu" else nullcontext()


if __name__ == "__main__":
    typer.run(main)
