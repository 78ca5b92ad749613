"""Cards: what every weights folder says about itself, and how parts are saved and loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from eval.io.files import file_sha256
from eval.world.models import WEIGHTS

BARS = {
    "psnr_unseen": 28.0,
    "right_caption_of_64": 0.9,
    "nearest_of_64_unseen": 0.9,
    "motion_accuracy": 0.9,
    "speed_spearman": 0.95,
    "style_accuracy": 0.95,
    "prompted_glyph": 0.8,
    "prompted_colour": 0.8,
    "prompted_motion": 0.8,
    "own_input_of_64_full": 0.8,
    "motion_followed_full": 0.75,
}
"""What must hold in the glyph world: figure -> the least value that reaches it."""


def write_card(folder: Path, **facts: Any) -> None:
    """Writes `card.json` with the facts and the sha256 of every weights file in the folder; figures
    get their bars.
    """
    figures = {
        name: {"value": value, "bar": BARS[name]}
        if name in BARS and not isinstance(value, dict)
        else value
        for name, value in facts.pop("figures", {}).items()
    }
    digests = {path.name: file_sha256(path) for path in sorted(folder.glob("*.safetensors"))}
    (folder / "card.json").write_text(
        json.dumps({**facts, "figures": figures, "sha256": digests}, indent=1) + "\n"
    )


def add_figures(folder: Path, *, figures: dict[str, float], **facts: Any) -> None:
    """Adds figures to the folder's card, or starts one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "card.json"
    card = json.loads(path.read_text()) if path.exists() else {}
    card.pop("sha256", None)
    write_card(folder, **{**card, **facts, "figures": {**card.get("figures", {}), **figures}})


def training_history(folder: Path) -> list[dict[str, Any]]:
    """The trainings that the folder's weights have behind them, oldest first, from its card."""
    path = folder / "card.json"
    if not path.exists():
        return []
    card = json.loads(path.read_text())
    kept = (
        "command",
        "seed",
        "learning_rate",
        "steps",
        "seconds",
        "final_loss",
        "device",
        "batch",
        "history",
        "note",
    )
    return [*card.get("before", []), {name: card[name] for name in kept if name in card}]


def read_cards(weights: Path = WEIGHTS) -> dict[str, dict[str, Any]]:
    """Every card below `weights`, by folder name."""
    return {
        path.parent.name: json.loads(path.read_text())
        for path in sorted(weights.glob("*/card.json"))
    }


def publish(model, folder: Path) -> None:
    """Saves a diffusers or transformers model in half precision: the weights that the repository
    carries.
    """
    import copy

    from torch import float16, nn

    half = nn.Module.to(
        copy.deepcopy(model), float16
    )  # diffusers' own `to` logs a warning about nothing
    half.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config.pop("_name_or_path", None)  # where it was loaded from, on this machine
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def load(model_class, folder: Path, **options: Any):
    """Loads a published part in float32, in evaluation mode."""
    from torch import float32, nn

    return nn.Module.to(model_class.from_pretrained(folder, **options), float32).eval()
