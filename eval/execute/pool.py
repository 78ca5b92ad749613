"""How many workers a run asks of Ray, and how large."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pool:
    """Workers, each of which keeps its models loaded and has one batch in hand.

    Attributes:
        workers: how many; None: as many as fit on the cluster.
        cpus: cores of each, which also is the number of its torch threads on a CPU.
        gpus: GPUs of each; 0.5 puts two workers on one, so that one judges while the other
            generates.
        address: of a running cluster, as Ray takes it (``auto``, ``HOST:PORT``); None: this
            machine alone.
    """

    workers: int | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    address: str | None = None
