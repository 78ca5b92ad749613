"""The evaluator: clips in, values out. It loads each encoder once and looks at each clip once per
encoder and view.

A clip is always encoded by itself, and the input image and the prompt once per sample, so a value
depends on the clip and its sample alone: not on the batch, its order, or what was measured before.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from eval import device as devices
from eval.clips.lossless import Clip
from eval.encoders import encoder_entry, encoder_fingerprint, load_encoder
from eval.encoders.batching import together
from eval.errors import EvalError
from eval.io.arrays import Float32Array, UInt8Array
from eval.io.files import Files
from eval.measure.catalogue import applies, registered
from eval.measure.feature_cache import FeatureCache
from eval.measure.kept_features import Memory
from eval.measure.look import Look
from eval.metrics import Metric
from eval.metrics.definitions import Features
from eval.metrics.views import View
from eval.samples import Sample


class EvaluatorLike(Protocol):
    """What a run needs of :class:`Evaluator`."""

    def fingerprints(self) -> Mapping[str, str]: ...
    def measure(
        self, samples: Sequence[Sample], clips: Sequence[Clip]
    ) -> Sequence[Mapping[str, float]]: ...
    def video_features(self, clips: Sequence[Clip], encoder_id: str) -> Float32Array: ...
    def flags(self, sample: Sample) -> Sequence[str]: ...


class Evaluator:
    """Measures clips with a fixed list of metrics.

    Args:
        metrics: what to measure; metrics of a set only add their encoder (see `video_features`).
        device: torch device that networks run on, or ``auto``; see `eval.device.resolve`.
        dtype: what networks that can do so compute in (`eval.encoders.DTYPES`); the others keep
            to float32.
        cache: of what encoders see in clips; one in memory if None. Its `passes` count what was
            looked at.
    """

    def __init__(
        self,
        metrics: list[Metric],
        *,
        device: str = "cpu",
        dtype: str = "float32",
        cache: FeatureCache | None = None,
    ) -> None:
        self.metrics = list(metrics)
        self.cache = cache or FeatureCache()
        self._wanted, self._resolved = device, ""
        self._dtype = dtype
        self._encoders: dict[str, Any] = {}
        self._memory = Memory(self.cache)

    def fingerprints(self) -> dict[str, str]:
        """Encoder id -> sha256 hex, for every encoder the metrics name. Loads no encoder.

        Raises:
            WeightsMissingError: an encoder's weights are not there.
        """
        ids = sorted({metric.encoder for metric in self.metrics})
        return {id: encoder_fingerprint(id, dtype=self._dtype_of(id)) for id in ids}

    def per_clip(self, sample: Sample, clip: Clip) -> dict[str, float]:
        """`measure` for one clip: metric id -> value."""
        return self.measure([sample], [clip])[0]

    def measure(self, samples: Sequence[Sample], clips: Sequence[Clip]) -> list[dict[str, float]]:
        """The values of all metrics of scope ``clip``.

        Args:
            samples: the sample each clip was made from; one sample may appear often.
            clips: as many clips, of any sizes and lengths.

        Returns:
            One mapping from metric id to a finite value per clip, in the order of the clips,
            without metrics that are not about the sample (`eval.measure.catalogue.applies`).

        Raises:
            EvalError: numbers that differ; or a clip that cannot be measured, with the sample
                and the encoder named.
            WeightsMissingError: an encoder's weights are not there.
        """
        if len(samples) != len(clips):
            raise EvalError(
                f"evaluator: {len(samples)} samples but {len(clips)} clips; give one sample per "
                "clip."
            )
        values: list[dict[str, float]] = [{} for _ in clips]
        per_clip = [metric for metric in self.metrics if metric.scope == "clip"]
        for encoder_id in dict.fromkeys(metric.encoder for metric in per_clip):
            wanted = [metric for metric in per_clip if metric.encoder == encoder_id]
            if self.device != "cpu":
                self._encode_together(wanted, samples, clips)
            for row, sample, clip in zip(values, samples, clips, strict=True):
                try:
                    about = [metric for metric in wanted if applies(metric, sample)]
                    row.update(self._values(about, sample, clip) if about else {})
                except EvalError as error:
                    error.args = (f"sample '{sample.id}', encoder {encoder_id!r}: {error}",)
                    raise
                finally:
                    self._memory.forget_clip()
            self._memory.ready.clear()
        self._memory.contents.clear()
        order = [metric.id for metric in per_clip]
        return [{id: row[id] for id in order if id in row} for row in values]

    def video_features(self, clips: Sequence[Clip], encoder_id: str) -> Float32Array:
        """Features of a set metric: float32 (N, D), one row per clip.

        Args:
            clips: one or more clips.
            encoder_id: id of an encoder of kind ``video``, or one whose set metrics say what is
                compared (`SetSteps.features`).

        Raises:
            EvalError: no clips, an encoder of another kind, or features that are not finite.
        """
        if not clips:
            raise EvalError(f"evaluator: no clips for encoder {encoder_id!r}.")
        encoder = self._encoder(encoder_id)
        steps = self._set_features(encoder_id)
        if steps:
            view, compared = steps
            features = np.stack([self._compared(encoder, view, compared, clip) for clip in clips])
        elif encoder.kind != "video":
            raise EvalError(
                f"evaluator: encoder {encoder_id!r} is of kind {encoder.kind!r}; set metrics need "
                "'video'."
            )
        elif self.device == "cpu":
            features = np.stack([self._clip_feature(encoder, clip) for clip in clips])
        else:
            features = self._clips_together(encoder, clips)
        self._memory.contents.clear()
        bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
        if len(bad):
            raise EvalError(
                f"evaluator: encoder {encoder_id!r} gives features that are not finite for clip "
                f"{bad[0]} of {len(clips)}."
            )
        return np.asarray(features, dtype=np.float32)

    def frames_read(self, encoder_id: str) -> int | None:
        """How many frames of a clip a video encoder reads; None if it was not needed so far."""
        return getattr(self._encoders.get(encoder_id), "frames", None)

    def flags(self, sample: Sample) -> list[str]:
        """Warnings on the sample's values: ``prompt_truncated`` if an encoder drops words of its
        prompt.
        """
        truncated = any(
            self._encoder(id).truncated(sample.prompt)
            for id in {
                metric.encoder for metric in self.metrics if metric.family in ("text", "text_min")
            }
        )
        return ["prompt_truncated"] if truncated else []

    def _encoder(self, id: str) -> Any:
        if id not in self._encoders:
            if self.device != "cpu":
                devices.holds("encoders", self.release)
            devices.check_dtype(self.device, self._dtype)
            self._encoders[id] = load_encoder(id, device=self.device, dtype=self._dtype_of(id))
        return self._encoders[id]

    @property
    def device(self) -> str:
        """The torch device of the networks. Raises EvalError if it is not there."""
        self._resolved = self._resolved or devices.resolve(self._wanted)
        return self._resolved

    def release(self) -> bool:
        """Lets the networks go; they are loaded again when they are needed. Returns whether there
        were any.
        """
        found = bool(self._encoders)
        self._encoders.clear()
        return found

    def _dtype_of(self, id: str) -> str:
        return self._dtype if len(encoder_entry(id).dtypes) > 1 else "float32"

    def _clip_feature(self, encoder: Any, clip: Clip) -> Float32Array:
        named = (encoder.id, encoder.fingerprint)
        return self.cache.get(
            named, clip.fingerprint, "standard", lambda: encoder.encode_clips(clip.frames[None])[0]
        )

    def _set_features(self, encoder_id: str) -> tuple[View, Callable[[Features], Any]] | None:
        """The view and the step that make what set metrics of an encoder compare; None: its own
        vectors."""
        for metric in self.metrics:
            if metric.scope == "set" and metric.encoder == encoder_id:
                step = registered(metric).steps.features
                return (metric.view, step) if step else None
        return None

    def _compared(
        self, encoder: Any, view: View, step: Callable[[Features], Any], clip: Clip
    ) -> Float32Array:
        nothing = Sample("clip", clip.frames[0], "", unknown=("image", "prompt"))
        look = Look(encoder, view, nothing, clip, self._memory)
        return np.asarray(step(look), dtype=np.float32)

    def _encode_together(
        self, metrics: Sequence[Metric], samples: Sequence[Sample], clips: Sequence[Clip]
    ) -> None:
        """Frames of all clips through an encoder of kind image or image-text in full batches, so
        that a GPU is busy; the looks then find them.
        """
        encoder = self._encoder(metrics[0].encoder)
        if encoder.kind not in ("image", "image-text"):
            return
        for view in dict.fromkeys(metric.view for metric in metrics):
            looks = [
                Look(encoder, view, sample, clip, self._memory)
                for sample, clip in zip(samples, clips, strict=True)
            ]
            new: dict[bytes, UInt8Array] = {}
            for look in looks:
                if not look.known():
                    for content, frame in zip(
                        self._memory.contents_of(look.clip), look.clip.frames, strict=True
                    ):
                        new.setdefault(content, frame)
            features = together(list(new.values()), looks[0].encode) if new else []
            for content, feature in zip(new, features, strict=True):
                self._memory.ready[view, content] = feature

    def _clips_together(self, encoder: Any, clips: Sequence[Clip]) -> Float32Array:
        named, view = (encoder.id, encoder.fingerprint), "standard"
        new = [clip for clip in clips if not self.cache.known(named, clip.fingerprint, view)]
        made = together([clip.frames for clip in new], encoder.encode_clips) if new else []
        features = {clip.fingerprint: row for clip, row in zip(new, made, strict=True)}

        def feature(clip: Clip) -> Float32Array:
            made = features.get(clip.fingerprint)
            return encoder.encode_clips(clip.frames[None])[0] if made is None else made

        return np.stack(
            [
                self.cache.get(named, clip.fingerprint, view, partial(feature, clip))
                for clip in clips
            ]
        )

    def _values(self, metrics: Sequence[Metric], sample: Sample, clip: Clip) -> dict[str, float]:
        """Metric id -> value, for metrics of one encoder; a formula that several of them share is
        evaluated once.
        """
        encoder = self._encoder(metrics[0].encoder)
        self._memory.announced.clear()
        for metric in metrics:
            if step := registered(metric).pairs:
                self._memory.announced.setdefault(metric.view, set()).add(step)
        results: dict[Any, Any] = {}
        values: dict[str, float] = {}
        for metric in metrics:
            found = registered(metric)
            if (found.formula, metric.view) not in results:
                look = Look(encoder, metric.view, sample, clip, self._memory)
                results[found.formula, metric.view] = found.formula(look)
            values[metric.id] = found.value(results[found.formula, metric.view])
        return values


def default_evaluator(
    metrics: list[Metric], folder: Path, *, device: str = "auto", dtype: str = "float32"
) -> EvaluatorLike:
    """An evaluator that keeps frame features where clips and features go."""
    return Evaluator(metrics, device=device, dtype=dtype, cache=FeatureCache(Files(folder).frames))
