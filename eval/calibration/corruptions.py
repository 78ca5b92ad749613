"""Corruptions of known kind and strength, and which metrics must answer to them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from eval.calibration.material import film, unrelated
from eval.clips.lossless import Clip
from eval.errors import EvalError, nearest
from eval.io.arrays import UInt8Array
from eval.samples import Sample

PROTOCOL = "corruptions.v1"
UNRELATED = "unrelated"
WRONG_PROMPT = "wrong prompt"


class Corruption(NamedTuple):
    """How a true clip is corrupted.

    Attributes:
        unit: what a strength counts; strength 0 is the true clip.
        strengths: rising, none 0.
        apply: (sample with its true clip, strength, generator) -> frames, uint8 (F, H, W, 3).
    """

    unit: str
    strengths: tuple[float, ...]
    apply: Callable[[Sample, float, np.random.Generator], UInt8Array]


def _true(sample: Sample) -> UInt8Array:
    if sample.clip is None:
        raise EvalError(f"sample '{sample.id}' has no true clip to corrupt")
    return sample.clip.frames


def _rounded(frames: NDArray[np.float64]) -> UInt8Array:
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)


def _identity_swap(sample: Sample, strength: float, rng: np.random.Generator) -> UInt8Array:
    """Frames 1, 2, ... cross-faded with the same clip of another subject; frame 0 stays."""
    own = _true(sample).astype(np.float64)
    other = film(sample, subject=int(rng.integers(2**31))).frames
    return _rounded(np.concatenate([own[:1], (1 - strength) * own[1:] + strength * other[1:]]))


def _colour_shift(sample: Sample, degrees: float, rng: np.random.Generator) -> UInt8Array:
    """Rotates every colour about the grey axis (Rodrigues' formula)."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    axis = np.full(3, 3**-0.5)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    turn = cosine * np.eye(3) + sine * cross + (1 - cosine) * np.outer(axis, axis)
    return _rounded(_true(sample) @ turn.T)


def _blur(sample: Sample, sigma: float, rng: np.random.Generator) -> UInt8Array:
    import cv2

    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in _true(sample)])


def _noise(sample: Sample, level: float, rng: np.random.Generator) -> UInt8Array:
    frames = _true(sample)
    return _rounded(frames + rng.normal(0.0, level, frames.shape))


def _compression(sample: Sample, crf: float, rng: np.random.Generator) -> UInt8Array:
    import av

    from i2v_adapter.media.video import Video

    frames = _true(sample)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream(
            "libx264", rate=8, options={"crf": str(int(crf)), "threads": "1"}
        )
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        for frame in frames:
            container.mux(
                stream.encode(
                    av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
                )
            )
        container.mux(stream.encode(None))
    with Video(buffer) as video:
        return np.stack(list(video))


def _picked(count: int, share: float, rng: np.random.Generator) -> NDArray[np.intp]:
    """A share of the frames 1, 2, ..., in random order."""
    return 1 + rng.permutation(count - 1)[: round(share * (count - 1))]


def _shuffle(sample: Sample, share: float, rng: np.random.Generator) -> UInt8Array:
    """A share of the frames 1, 2, ... permuted in a random cycle, so that none keeps its place."""
    frames = _true(sample).copy()
    picked = _picked(len(frames), share, rng)
    frames[picked] = frames[np.roll(picked, 1)]
    return frames


def _drop(sample: Sample, share: float, rng: np.random.Generator) -> UInt8Array:
    """A share of the frames 1, 2, ... replaced by the one shown before."""
    frames = _true(sample).copy()
    for index in np.sort(_picked(len(frames), share, rng)):
        frames[index] = frames[index - 1]
    return frames


CORRUPTIONS: Mapping[str, Corruption] = {
    "identity swap": Corruption("share of another subject", (0.25, 0.5, 0.75, 1.0), _identity_swap),
    "colour shift": Corruption("degrees of hue", (45.0, 90.0, 135.0, 180.0), _colour_shift),
    "blur": Corruption("px, standard deviation", (0.5, 1.0, 2.0, 4.0), _blur),
    "noise": Corruption("grey levels, standard deviation", (4.0, 8.0, 16.0, 32.0), _noise),
    "compression": Corruption("CRF of H.264", (18.0, 28.0, 38.0, 48.0), _compression),
    "frame shuffle": Corruption("share of frames", (0.3, 0.6, 1.0), _shuffle),
    "dropped frames": Corruption("share of frames", (0.3, 0.6, 1.0), _drop),
    "slower": Corruption(
        "share of speed lost", (0.33, 0.67, 1.0), lambda s, x, _: film(s, speed=1 - x).frames
    ),
    "faster": Corruption(
        "share of speed gained", (0.33, 0.67, 1.0), lambda s, x, _: film(s, speed=1 + x).frames
    ),
    UNRELATED: Corruption(
        "another clip", (1.0,), lambda s, _, rng: unrelated(s, int(rng.integers(2**31)))
    ),
}
"""All that change the clip. A wrong prompt changes the sample: see `eval.calibration.grid`."""

