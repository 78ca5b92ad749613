"""Facts about weights: what attaching and training changes in the base, and what is trained at
which cost.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.claims.decision import Result
from eval.errors import WeightsMissingError
from eval.io.documents import read_json, write_json
from eval.io.files import file_sha256

MOST_TRAINED = 0.25
"""Share of the base's weights that an adapter may train and still count as few, stated in advance.
"""

OPTIMISER_BYTES = 12
"""A trained weight's gradient and AdamW's two moments, float32."""

FILE = "weights.json"
_FIXED = ".pos_embed.pe"


def facts(folder: Path, weights: Path) -> dict[str, list[Result]]:
    """Kind of fact -> rows, for the glyph world's weights; read from ``weights.json`` while the
    weights are the same.

    Raises:
        WeightsMissingError: the base, the content adapter or the I2V adapter is missing.
    """
    from eval.world.pipelines import ADAPTER_PARTS, BASE_PARTS, CONTENT_PARTS, require

    files = require(BASE_PARTS + CONTENT_PARTS + ADAPTER_PARTS, weights) + sorted(
        (weights / "concat").glob("*")
    )
    digest = hashlib.sha256(
        json.dumps(
            [f"without {_FIXED}"]
            + [f"{path.relative_to(weights)} {file_sha256(path)}" for path in files]
        ).encode()
    )
    path = folder / FILE
    known = read_json(path)
    if known.get("files") != digest.hexdigest():
        known = {"files": digest.hexdigest(), **_measured(weights)}
        write_json(path, known)
    cards = {part: read_json(weights / part / "card.json") for part in ("i2v_adapter", "concat")}
    return {
        "untouched": [_untouched(known)],
        "moved": [_moved(known)],
        "share": _shares(known),
        "cost": _costs(known, cards),
    }


def _measured(weights: Path) -> dict[str, Any]:
    from eval.world.cards import load

    changed, tensors = changed_by_use(weights)
    found: dict[str, Any] = {
        "changed": changed,
        "tensors": tensors,
        "base": _count(weights / "unet"),
    }
    found["adapter"] = _count(weights / "i2v_adapter")
    if any((weights / "concat").glob("*.safetensors")):
        from diffusers import UNetMotionModel

        base, tuned = (
            load(UNetMotionModel, weights / part).state_dict() for part in ("unet", "concat")
        )
        found |= {
            "concatenation": _count(weights / "concat"),
            "movement": relative_movement(base, tuned),
        }
    return found


def changed_by_use(weights: Path) -> tuple[int, int]:
    """How many of the base UNet's tensors differ by a bit, or are gone, once both adapters are
    attached and have made a clip; and how many there are."""
    import numpy as np
    import torch
    from diffusers import UNetMotionModel

    from eval.world.cards import load
    from eval.world.pipelines import image_to_video

    published = {
        name: _digest(tensor)
        for name, tensor in load(UNetMotionModel, weights / "unet").state_dict().items()
    }
    pipeline = image_to_video(weights)
    pipeline(
        image=[np.full((64, 64, 3), 127, np.uint8)],
        prompt=["a red star moving left over a navy background"],
        num_frames=8,
        num_inference_steps=2,
        generator=[torch.Generator().manual_seed(0)],
        output_type="np",
    )
    used = pipeline.unet.state_dict()
    return sum(
        name not in used or _digest(used[name]) != known for name, known in published.items()
    ), len(published)


def relative_movement(base: Mapping[str, Any], tuned: Mapping[str, Any]) -> float:
    """Length of the change of all weights that both have, over the length of the base's; of a
    tensor that grew, the part that was there (the first input channels of a widened ``conv_in``).
    """
    moved = length = 0.0
    for name, before in base.items():
        after = tuned[name]
        if after.shape != before.shape:
            after = after[:, : before.shape[1]]
        moved += float((after.double() - before.double()).square().sum())
        length += float(before.double().square().sum())
    return math.sqrt(moved / length)


def _digest(tensor: Any) -> str:
    return hashlib.sha256(tensor.detach().contiguous().numpy().tobytes()).hexdigest()


def _count(folder: Path) -> int:
    """Weights in the safetensors files of a folder, from their headers, without the motion modules'
    tables of positions, which are not trained.
    """
    from safetensors import safe_open

    total = 0
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="numpy") as file:
            names = [name for name in file.keys() if not name.endswith(_FIXED)]  # noqa: SIM118
            total += sum(math.prod(file.get_slice(name).get_shape()) for name in names)
    if not total:
        raise WeightsMissingError(f"{folder}: no weights; train them with `nox -s world`")
    return total


def _row(title: str, value: float, unit: str, **options: Any) -> Result:
    nan = float("nan")
    fields: dict[str, Any] = {"kind": "report", "margin": 0.0, "verdict": "reported", **options}
    return Result(
        title=title,
        metric="weights",
        unit=unit,
        effect=value,
        low=nan,
        high=nan,
        n=1,
        images=0,
        **fields,
    )


def _untouched(known: Mapping[str, Any]) -> Result:
    title = (
        f"base tensors of {known['tensors']} that differ by a bit after attaching both "
        "adapters and making a clip"
    )
    verdict = "fails" if known["changed"] else "holds"
    return _row(title, known["changed"], "tensors", kind="no less", verdict=verdict)


_NO_CONCAT = "not measured: no weights of the concatenation family"


def _moved(known: Mapping[str, Any]) -> Result:
    title = "length of concatenation's change of the base's weights, share of their length"
    if "movement" not in known:
        return _row(title, float("nan"), "share", reason=_NO_CONCAT)
    return _row(title, known["movement"], "share", reason="one training, no interval")


def _shares(known: Mapping[str, Any]) -> list[Result]:
    share = known["adapter"] / known["base"]
    verdict = "holds" if share <= MOST_TRAINED else "fails"
    title = (
        f"trained weights of the I2V adapter, share of the base's {known['base']:,} (at most "
        f"{MOST_TRAINED:g})"
    )
    rows = [
        _row(
            title,
            share,
            "share",
            kind="no less",
            margin=MOST_TRAINED,
            verdict=verdict,
            paper="24M, SD 1.5",
        ),
        _row("trained weights of the I2V adapter", known["adapter"], "weights"),
    ]
    concat = known.get("concatenation", float("nan"))
    reason = "" if "concatenation" in known else _NO_CONCAT
    rows.append(
        _row(
            "trained weights of concatenation",
            concat,
            "weights",
            reason=reason,
            paper="1.10B to 3.40B",
        )
    )
    return rows


def _costs(known: Mapping[str, Any], cards: Mapping[str, Mapping[str, Any]]) -> list[Result]:
    rows = []
    for name, part, key in (
        ("I2V adapter", "i2v_adapter", "adapter"),
        ("concatenation", "concat", "concatenation"),
    ):
        card = cards[part]
        timed = card.get("seconds") and card.get("steps")
        pace = card["seconds"] / card["steps"] if timed else float("nan")
        where = (
            f"{card['steps']} steps on {card.get('device')}, {card.get('machine')}" if timed else ""
        )
        reason = (
            f"one training, no interval; {where}"
            if timed
            else "not measured: the card states no time"
        )
        rows.append(_row(f"training time a step, {name}", pace, "s", reason=reason))
        held = known.get(key, float("nan")) * OPTIMISER_BYTES / 2**20
        rows.append(
            _row(
                f"gradients and optimiser state, {name}",
                held,
                "MiB",
                reason="counted: 12 bytes a weight",
            )
        )
    return rows
