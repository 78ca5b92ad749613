"""Clips rendered by worker processes into shared memory, while the device already trains.

The workers are forked before anything touches CUDA: a process with a CUDA context cannot be forked.
OpenCV's threads do not survive a fork either, and a worker that calls for them waits for ever, so
they are sent home before it.
"""

from __future__ import annotations

import mmap
import multiprocessing
import os
import time
from typing import NamedTuple

import cv2
import numpy as np

from eval.errors import EvalError
from eval.world.control import places
from eval.world.glyphs import mask, wild_characters
from eval.world.scenes import MOTIONS, SIZE, caption, describe, frames_at, render_frame
from eval.world.styles import STYLES
from eval.world_training.latents import clip_scene
from eval.world_training.stages.lora import STYLE

_CHUNK = 32  # clips
_WORDS = 96  # bytes kept of a caption


class Part(NamedTuple):
    """`clips` clips of the set with this seed; see `eval.world_training.latents.clip_scene`."""

    name: str
    clips: int
    seed: int
    wild: float
    style: str | None = None


def parts(clips: int, first_seed: int = 2001) -> tuple[Part, ...]:
    """The sets that the generator's stages are trained on, about `clips` in all; with the first
    seed that is given by default, those of the CPU recipe.
    """
    return (
        Part("base", max(4, clips * 3 // 8), first_seed, 0.15),
        Part("wild", max(4, clips * 9 // 16), first_seed + 1, 0.6),
        Part("style", max(4, clips // 16), first_seed + 2, 0.4, STYLE),
    )


class Rendering:
    """Starts the workers. Rows of one part lie together, in its own order.

    Attributes:
        frames: uint8 (N, F, side, side, 3); masks: uint8 (N, F, side, side), 255 inside; captions
            and others: bytes (N,), the caption, and the same with a motion drawn at random; places:
            float32 (N, F, 3), see `eval.world.control.places`.
    """

    def __init__(self, sets: tuple[Part, ...], workers: int, side: int = SIZE) -> None:
        wild_characters()  # once, not in every worker
        self.starts, count = {}, 0
        self._side, frames = side, frames_at(side)
        for part in sets:
            self.starts[part.name] = (count, count + part.clips)
            count += part.clips
        self.frames = _shared((count, frames, side, side, 3), np.uint8)
        self.masks = _shared((count, frames, side, side), np.uint8)
        self.captions = _shared((count,), f"S{_WORDS}")
        self.others = _shared((count,), f"S{_WORDS}")
        self.places = _shared((count, frames, 3), np.float32)
        self.chunks = _interleaved(sets, self.starts)
        self._done = _shared((len(self.chunks),), np.uint8)
        fork = multiprocessing.get_context("fork")
        self._workers = [
            fork.Process(target=self._work, args=(worker, workers), daemon=True)
            for worker in range(workers)
        ]
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            for process in self._workers:
                process.start()
        finally:
            cv2.setNumThreads(threads)

    def _work(self, worker: int, workers: int) -> None:
        for number in range(worker, len(self.chunks), workers):
            part, first, last = self.chunks[number]
            for row in range(first, last):
                self._draw(part, row, row - self.starts[part.name][0])
            self._done[number] = 1
        os._exit(0)  # nothing of the parent's to clean up

    def _draw(self, part: Part, row: int, index: int) -> None:
        scene = clip_scene(part.seed, index, wild=part.wild).enlarged(self._side)
        draw = mask if part.style is None else STYLES[part.style]
        frames = self.frames.shape[1]
        for frame in range(frames):
            self.frames[row, frame], inside = render_frame(scene, frame, draw)
            self.masks[row, frame] = np.rint(inside * 255.0)
        motion = str(np.random.default_rng([part.seed, index, 1]).choice(list(MOTIONS)))
        other = describe(scene.colour, scene.glyph, motion, scene.background)
        self.captions[row], self.others[row] = caption(scene).encode(), other.encode()
        self.places[row] = places(scene, frames)

    def ready(self) -> int:
        """How many of `chunks`, from the first on, are drawn. Raises EvalError when a worker
        failed."""
        done = np.asarray(self._done)
        if failed := [p.exitcode for p in self._workers if p.exitcode not in (None, 0)]:
            raise EvalError(f"a rendering process ended with exit code {failed[0]}")
        return len(done) if done.all() else int(done.argmin())

    def wait(self, patience: float = 120.0) -> None:
        """Returns when all is drawn. Raises EvalError when a worker failed, or when no chunk was
        finished for `patience` seconds."""
        drawn, since = 0, time.monotonic()
        while (ready := int(np.sum(self._done))) < len(self.chunks):
            self.ready()
            if ready > drawn:
                drawn, since = ready, time.monotonic()
            elif time.monotonic() - since > patience:
                raise EvalError(
                    f"the rendering processes drew {drawn} of {len(self.chunks)} parts and then "
                    f"none for {patience:.0f} s"
                )
            time.sleep(0.05)
        self.ready()


def _interleaved(sets: tuple[Part, ...], starts: dict) -> list[tuple[Part, int, int]]:
    """Chunks (part, first row, row after the last), those of all parts in turn, so that what is
    ready first holds some of each."""
    found = []
    for part in sets:
        first, last = starts[part.name]
        for start in range(first, last, _CHUNK):
            where = (start - first) / (last - first)
            found.append((where, part, start, min(start + _CHUNK, last)))
    return [chunk[1:] for chunk in sorted(found, key=lambda chunk: chunk[0])]


def _shared(shape: tuple[int, ...], dtype) -> np.ndarray:
    count = int(np.prod(shape))
    memory = mmap.mmap(-1, max(1, count * np.dtype(dtype).itemsize))
    return np.frombuffer(memory, dtype, count).reshape(shape)
