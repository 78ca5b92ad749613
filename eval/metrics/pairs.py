"""What flow metrics compute of one pair of frames, so that no clip's flow is held whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.errors import EvalError


class FlowPair(NamedTuple):
    """Two neighbouring frames and the flow between them.

    Attributes:
        first: (H, W, 3), uint8 or float32 in [0, 1], as the definition's view shows it.
        second: the next one.
        forward: float32 (H, W, 2), flow in px from the first to the second, (dx, dy).
        backward: from the second to the first; None where the step does not ask for it.
        previous: forward flow of the pair before; None for the first pair.
    """

    first: NDArray[Any]
    second: NDArray[Any]
    forward: NDArray[np.float32]
    backward: NDArray[np.float32] | None = None
    previous: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class PairStep:
    """A step of a flow metric, taken for every pair of a clip; the formula sees the results alone.

    Attributes:
        function: `FlowPair` -> anything small. It depends on nothing else; pairs are worked on by
            several threads.
        backward: whether it reads the backward flow, which costs as much as the forward one.
    """

    function: Callable[[FlowPair], Any]
    backward: bool = False


def flow_of_pair(flow: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Flow of one pair as float64 (H, W, 2).

    Raises:
        EvalError: another shape, or flow that is not finite; `name` names the metric.
    """
    field = np.asarray(flow, dtype=np.float64)
    if field.ndim != 3 or field.shape[2] != 2 or min(field.shape) < 1:
        raise EvalError(f"{name}: flow of a pair must have shape (H, W, 2), got {field.shape}.")
    if not np.isfinite(field).all():
        bad = int((~np.isfinite(field)).sum())
        raise EvalError(f"{name}: the flow holds {bad} values that are not finite.")
    return field


def values_of(frame: NDArray[Any]) -> NDArray[np.float64]:
    """A frame of a `FlowPair` in [0, 1], float64 (H, W, 3)."""
    return np.asarray(frame.astype(np.float64) / (255.0 if frame.dtype == np.uint8 else 1.0))
