"""The judge: clips in, values out. It loads each encoder once and looks at each clip once per encoder.

A clip is always encoded by itself, and the input image and the prompt once per sample, so a value depends on the clip
and its sample alone: not on the batch, its order, or what was judged before.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from eval.clip import Clip
from eval.encoders import encoder_fingerprint, load_encoder
from eval.errors import EvalError
from eval.metrics import Metric
from eval.metrics.identity import identity
from eval.metrics.motion import motion
from eval.metrics.text import text_alignment
from eval.samples import Sample

Float32Array = npt.NDArray[np.float32]
Key = TypeVar("Key")


class Judge:
    """Measures clips with a fixed list of metrics.

    Args:
        metrics: what to measure; metrics of a set only add their encoder (see `video_features`).
        device: torch device that networks run on.
    """

    def __init__(self, metrics: list[Metric], *, device: str = "cpu") -> None:
        self.metrics = list(metrics)
        self._device = device
        self._encoders: dict[str, Any] = {}
        self._images: dict[tuple[str, str], Float32Array] = {}
        self._texts: dict[tuple[str, str], Float32Array] = {}

    def fingerprints(self) -> dict[str, str]:
        """Encoder id -> sha256 hex, for every encoder the metrics name. Loads no encoder.

        Raises:
            WeightsMissingError: an encoder's weights are not there.
        """
        return {id: encoder_fingerprint(id) for id in sorted({metric.encoder for metric in self.metrics})}

    def per_clip(self, sample: Sample, clip: Clip) -> dict[str, float]:
        """`measure` for one clip: metric id -> value."""
        return self.measure([sample], [clip])[0]

    def measure(self, samples: Sequence[Sample], clips: Sequence[Clip]) -> list[dict[str, float]]:
        """The values of all metrics of scope ``clip``.

        Args:
            samples: the sample each clip was made from; one sample may appear often.
            clips: as many clips, of any sizes and lengths.

        Returns:
            One mapping from metric id to a finite value per clip, in the order of the clips.

        Raises:
            EvalError: numbers that differ; or a clip that cannot be measured, with the sample and the encoder named.
            WeightsMissingError: an encoder's weights are not there.
        """
        if len(samples) != len(clips):
            raise EvalError(f"judge: {len(samples)} samples but {len(clips)} clips; give one sample per clip.")
        values: list[dict[str, float]] = [{} for _ in clips]
        per_clip = [metric for metric in self.metrics if metric.scope == "clip"]
        for encoder_id in dict.fromkeys(metric.encoder for metric in per_clip):
            wanted = {metric.family: metric.id for metric in per_clip if metric.encoder == encoder_id}
            for row, sample, clip in zip(values, samples, clips, strict=True):
                try:
                    measured = self._values(encoder_id, sample, clip)
                except EvalError as error:
                    error.args = (f"sample '{sample.id}', encoder {encoder_id!r}: {error}",)
                    raise
                row.update({id: measured[family] for family, id in wanted.items()})
        return [{metric.id: row[metric.id] for metric in per_clip} for row in values]

    def video_features(self, clips: Sequence[Clip], encoder_id: str) -> Float32Array:
        """Features of a set metric: float32 (N, D), one row per clip.

        Args:
            clips: one or more clips.
            encoder_id: id of an encoder of kind ``video``.

        Raises:
            EvalError: no clips, an encoder of another kind, or features that are not finite.
        """
        if not clips:
            raise EvalError(f"judge: no clips for encoder {encoder_id!r}.")
        encoder = self._encoder(encoder_id)
        if encoder.kind != "video":
            raise EvalError(f"judge: encoder {encoder_id!r} is of kind {encoder.kind!r}; set metrics need 'video'.")
        features = np.concatenate([encoder.encode_clips(clip.frames[None]) for clip in clips])
        bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
        if len(bad):
            raise EvalError(
                f"judge: encoder {encoder_id!r} gives features that are not finite for clip {bad[0]} of {len(clips)}."
            )
        return np.asarray(features, dtype=np.float32)

    def flags(self, sample: Sample) -> list[str]:
        """Warnings on the sample's values: ``prompt_truncated`` if an encoder drops words of its prompt."""
        truncated = any(
            self._encoder(id).truncated(sample.prompt)
            for id in {metric.encoder for metric in self.metrics if metric.family in ("text", "text_min")}
        )
        return ["prompt_truncated"] if truncated else []

    def _encoder(self, id: str) -> Any:
        if id not in self._encoders:
            self._encoders[id] = load_encoder(id, device=self._device)
        return self._encoders[id]

    def _values(self, encoder_id: str, sample: Sample, clip: Clip) -> dict[str, float]:
        encoder = self._encoder(encoder_id)
        if encoder.kind == "flow":
            if len(clip.frames) < 2:
                raise EvalError("the clip has 1 frame; motion needs 2 or more")
            return motion(encoder.encode_pairs(clip.frames[:-1], clip.frames[1:]), clip.fps)
        image = sample.image
        key = (encoder_id, sample.fingerprint)
        if encoder.kind == "image":
            reference = _remember(self._images, key, lambda: encoder.encode_frames(image[None])[0])
            return identity(reference, self._frame_features(encoder, image, reference, clip.frames))
        prompt = _remember(self._texts, (encoder_id, sample.prompt), lambda: encoder.encode_text([sample.prompt])[0])
        return text_alignment(prompt, self._frame_features(encoder, None, None, clip.frames))

    @staticmethod
    def _frame_features(
        encoder: Any,
        image: npt.NDArray[np.uint8] | None,
        image_feature: Float32Array | None,
        frames: npt.NDArray[np.uint8],
    ) -> Float32Array:
        """Features (F, D) of the frames; equal frames, and frames equal to the input image, are encoded once."""
        known: dict[bytes, Float32Array] = {}
        if image is not None and image_feature is not None and image.shape == frames.shape[1:]:
            known[np.ascontiguousarray(image).tobytes()] = image_feature
        contents = [np.ascontiguousarray(frame).tobytes() for frame in frames]
        new = [
            index for index, content in enumerate(contents) if content not in known and content not in contents[:index]
        ]
        if new:
            for index, feature in zip(new, encoder.encode_frames(frames[new]), strict=True):
                known[contents[index]] = feature
        return np.stack([known[content] for content in contents])


def _remember(store: dict[Key, Float32Array], key: Key, make: Callable[[], Float32Array]) -> Float32Array:
    if key not in store:
        store[key] = make()
    return store[key]
