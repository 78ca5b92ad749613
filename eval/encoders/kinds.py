"""What every encoder has, and how one of each kind is called."""

from collections.abc import Sequence
from typing import ClassVar, Protocol

from eval.encoders.weights import Location
from eval.io.arrays import Float32Array, Frames, UInt8Array
from eval.metrics.definitions import EncoderKind


class Encoder(Protocol):
    """What every encoder has; the kinds below add how it is called.

    Attributes:
        id: name in `ENCODERS`, part of the ids of the metrics that use it.
        kind: what it looks at.
        fingerprint: sha256 hex over weights and preprocessing.
    """

    id: str
    kind: EncoderKind
    fingerprint: str


class ImageEncoder(Encoder, Protocol):
    """Frames to appearance features."""

    def encode_frames(self, frames: UInt8Array, *, view: str = "standard") -> Float32Array:
        """uint8 (N, H, W, 3) RGB -> float32 (N, D), rows of length 1; see
        `eval.metrics.views.View`.
        """
        ...

    def encode_image(self, image: UInt8Array, *, view: str = "standard") -> Float32Array:
        """The input image, uint8 (H, W, 3) RGB -> float32 (D,) of length 1."""
        ...


class ImageTextEncoder(Encoder, Protocol):
    """Frames and prompts to features of one joint space."""

    def encode_frames(self, frames: UInt8Array, *, view: str = "standard") -> Float32Array:
        """uint8 (N, H, W, 3) RGB -> float32 (N, D), rows of length 1; see
        `eval.metrics.views.View`.
        """
        ...

    def encode_image(self, image: UInt8Array, *, view: str = "standard") -> Float32Array:
        """The input image, uint8 (H, W, 3) RGB -> float32 (D,) of length 1."""
        ...

    def encode_text(self, prompts: Sequence[str]) -> Float32Array:
        """N prompts -> float32 (N, D), rows of length 1."""
        ...

    def truncated(self, prompt: str) -> bool:
        """Whether the tokenizer drops words of the prompt (the end token always stays)."""
        ...


class FlowEncoder(Encoder, Protocol):
    """Pairs of frames to optical flow."""

    def encode_pairs(self, first: Frames, second: Frames) -> Float32Array:
        """(N, H, W, 3) twice, uint8 or float32 in [0, 1] -> float32 (N, H, W, 2): (dx, dy) in px of
        each pixel of `first`.
        """
        ...


class TracksEncoder(Encoder, Protocol):
    """Frames and points of the first one to where those points go."""

    def encode_tracks(self, frames: UInt8Array, points: Float32Array) -> Float32Array:
        """uint8 (F, H, W, 3) RGB and (N, 2), (x, y) in px of frame 0 -> float32 (F, N, 2), finite:
        also where a point is hidden or out of the frame.
        """
        ...


class VideoEncoder(Encoder, Protocol):
    """Clips to features of what happens in them."""

    def encode_clips(self, clips: UInt8Array) -> Float32Array:
        """uint8 (N, F, H, W, 3) -> float32 (N, D)."""
        ...


class PerceptualEncoder(Encoder, Protocol):
    """An image and frames to distances."""

    def encode_distances(self, image: UInt8Array, frames: UInt8Array) -> Float32Array:
        """uint8 (h, w, 3) and (N, H, W, 3) RGB -> float32 (N,), >= 0."""
        ...


class QualityEncoder(Encoder, Protocol):
    """A clip to a score."""

    def encode_quality(self, frames: UInt8Array, fps: float) -> Float32Array:
        """uint8 (F, H, W, 3) RGB -> float32 (1,)."""
        ...


class FrameScoreEncoder(Encoder, Protocol):
    """Frames to a score each."""

    def encode_scores(self, frames: UInt8Array) -> Float32Array:
        """uint8 (N, H, W, 3) RGB -> float32 (N,)."""
        ...


class InterpolationEncoder(Encoder, Protocol):
    """A clip to how far its frames are from an interpolation of their neighbours."""

    def encode_interpolation(self, frames: UInt8Array) -> Float32Array:
        """uint8 (F, H, W, 3) RGB, F >= 3 -> float32 (P,), P = (F - 1) // 2: mean absolute error of
        frames 1, 3, ..., in 8-bit steps.
        """
        ...


class StyleEncoder(Encoder, Protocol):
    """Frames to how they are drawn; `styles` names the columns."""

    styles: Sequence[str]

    def encode_styles(self, frames: UInt8Array) -> Float32Array:
        """uint8 (N, H, W, 3) RGB -> logits, float32 (N, styles)."""
        ...


class OwnEncoder(Protocol):
    """What a class must offer to be an encoder of one's own, besides the calls of its kind (see
    the protocols above). A metric id names it as ``module:Class``.

    Attributes:
        kind: what it looks at.
        protocol: everything but the weights that decides a feature, as text: preprocessing, layer,
            version. It is part of the fingerprint.
        source: where its weights are looked for; None, or left out, for an encoder without weights.
    """

    kind: ClassVar[EncoderKind]
    protocol: ClassVar[str]
    id: str
    fingerprint: str

    def __init__(self, location: Location | None, device: str) -> None: ...