_LOOKS = {"identity swap": 0, "colour shift": 0, "blur": 0}
_SPEED = {"slower": -1, "faster": 1}
_WORDS = {WRONG_PROMPT: 0, "colour shift": 0, "identity swap": 0}
_FLICKERS = {"noise": 0, "frame shuffle": 0}
_VIDEO = dict.fromkeys(
    ("blur", "noise", "compression", "frame shuffle", "dropped frames", "slower", "faster"), 0
)
_FIRST_FRAME = dict.fromkeys(("colour shift", "blur", "noise", "compression"), 0)
_TRUE_FRAMES = _VIDEO | {"identity swap": 0, "colour shift": 0}

EXPECTED: Mapping[str, Mapping[str, int]] = {
    "identity": _LOOKS,
    "identity_min": _LOOKS,
    "identity_last": _LOOKS,
    "dreambooth.dino": _LOOKS,
    "vbench.i2v_subject": {"identity swap": 0},
    "vbench.subject_consistency": {"identity swap": 0},
    "text": _WORDS,
    "text_min": _WORDS,
    "paper.clip_temp": _LOOKS,
    "consistency": _FLICKERS,
    "evalcrafter.clip_temp": _FLICKERS,
    "motion": _SPEED,
    "motion_top5": _SPEED,
    "evalcrafter.flow_score": _SPEED,
    "paper.flow_score": _SPEED,
    "vbench.dynamic_degree": {"slower": -1},
    "warping": {"noise": 0},
    "paper.warping_error": {"noise": 0},
    "smoothness": _FLICKERS,
    "flicker": _FLICKERS,
    "vbench.temporal_flickering": _FLICKERS,
    "lpips": _LOOKS,
    "dover.technical": {"blur": 0, "noise": 0, "compression": 0},
    "vbench.imaging_quality": {"blur": 0, "noise": 0, "compression": 0},
    "fvd": _VIDEO,
    "kvd": _VIDEO,
    "stylegan_v.fvd": _VIDEO,
    "cd_fvd.fvd": _VIDEO,
    **{f"first_frame.{name}": _FIRST_FRAME for name in ("mse", "psnr", "ssim", "lpips")},
    **{f"aigcbench.{name}_first": _FIRST_FRAME for name in ("mse", "ssim")},
    **{f"reference.{name}": _TRUE_FRAMES for name in ("mse", "psnr", "ssim", "lpips")},
    "jedi": _VIDEO,
}
"""Metric family -> corruption -> the direction it must move: 1 up, -1 down, 0 to the worse side.
What a family is for, not all it sees; families that are not here are measured and rated by
nothing.
"""


class CorruptedSettings(BaseModel):
    """A name of `CORRUPTIONS` and a strength."""

    model_config = ConfigDict(extra="forbid")
    corruption: str
    strength: float = Field(gt=0, allow_inf_nan=False)


class Corrupted:
    """The method that corrupts true clips."""

    Settings: ClassVar[type[BaseModel]] = CorruptedSettings

    def __init__(self, settings: CorruptedSettings) -> None:
        self.settings = settings
        if settings.corruption not in CORRUPTIONS:
            hint = nearest(settings.corruption, CORRUPTIONS)
            raise EvalError(
                f"unknown corruption '{settings.corruption}'. Allowed: "
                f"{', '.join(CORRUPTIONS)}.{hint}"
            )

    def fingerprint(self) -> str:
        return hashlib.sha256(PROTOCOL.encode()).hexdigest()

    def generate(self, samples: Sequence[Sample], seeds: Sequence[int]) -> list[Clip]:
        """Raises EvalError, naming the sample, if one has no true clip."""
        apply, strength = CORRUPTIONS[self.settings.corruption].apply, self.settings.strength
        return [
            Clip(
                apply(sample, strength, np.random.default_rng(seed)),
                sample.clip.fps if sample.clip else 1.0,
            )
            for sample, seed in zip(samples, seeds, strict=True)
        ]
