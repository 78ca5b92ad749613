"""The weights that a training goes on from: a folder of its own, at first a copy of what ships."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from eval.errors import EvalError
from eval.world.models import WEIGHTS
from eval.world.pipelines import ADAPTER_PARTS, BASE_PARTS, CONCAT_PARTS, CONTENT_PARTS
from eval.world_training.gpu.size import SIZES, Size

_PARTS = (
    *(*BASE_PARTS, *CONTENT_PARTS, *ADAPTER_PARTS, *CONCAT_PARTS),
    *("style_lora", "controlnet", "logs"),
)


def start_folder(weights: Path) -> None:
    """Copies the generators that ship into `weights`, those that are not there yet.

    Raises:
        EvalError: `weights` are those that ship, which are only replaced by hand.
    """
    if weights.resolve() == WEIGHTS.resolve():
        raise EvalError(
            "--minutes with --go-on trains a copy of the weights that ship: name its folder by "
            "--weights"
        )
    weights.mkdir(parents=True, exist_ok=True)
    for part in _PARTS:
        if not (weights / part).exists():
            partial = weights / f".{part}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(WEIGHTS / part, partial)
            partial.rename(weights / part)


def size_of(weights: Path) -> str:
    """The name of the size that the weights have. Raises EvalError for weights of another size."""
    unet, vae = (
        json.loads((weights / part / "config.json").read_text()) for part in ("unet", "vae")
    )
    for name, size in SIZES.items():
        if _measures(size) == (
            unet["sample_size"],
            unet["in_channels"],
            tuple(unet["block_out_channels"]),
            tuple(vae["block_out_channels"]),
        ):
            return name
    raise EvalError(f"{weights} has none of the sizes {', '.join(SIZES)}")


def _measures(size: Size) -> tuple[int, int, tuple[int, ...], tuple[int, ...]]:
    return size.side, size.latent_channels, size.channels, size.vae_widths
