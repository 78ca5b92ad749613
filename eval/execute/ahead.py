"""Reads the next clips on a thread while a GPU measures these."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

from eval.clips.lossless import Clip, read_clip
from eval.store.store import Record, Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ReadAhead:
    """A store whose clips are read before they are asked for, a few at a time, in this order.

    A clip that cannot be read ahead is read again when it is asked for: so its error is raised
    there, and belongs to this clip alone. Use it as a context manager, which ends its thread.

    Args:
        store: where clips are and results go.
        keys: of the clips in the order in which they will be asked for; one that is asked for
            out of turn, or again, is read then.
        most: clips that are held at a time.
    """

    def __init__(self, store: Store, keys: Sequence[str], most: int) -> None:
        self._store = store
        self._digests = store.digests(keys)  # the database belongs to this thread
        self._left = deque(dict.fromkeys(keys))
        self._most = most
        self._held: dict[str, Future[Clip]] = {}
        self._pool = ThreadPoolExecutor(1, "reading")

    def __enter__(self) -> ReadAhead:
        self._begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def read(self, key: str) -> Clip:
        """The clip of this key; see `Store.read`."""
        waiting = self._held.pop(key, None)
        if waiting is None:
            with suppress(ValueError):
                self._left.remove(key)
        self._begin()
        if waiting is not None and waiting.exception() is None:
            self._store.decoded += 1
            return waiting.result()
        return self._store.read(key)

    def add_features(self, encoder: str, features: Mapping[str, NDArray[np.float32]]) -> None:
        """See `Store.add_features`."""
        self._store.add_features(encoder, features)

    def add_records(self, records: Iterable[Record]) -> None:
        """See `Store.add_records`."""
        self._store.add_records(records)

    def _begin(self) -> None:
        while self._left and len(self._held) < self._most:
            key = self._left.popleft()
            path = self._store.files.clip(key)
            self._held[key] = self._pool.submit(read_clip, path, sha256=self._digests[key])
