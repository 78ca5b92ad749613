"""Training clips by number: the same number gives the same clip, in every run, process and
thread."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple

import numpy as np

from i2v_adapter.training.config import Data, Dropout, TrainingError
from i2v_adapter.training.sources import Source
from i2v_adapter.training.video_clips import UnusableVideoError, fit, read_clip


class TrainingClip(NamedTuple):
    """One clip: `frames` uint8 (F, H, W, 3), its `text` ("" if dropped), and what else is random
    about it.
    """

    frames: np.ndarray
    text: str
    image_dropped: bool
    seed: int


class Clips:
    """Clip number n of an endless sequence, in which every epoch has an order of its own.

    An unusable video is noted in `skipped` and the next one of the order takes its place.

    Args:
        source: videos and captions.
        data: size and number of the frames.
        dropout: shares of the clips without text, image, or both.
        seed: of order, starts and dropout.
    """

    def __init__(self, source: Source, data: Data, dropout: Dropout, seed: int) -> None:
        self._source, self._data, self._dropout, self._seed = source, data, dropout, seed
        self._order: tuple[int, np.ndarray] | None = None
        self._unusable: dict[int, str] = {}
        self._notes: dict[int, str] = {}

    @property
    def skipped(self) -> dict[str, str]:
        """Name of each unusable video met so far -> the reason."""
        return {
            self._source.name(index): reason for index, reason in sorted(self._unusable.items())
        }

    @property
    def notes(self) -> dict[str, str]:
        """Name of each video met so far of which reading changed something -> what."""
        return {self._source.name(index): note for index, note in sorted(self._notes.items())}

    def __getitem__(self, number: int) -> TrainingClip:
        """Raises TrainingError if no video at all can be used."""
        random = np.random.default_rng([self._seed, 1, number])
        where, which, seed = random.random(), random.random(), int(random.integers(2**63))
        epoch, place = divmod(number, len(self._source))
        order = self._epoch(epoch)
        for step in range(len(order)):
            index = int(order[(place + step) % len(order)])
            if index in self._unusable:
                continue
            try:
                file, caption = self._source.read(index)
                frames, notes = read_clip(
                    file,
                    self._data.frames,
                    self._data.stride,
                    lambda starts: int(where * starts),
                    self._data.hdr,
                )
            except UnusableVideoError as error:
                self._unusable[index] = str(error)
                continue
            if notes:
                self._notes[index] = "; ".join(notes)
            text, image, both = np.cumsum(
                [self._dropout.text, self._dropout.image, self._dropout.both]
            )
            return TrainingClip(
                frames=fit(frames, self._data.height, self._data.width),
                text="" if which < text or image <= which < both else caption,
                image_dropped=bool(text <= which < both),
                seed=seed,
            )
        name, reason = next(iter(self.skipped.items()))
        raise TrainingError(
            f"data: none of the {len(self._source)} videos can be used: {name} {reason}"
        )

    def _epoch(self, epoch: int) -> np.ndarray:
        kept = self._order
        if kept is None or kept[0] != epoch:
            order = np.random.default_rng([self._seed, 0, epoch]).permutation(len(self._source))
            kept = self._order = (epoch, order)
        return kept[1]


class ClipBatches:
    """Batch number n of a process: its share of the clips, decoded ahead by threads.

    The batches n of all processes together hold the clips that batch n of a single process with as
    many times the size would hold.

    Args:
        clips: the sequence.
        size: of a batch.
        stop: number of batches; nothing is decoded beyond.
        process: index of this process, of `processes`.
        workers: threads.
    """

    def __init__(
        self, clips: Clips, size: int, stop: int, process: int, processes: int, workers: int
    ) -> None:
        self._clips, self._size, self._stop = clips, size, stop
        self._process, self._processes = process, processes
        self._ahead = -(-2 * workers // size)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="clips")
        self._pending: dict[int, list[Future[TrainingClip]]] = {}

    def __enter__(self) -> ClipBatches:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def __call__(self, number: int) -> list[TrainingClip]:
        for coming in range(number, min(number + self._ahead + 1, self._stop)):
            if coming not in self._pending:
                first = (coming * self._processes + self._process) * self._size
                self._pending[coming] = [
                    self._pool.submit(self._clips.__getitem__, first + i) for i in range(self._size)
                ]
        return [future.result() for future in self._pending.pop(number)]
