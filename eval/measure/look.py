"""What one encoder sees in one clip. Each feature is computed when a formula first asks for it, and
only once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from eval.clips.lossless import Clip
from eval.encoders.judge import SHOWN
from eval.errors import EvalError
from eval.io.arrays import Float32Array, Float64Array, UInt8Array
from eval.measure.clip_flows import ClipFlows
from eval.measure.feature_cache import tracks_view
from eval.measure.fitted import fitted, stretched
from eval.measure.kept_features import Memory, content_of, remember
from eval.measure.view_frames import as_view
from eval.metrics.pairs import PairStep
from eval.metrics.views import View
from eval.samples import Sample


class Look:
    """One encoder, one clip, one view.

    Args:
        encoder: of any kind; a formula asks for what its kind gives.
        view: how the encoder is shown the clip.
        sample: what the clip was made from.
        clip: frames and rate.
        memory: shared with other looks.
    """

    def __init__(
        self, encoder: Any, view: View, sample: Sample, clip: Clip, memory: Memory
    ) -> None:
        self.clip = clip
        self.sample = sample
        self._encoder = encoder
        self._view = view
        self._memory = memory
        self._flows = ClipFlows(encoder, view, clip, memory)

    def image(self) -> Float32Array:
        """Feature (D,) of the input image; encoders of kind image and image-text."""
        self._check_known("image")
        key = (self._encoder.id, self._view, self.sample.fingerprint)
        return remember(self._memory.images, key, self._image)

    def prompt(self) -> Float32Array:
        """Feature (D,) of the prompt; encoders of kind image-text."""
        self._check_known("prompt")
        prompt = self.sample.prompt
        return remember(
            self._memory.prompts,
            (self._encoder.id, prompt),
            lambda: self._encoder.encode_text([prompt])[0],
        )

    def frames(self) -> Float32Array:
        """Features (F, D) of the frames; encoders of kind image and image-text."""
        return self._cached(self._view, self._frames)

    def distances(self) -> Float32Array:
        """Distances (F,) of the frames from the input image; encoders of kind perceptual."""
        self._check_known("image")
        view = f"to {self.sample.fingerprint}"
        return self._cached(
            view, lambda: self._encoder.encode_distances(self.sample.image, self.clip.frames)
        )

    def quality(self) -> float:
        """Score of the clip; encoders of kind quality."""
        return float(
            self._cached(
                "standard", lambda: self._encoder.encode_quality(self.clip.frames, self.clip.fps)
            )[0]
        )

    def scores(self) -> Float32Array:
        """Score (F,) of each frame; encoders of kind frame-score."""
        return self._cached("standard", lambda: self._encoder.encode_scores(self.clip.frames))

    def interpolation(self) -> Float32Array:
        """Errors (P,) of every other frame, in 8-bit steps; encoders of kind interpolation."""
        return self._cached(
            "standard", lambda: self._encoder.encode_interpolation(self.clip.frames)
        )

    def judged(self) -> Float32Array:
        """Score (D,) of each dimension of a learned judge, in its order; kind judge. The raw answer
        is kept.

        Raises:
            EvalError: an answer without usable scores; the message holds its beginning.
        """
        unknown, sample = self.sample.unknown, self.sample

        def ask() -> Float32Array:
            found = self._encoder.encode_judged(
                self.clip.frames,
                self.clip.fps,
                None if "image" in unknown else sample.image,
                None if "prompt" in unknown else sample.prompt,
            )
            answer = {
                "judge": self._encoder.id.partition(":")[2],
                "sample": sample.id,
                "clip": self.clip.fingerprint,
                "scores": found.scores,
                "raw": found.raw,
                "fault": found.fault,
            }
            content = f"{self.clip.fingerprint}|{sample.fingerprint}"
            encoder = (self._encoder.id, self._encoder.fingerprint)
            self._memory.cache.keep_answer(encoder, content, answer)
            if found.fault:
                raise EvalError(f"{found.fault}; the judge said: {found.raw[:SHOWN]!r}")
            return np.array(found.scores, dtype=np.float32)

        return self._cached(f"judged with {sample.fingerprint} {sorted(unknown)}", ask)

    @property
    def known_styles(self) -> Sequence[str]:
        """Every style that an encoder of kind style can name."""
        return list(self._encoder.styles)

    def styles(self) -> list[str]:
        """The most probable style of each frame; encoders of kind style."""
        scores = self._cached("standard", lambda: self._encoder.encode_styles(self.clip.frames))
        return [self._encoder.styles[index] for index in scores.argmax(axis=1)]

    def flow(self, direction: Literal["forward", "backward"] = "forward") -> Float32Array:
        """Flow (P, H, W, 2) in px between neighbours among the frames of this view; encoders of
        kind flow.

        Raises:
            EvalError: fewer than two such frames.
        """
        return self._flows.flow(direction)

    def over_pairs(self, step: PairStep) -> list[Any]:
        """What a step's function gives for each pair of neighbours among the frames of this view;
        encoders of kind flow.

        Raises:
            EvalError: fewer than two such frames.
        """
        return self._flows.over_pairs(step)

    def tracks(self, points: Float32Array) -> Float32Array:
        """Where points (N, 2) of frame 0, (x, y) in px, are in each frame of this view, (F, N, 2);
        encoders of kind tracks.

        Raises:
            EvalError: tracks of another shape, or that are not finite.
        """
        frames = as_view(self._view, self.clip.frames)

        def make() -> Float32Array:
            tracks = np.asarray(self._encoder.encode_tracks(frames, points), dtype=np.float32)
            wanted = (len(frames), len(points), 2)
            if tracks.shape != wanted or not np.isfinite(tracks).all():
                raise EvalError(
                    f"tracks must be finite and have shape {wanted}; the encoder gives "
                    f"{tracks.shape}"
                )
            return tracks

        return self._cached(tracks_view(self._view, points), make)

    def known_prompt(self) -> str:
        """The sample's prompt as text.

        Raises:
            EvalError: it is not known.
        """
        self._check_known("prompt")
        return self.sample.prompt

    def known_image(self) -> UInt8Array:
        """The input image, uint8 (H, W, 3).

        Raises:
            EvalError: it is not known.
        """
        self._check_known("image")
        return self.sample.image

    def squashed_frame(self) -> UInt8Array:
        """Frame 0 at the input image's size, uint8 (h, w, 3), as AIGCBench brings it there.

        Raises:
            EvalError: the image is not known.
        """
        height, width = self.known_image().shape[:2]
        return stretched(self.clip.frames[0], height, width)

    def resized(self, height: int, width: int, places: Sequence[int] | None = None) -> UInt8Array:
        """The frames at these places, or all, at another size, uint8 (F, height, width, 3), by
        OpenCV's bilinear filter, whatever the aspect ratio.
        """
        frames = self.clip.frames
        chosen = range(len(frames)) if places is None else places
        return np.stack([stretched(frames[place], height, width) for place in chosen])

    def encoded(self, frames: UInt8Array) -> Float32Array:
        """Features (N, D) of other frames, uint8 (N, H, W, 3), as this view shows them; encoders of
        kind image and image-text.
        """
        named = f"{self._view}, frames {frames.shape} {content_of(frames).hex()}"
        return self._cached(named, lambda: self.encode(frames))

    def true_clip(self) -> Clip:
        """The sample's true clip.

        Raises:
            EvalError: it is not known.
        """
        if self.sample.clip is None:
            raise EvalError("the sample's true clip is not known; the metric needs it")
        return self.sample.clip

    def true_distances(self) -> Float32Array:
        """Distances (F,) of the frames from the true clip's; encoders of kind perceptual.

        Raises:
            EvalError: the true clip is not known, or has another shape.
        """
        true, shown = self.true_clip(), self.clip.frames
        if true.frames.shape != shown.shape:
            raise EvalError(
                f"the clip {shown.shape} and the true clip {true.frames.shape} must have equal "
                "lengths and sizes"
            )

        def make() -> Float32Array:
            pairs = zip(true.frames, shown, strict=True)
            return np.concatenate(
                [self._encoder.encode_distances(one, other[None]) for one, other in pairs]
            )

        return self._cached(f"to true clip {true.fingerprint}", make)

    def fitted_image(self) -> Float64Array:
        """The input image in [0, 1] at the clip's size, float64 (H, W, 3); see
        `eval.measure.fitted.fitted`.

        Raises:
            EvalError: it is not known.
        """
        self._check_known("image")
        return fitted(self.sample.image, *self.clip.frames.shape[1:3])

    def values(self) -> Float64Array:
        """The frames in [0, 1], float64 (F, H, W, 3), at the size of this view."""
        frames = as_view(self._view, self.clip.frames)
        return frames.astype(np.float64) / (255.0 if frames.dtype == np.uint8 else 1.0)

    def _check_known(self, what: str) -> None:
        if what in self.sample.unknown:
            raise EvalError(f"the sample's {what} is not known; the metric needs it")

    def _cached(self, view: str, make: Callable[[], Float32Array]) -> Float32Array:
        encoder = (self._encoder.id, self._encoder.fingerprint)
        return self._memory.cache.get(encoder, self.clip.fingerprint, view, make)

    def known(self) -> bool:
        """Whether the features of the frames are stored already."""
        encoder = (self._encoder.id, self._encoder.fingerprint)
        return self._memory.cache.known(encoder, self.clip.fingerprint, self._view)

    def _image(self) -> Float32Array:
        if self._view == "standard":  # encoders of one's own may know no views
            return np.asarray(self._encoder.encode_frames(self.sample.image[None]))[0]
        return np.asarray(self._encoder.encode_image(self.sample.image, view=self._view))

    def encode(self, frames: UInt8Array) -> Float32Array:
        """uint8 (N, H, W, 3) -> (N, D), as this view shows frames to the encoder."""
        if self._view == "standard":
            return np.asarray(self._encoder.encode_frames(frames))
        return np.asarray(self._encoder.encode_frames(frames, view=self._view))

    def _frames(self) -> Float32Array:
        """Equal frames are encoded once; encoders of kind image take frames equal to the input
        image from it, so that the two have a cosine of exactly 1. VBench treats the image
        otherwise than the frames, so not in its views."""
        known: dict[bytes, Float32Array] = {}
        contents = self._memory.contents_of(self.clip)
        image = content_of(self.sample.image)
        if self._memory.ready:
            found = [self._memory.ready.get((self._view, content)) for content in contents]
            known |= {
                content: feature
                for content, feature in zip(contents, found, strict=True)
                if feature is not None
            }
        same_shape = self.sample.image.shape == self.clip.frames.shape[1:]
        alike = self._encoder.kind == "image" and self._view in ("standard", "uncropped")
        known_image = "image" not in self.sample.unknown
        if alike and known_image and same_shape and image in contents:
            known[image] = self.image()
        new = [
            i
            for i, content in enumerate(contents)
            if content not in known and content not in contents[:i]
        ]
        if new:
            for index, vector in zip(new, self.encode(self.clip.frames[new]), strict=True):
                known[contents[index]] = vector
        return np.stack([known[content] for content in contents])
