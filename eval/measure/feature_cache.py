"""Features that are computed once: by clip content, encoder fingerprint and view, in memory and, if
wanted, on disk.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.errors import EvalError
from eval.io.arrays import read_array, write_array
from eval.io.files import write_whole

HELD = 256
"""Arrays kept in memory; the one used longest ago goes first."""


class FeatureCache:
    """float32 arrays by what decides them.

    A key that is known costs no pass through a network, also in a later process if there is a
    folder. Files are written whole or not at all, and named by a hash of the key, so two clips of
    equal content share one.

    Args:
        folder: where arrays are kept between processes, a path or a ``upath.UPath``; None for
            memory alone.

    Attributes:
        passes: how often each encoder looked at a clip, as (encoder id, view) -> count.
        answers: what judges said in this process.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.passes: Counter[tuple[str, str]] = Counter()
        self.answers: dict[str, dict[str, Any]] = {}
        self._folder = folder
        self._held: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    def get(
        self,
        encoder: tuple[str, str],
        content: str,
        view: str,
        make: Callable[[], NDArray[np.float32]],
    ) -> NDArray[np.float32]:
        """The array, made if it is not known yet.

        Args:
            encoder: its id, for the count, and its fingerprint, which covers weights and
                preprocessing.
            content: sha256 hex of the clip.
            view: how the encoder is shown the clip.
            make: one pass through the encoder.

        Raises:
            EvalError: as `make`.
        """
        name, fingerprint = encoder
        key = _key(content, fingerprint, view)
        if key not in self._held:
            path = self._path(key)
            known = _stored(path, key)
            if known is not None:
                self._held[key] = known
            else:
                self._held[key] = np.asarray(make(), dtype=np.float32)
                self.passes[name, view] += 1
                if path:
                    write_array(path, self._held[key], key)
            while len(self._held) > HELD:
                self._held.popitem(last=False)
        self._held.move_to_end(key)
        return self._held[key]

    def keep_answer(
        self, encoder: tuple[str, str], content: str, answer: Mapping[str, Any]
    ) -> None:
        """Keeps what a judge said of a clip, beside the folder of features; in memory if there is
        none.

        Args:
            encoder: as in :meth:`get`.
            content: sha256 hex of the clip.
            answer: values that JSON can hold.
        """
        key = _key(content, encoder[1], "answer")
        self.answers[key] = dict(answer)
        if self._folder:
            text = json.dumps(answer, indent=1, ensure_ascii=False)
            write_whole(self._folder.parent / "answers" / f"{key}.json", text.encode())

    def known(self, encoder: tuple[str, str], content: str, view: str) -> bool:
        """Whether :meth:`get` would find the array without making it."""
        key = _key(content, encoder[1], view)
        path = self._path(key)
        return key in self._held or _stored(path, key) is not None

    def stored(self, fingerprint: str, content: str, view: str) -> NDArray[np.float32] | None:
        """The array if it is kept; None if :meth:`get` would have to make it.

        Args:
            fingerprint: of the encoder.
            content: sha256 hex of the clip.
            view: how the encoder is shown the clip.
        """
        key = _key(content, fingerprint, view)
        return self._held[key] if key in self._held else _stored(self._path(key), key)

    def _path(self, key: str) -> Path | None:
        return self._folder / key[:2] / f"{key}.npy" if self._folder else None


def tracks_view(view: str, points: NDArray[np.float32]) -> str:
    """The view under which tracks of these points (N, 2) are kept."""
    named = hashlib.sha256(np.ascontiguousarray(points, np.float32).tobytes()).hexdigest()
    return f"{view}, points {named}"


def _key(content: str, fingerprint: str, view: str) -> str:
    return hashlib.sha256(f"{content}|{fingerprint}|{view}".encode()).hexdigest()


def _stored(path: Path | None, key: str) -> NDArray[np.float32] | None:
    """A stored array; None if it is missing or damaged, so that it is computed again."""
    if path is None or not path.is_file():
        return None
    try:
        return read_array(path, key)
    except EvalError:
        return None
