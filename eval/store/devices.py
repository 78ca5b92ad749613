"""The device on which each clip was made, and on which its records were measured (all records of a
clip at once); the CPU if no device was recorded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from eval.store.store import Store

CPU = "cpu"
Stage = Literal["make", "measure"]


def note(store: Store, stage: Stage, keys: Iterable[str], device: str) -> None:
    """Records that the clips of these keys were made, or measured, on a device, named as by
    :func:`eval.device.describe`. The CPU is recorded only in place of another device.
    """
    for key in keys:
        name = _key(stage, key)
        if (store.meta(name) or CPU) != device:
            store.set_meta(name, device)


def device_of(store: Store, stage: Stage, key: str) -> str:
    """The device that a clip was made on, or that its records were measured on."""
    return store.meta(_key(stage, key)) or CPU


def counts(store: Store, keys: Iterable[str]) -> dict[str, dict[str, int]]:
    """Stage -> device -> clips of these keys, for ``run.json``."""
    keys = list(keys)
    stages: tuple[Stage, ...] = ("make", "measure")
    return {
        stage: dict(sorted(Counter(device_of(store, stage, key) for key in keys).items()))
        for stage in stages
    }


def _key(stage: Stage, key: str) -> str:
    return f"device/{stage}/{key}"
