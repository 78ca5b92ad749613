"""How many workers a run asks for, how large, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Pool:
    """Workers, each of which keeps its models loaded and has one batch in hand.

    Attributes:
        workers: how many; None: as many as fit on the cluster, or one process.
        cpus: cores of each, which also is the number of its torch threads on a CPU.
        gpus: GPUs of each; 0.5 puts two workers on one, so that one measures while the other
            generates.
        kind: on Ray, or as processes of this machine.
        address: of a running cluster, as Ray takes it (``auto``, ``HOST:PORT``); None: this
            machine alone.
    """

    workers: int | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    address: str | None = None
    kind: Literal["ray", "processes"] = "ray"
