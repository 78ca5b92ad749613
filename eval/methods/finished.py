"""Finished clips as a method: it makes nothing, it reads what some tool has made."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from eval.clips.lossless import Clip
from eval.clips.media import digest, read_media
from eval.samples import Sample
from eval.samples.seeds import derive_seed

NAME = "finished-clips"


class FinishedClipsSettings(BaseModel):
    """Rate of the media that have none of their own."""

    model_config = ConfigDict(extra="forbid")
    fps: float | None = Field(default=None, gt=0, le=1000, allow_inf_nan=False)


class FinishedClips:
    """The clips of one method of a manifest. Not a registered name: a manifest says which clips
    there are.

    Args:
        settings: see the class.
        files: (sample id, seed number) -> video file, frame folder or array.
    """

    Settings: ClassVar[type[BaseModel]] = FinishedClipsSettings

    def __init__(
        self, settings: FinishedClipsSettings, files: Mapping[tuple[str, int], Path]
    ) -> None:
        self.settings = settings
        self.digests = {pair: digest(path, settings.fps) for pair, path in files.items()}
        self.notes: dict[tuple[str, int], list[str]] = {}
        self.shapes: dict[tuple[str, int], tuple[int, ...]] = {}
        self._files = files
        self._pairs = {
            (sample, derive_seed(sample, seed)): (sample, seed) for sample, seed in files
        }

    def fingerprint(self) -> str:
        """sha256 hex over the contents of all clips."""
        lines = (
            f"{sample}|{seed}|{content}\n"
            for (sample, seed), content in sorted(self.digests.items())
        )
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def generate(self, samples: Sequence[Sample], seeds: Sequence[int]) -> list[Clip]:
        """Raises EvalError, naming the file, for a clip that cannot be read whole; `notes` has what
        was changed, `shapes` how many frames of which height and width there are."""
        clips = []
        for sample, seed in zip(samples, seeds, strict=True):
            pair = self._pairs[sample.id, seed]
            media = read_media(self._files[pair], fps=self.settings.fps)
            self.notes[pair], self.shapes[pair] = media.notes, media.clip.frames.shape[:3]
            clips.append(media.clip)
        return clips
