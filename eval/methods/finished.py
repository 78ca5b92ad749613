"""Finished clips as a method: it reads clips that any tool has made."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from eval.clips.lossless import Clip
from eval.clips.media import Hdr, read_media
from eval.samples import Sample
from eval.samples.seeds import derive_seed

NAME = "finished-clips"


class FinishedClipsSettings(BaseModel):
    """How clips are read.

    Attributes:
        fps: rate of the media that have none of their own.
        hdr: ``tone-map`` reads HDR clips as SDR; they are refused otherwise.
    """

    model_config = ConfigDict(extra="forbid")
    fps: float | None = Field(default=None, gt=0, le=1000, allow_inf_nan=False)
    hdr: Hdr = "refuse"


class FinishedClips:
    """The clips of one method of a manifest. Not a registered name: a manifest says which clips
    there are.

    Args:
        settings: see the class.
        files: (sample id, seed number) -> video file, frame folder or array.
        digests: the same -> :func:`eval.clips.media.digest`.
        root: what links in frame folders may not leave; each folder if None.
    """

    Settings: ClassVar[type[BaseModel]] = FinishedClipsSettings

    def __init__(
        self,
        settings: FinishedClipsSettings,
        files: Mapping[tuple[str, int], Path],
        digests: Mapping[tuple[str, int], str],
        root: Path | None = None,
    ) -> None:
        self.settings = settings
        self.digests = dict(digests)
        self.notes: dict[tuple[str, int], list[str]] = {}
        self._files, self._root = files, root
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
        was changed."""
        clips = []
        for sample, seed in zip(samples, seeds, strict=True):
            pair = self._pairs[sample.id, seed]
            media = read_media(
                self._files[pair],
                fps=self.settings.fps,
                hdr=self.settings.hdr,
                root=self._root,
            )
            self.notes[pair] = media.notes
            clips.append(media.clip)
        return clips
