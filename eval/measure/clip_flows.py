"""Optical flow between neighbouring frames of one clip. Each flow is computed once, and the metrics
that read it share one pass over the pairs.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from eval.clips.lossless import Clip
from eval.errors import EvalError
from eval.io.arrays import Float32Array, Frames
from eval.measure.kept_features import Memory, remember
from eval.measure.pair_pass import Shown, over_pairs
from eval.measure.view_frames import as_view, view_size
from eval.metrics.pairs import PairStep
from eval.metrics.vbench import sampling_stride
from eval.metrics.views import View


class ClipFlows:
    """The flows of one clip, by one encoder in one view.

    Args:
        encoder: of kind flow.
        view: which frames the encoder is shown, and at what size.
        clip: frames and rate.
        memory: where flows and step results are kept.
    """

    def __init__(self, encoder: Any, view: View, clip: Clip, memory: Memory) -> None:
        self._clip = clip
        self._encoder = encoder
        self._view = view
        self._memory = memory

    def flow(self, direction: Literal["forward", "backward"] = "forward") -> Float32Array:
        """See `Look.flow`.

        Raises:
            EvalError: fewer than two such frames.
        """
        stride, size = self._geometry(self._view)
        frames = self.shown().at(0, len(self._clip.frames))
        pairs = (frames[:-1], frames[1:]) if direction == "forward" else (frames[1:], frames[:-1])

        def make() -> Float32Array:
            self._count(direction, stride, size)
            return np.asarray(self._encoder.encode_pairs(*pairs))

        key = (self._encoder.id, self._clip.fingerprint, stride, size, direction)
        return remember(self._memory.flows, key, make)

    def over_pairs(self, step: PairStep) -> list[Any]:
        """See `Look.over_pairs`. Steps that are announced are taken in the same pass.

        Raises:
            EvalError: fewer than two such frames.
        """
        stride, size = geometry = self._geometry(self._view)
        encoder, clip = self._encoder.id, self._clip.fingerprint
        known = self._memory.steps.setdefault((encoder, clip, stride, size), {})
        if step not in known:
            steps = {step: None} | {
                other: None
                for view, announced in self._memory.announced.items()
                if self._geometry(view) == geometry
                for other in sorted(announced - known.keys(), key=lambda one: one.backward)
            }
            flows = {
                direction: self._memory.flows[encoder, clip, stride, size, direction]
                for direction in ("forward", "backward")
                if (encoder, clip, stride, size, direction) in self._memory.flows
            }
            for direction in ("forward", "backward"):
                needed = direction == "forward" or any(one.backward for one in steps)
                if needed and direction not in flows:
                    self._count(direction, stride, size)
            unit = getattr(self._encoder, "pairs_at_once", None)
            taken, made = over_pairs(
                self._encoder.encode_pairs, self.shown(), list(steps), flows, unit
            )
            known.update(zip(steps, taken, strict=True))
            for direction, flow in made.items():
                self._memory.flows[encoder, clip, stride, size, direction] = flow
        return known[step]

    def shown(self) -> Shown:
        """The frames of this view, of which those that are asked for are made."""
        stride = sampling_stride(self._clip.fps) if self._view.startswith("sampled") else 1
        frames = self._clip.frames[::stride]

        def at(start: int, stop: int) -> Frames:
            return as_view(self._view, frames[start:stop])

        height, width = view_size(self._view, frames.shape[1:3])
        return Shown(len(frames), (height, width), at)

    def _count(self, direction: str, stride: int, size: str) -> None:
        name = f"flow {direction}, {size} size, stride {stride}"
        self._memory.cache.passes[self._encoder.id, name] += 1

    def _geometry(self, view: View) -> tuple[int, str]:
        """Which flow a view needs: every n-th frame, and the size of frames; views of one geometry
        share it.
        """
        stride = sampling_stride(self._clip.fps) if view.startswith("sampled") else 1
        if -(-len(self._clip.frames) // stride) < 2:
            count = f"{len(self._clip.frames)} frame{'s'[: len(self._clip.frames) > 1]}"
            wanted = f"more than {stride} at {self._clip.fps:g} fps" if stride > 1 else "2 or more"
            raise EvalError(f"the clip has {count}; motion needs {wanted}")
        same = view_size(view, self._clip.frames.shape[1:3]) == self._clip.frames.shape[1:3]
        return stride, "full" if same else view.removeprefix("sampled_")
