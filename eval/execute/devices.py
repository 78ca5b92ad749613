"""On which device each clip was made and measured. A clip of which nothing is noted: on the CPU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from eval import device as devices
from eval.plan.cells import Plan
from eval.store.store import Store

Stage = Literal["make", "measure"]


def note(store: Store, stage: Stage, keys: Iterable[str], device: str) -> None:
    """Notes that the clips of these keys were made, or measured, on a resolved device."""
    if device == "cpu":
        return
    name = devices.describe(device)
    for key in keys:
        store.set_meta(_key(stage, key), name)


def device_of(store: Store, stage: Stage, key: str) -> str:
    """The device that a clip was made on, or that its records were measured on."""
    return store.meta(_key(stage, key)) or "cpu"


def counts(store: Store, plan: Plan) -> dict[str, dict[str, int]]:
    """Stage -> device -> clips of the plan, for ``run.json``."""
    keys = [cell.clip_key(sample, seed) for cell in plan.cells for sample, seed in plan.pairs(cell)]
    stages: tuple[Stage, ...] = ("make", "measure")
    return {
        stage: dict(sorted(Counter(device_of(store, stage, key) for key in keys).items()))
        for stage in stages
    }


def _key(stage: Stage, key: str) -> str:
    return f"device/{stage}/{key}"
