"""Point tracks by networks that this package does not bring: CoTracker2 and PIPs++, each behind a
class that an environment variable names.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from eval.encoders.loaders import named_class, stated_fingerprint
from eval.encoders.preprocessing import check_frames
from eval.encoders.weights import Location
from eval.errors import EvalError
from eval.io.arrays import Float32Array, UInt8Array


class Tracker(Protocol):
    """What the class must offer. It is made without arguments but the device."""

    def __init__(self, *, device: str) -> None: ...

    @staticmethod
    def fingerprint() -> str:
        """Text that changes with the weights and the settings; must load no network."""
        ...

    def track(self, frames: UInt8Array, points: Float32Array) -> Float32Array:
        """uint8 (F, H, W, 3) RGB and (N, 2), (x, y) in px of frame 0 -> float32 (F, N, 2), in px of
        these frames, also of hidden points."""
        ...


class Brought(NamedTuple):
    """A network that is brought by its user.

    Attributes:
        option: environment variable, ``module:Class``.
        what: the network, its file, size and licence.
    """

    option: str
    what: str


BROUGHT = {
    "cotracker2": Brought(
        "I2V_EVAL_COTRACKER2",
        "CoTracker2 (cotracker2.pth, 204 MB, CC-BY-NC-4.0, and the code of "
        "github.com/facebookresearch/co-tracker)",
    ),
    "pips2": Brought(
        "I2V_EVAL_PIPS2",
        "PIPs++ (pips2_weights.pth and the code of FVMD or of github.com/aharley/pips2)",
    ),
}


class BroughtTracksEncoder:
    """Asks a `Tracker`."""

    kind = "tracks"

    def __init__(self, id: str, model: Tracker) -> None:
        self.id = id
        self.fingerprint = ""
        self._model = model

    def encode_tracks(self, frames: UInt8Array, points: Float32Array) -> Float32Array:
        """uint8 (F, H, W, 3) RGB and (N, 2), (x, y) in px of frame 0 -> float32 (F, N, 2).

        Raises:
            EvalError: frames of another shape or dtype, tracks of another shape or not finite.
        """
        check_frames(frames)
        tracks = np.asarray(self._model.track(frames, points), dtype=np.float32)
        wanted = (len(frames), len(points), 2)
        if tracks.shape != wanted or not np.isfinite(tracks).all():
            raise EvalError(
                f"encoder {self.id!r}: tracks must be finite and have shape {wanted}, the loader's "
                f"class gives {tracks.shape}"
            )
        return tracks


def stated_protocol(id: str) -> str:
    """What the loader of this encoder says of itself."""
    return f"brought tracks 1: {stated_fingerprint(id, BROUGHT[id].option, _class(id))}"


def load(
    id: str, location: Location | None, preprocessing: None, device: str, dtype: str
) -> BroughtTracksEncoder:
    """Makes the loader's model."""
    return BroughtTracksEncoder(id, _class(id)(device=device))


def _class(id: str) -> Any:
    needs = f"{BROUGHT[id].what} does not come with this package; "
    return named_class(
        id,
        BROUGHT[id].option,
        f"{needs}eval.encoders.brought_tracks.Tracker says what its loader must offer",
    )
