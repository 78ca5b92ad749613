"""Features that are needed more than once, kept while clips are measured."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from eval.clips.lossless import Clip
from eval.io.arrays import Float32Array, UInt8Array
from eval.measure.feature_cache import FeatureCache
from eval.metrics.pairs import PairStep
from eval.metrics.views import View


class Memory:
    """Features that outlive one look.

    Args:
        cache: of what encoders see in clips.

    Attributes:
        images: (encoder id, view, sample fingerprint) -> feature of the input image.
        prompts: (encoder id, prompt) -> feature of the prompt.
        flows: (encoder id, clip fingerprint, stride, size, direction) -> flow; large, so
            emptied after each clip.
        steps: (encoder id, clip fingerprint, stride, size) -> step -> its results for all pairs.
        announced: steps of flow metrics that will be asked for, by view.
        ready: (view, `content_of` a frame) -> its feature, encoded with those of other clips.
        contents: clip fingerprint -> `content_of` each frame.
    """

    def __init__(self, cache: FeatureCache) -> None:
        self.cache = cache
        self.images: dict[tuple[str, str, str], Float32Array] = {}
        self.prompts: dict[tuple[str, str], Float32Array] = {}
        self.flows: dict[tuple[str, str, int, str, str], Float32Array] = {}
        self.steps: dict[tuple[str, str, int, str], dict[PairStep, list[Any]]] = {}
        self.announced: dict[View, set[PairStep]] = {}
        self.ready: dict[tuple[str, bytes], Float32Array] = {}
        self.contents: dict[str, list[bytes]] = {}

    def contents_of(self, clip: Clip) -> list[bytes]:
        """`content_of` each frame of a clip, worked out once for all encoders and views."""
        if clip.fingerprint not in self.contents:
            self.contents[clip.fingerprint] = [content_of(frame) for frame in clip.frames]
        return self.contents[clip.fingerprint]

    def forget_clip(self) -> None:
        """Lets go what is large or belongs to one clip alone."""
        self.flows.clear()
        self.steps.clear()


def content_of(frame: UInt8Array) -> bytes:
    """Equal for frames of equal pixels."""
    return hashlib.sha256(np.ascontiguousarray(frame).data).digest()


def remember(
    store: dict[Any, Float32Array], key: Any, make: Callable[[], Float32Array]
) -> Float32Array:
    """The feature kept under `key`; `make` computes it the first time."""
    if key not in store:
        store[key] = make()
    return store[key]
