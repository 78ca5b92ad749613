"""One pass of a flow encoder over a clip, a few pairs at a time: flow is many times the size of the
frames it is computed from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from eval.io.arrays import Float32Array, Frames
from eval.io.threads import in_threads, thread_count
from eval.metrics.pairs import FlowPair, PairStep

HELD = 64 * 2**20
"""Bytes of flow, in one direction, that are held at a time."""
KEPT = 256 * 2**20
"""Bytes of flow of a clip, in one direction, up to which it is kept for formulas that ask for all
of it."""
UNIT = 4
"""Pairs are encoded in multiples of this, or of the encoder's own `pairs_at_once`, so that a clip's
batches do not depend on how it is cut."""


class Shown(NamedTuple):
    """The frames of a clip as one view shows them.

    Attributes:
        length: how many.
        size: height and width.
        at: start, stop -> these frames.
    """

    length: int
    size: tuple[int, int]
    at: Callable[[int, int], Frames]


Known = dict[str, Float32Array]
"""Direction -> flow (P, H, W, 2) of the whole clip."""


def over_pairs(
    encode: Callable[[Frames, Frames], Float32Array],
    shown: Shown,
    steps: Sequence[PairStep],
    known: Known,
    unit: int | None = None,
) -> tuple[list[list[Any]], Known]:
    """Takes steps for every pair of neighbouring frames.

    Args:
        encode: (N, H, W, 3) twice -> flow (N, H, W, 2).
        shown: two frames or more.
        steps: what to compute; the backward flow is encoded only if one asks for it.
        known: flow that need not be encoded.
        unit: pairs that the encoder takes together; None: `UNIT`.

    Returns:
        For each step its results in the order of pairs; and the flow of the clip that was encoded,
        if it is small enough to keep.
    """
    pairs, (height, width) = shown.length - 1, shown.size
    size = height * width * 2 * 4
    wanted = ["forward", *(["backward"] if any(step.backward for step in steps) else [])]
    kept: dict[str, list[Float32Array]] = {
        direction: [] for direction in wanted if direction not in known and pairs * size <= KEPT
    }
    results: list[list[Any]] = []
    last: Float32Array | None = None
    length = _length(size, unit or UNIT)
    for start in range(0, pairs, length):
        stop = min(start + length, pairs)
        frames = shown.at(start, stop + 1)
        flows: dict[str, Float32Array] = {}
        for direction in wanted:
            if direction in known:
                flows[direction] = known[direction][start:stop]
                continue
            ends = (frames[:-1], frames[1:])
            flows[direction] = np.asarray(encode(*(ends if direction == "forward" else ends[::-1])))
            if direction in kept:
                kept[direction].append(flows[direction])
        forward, backward = flows["forward"], flows.get("backward")
        work = [
            FlowPair(
                frames[index],
                frames[index + 1],
                forward[index],
                None if backward is None else backward[index],
                forward[index - 1] if index else last,
            )
            for index in range(stop - start)
        ]
        results += in_threads(partial(_take, steps), work)
        last = forward[-1].copy()
    whole = {direction: np.concatenate(parts) for direction, parts in kept.items()}
    return [[row[index] for row in results] for index in range(len(steps))], whole


def _take(steps: Sequence[PairStep], pair: FlowPair) -> list[Any]:
    return [step.function(pair) for step in steps]


def _length(size: int, unit: int) -> int:
    """How many pairs of flows of `size` bytes are worked on together."""
    least = -(-2 * thread_count() // unit) * unit
    return max(least, min(HELD // size, 8 * least) // unit * unit)
