"""The evaluator: values equal the pure functions', and do not depend on batch, order or history."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from eval.clips.lossless import Clip
from eval.errors import EvalError
from eval.measure.catalogue import parse_metric
from eval.measure.evaluator import Evaluator
from eval.metrics.identity import identity
from eval.metrics.motion import motion
from eval.metrics.text import text_alignment
from eval.samples import Sample

METRICS = [
    parse_metric(id)
    for id in (
        "identity.dino_glyph.v1",
        "text.clip_glyph.v1",
        "identity_min.dino_glyph.v1",
        "motion.flow_dis.v1",
        "motion_top5.flow_dis.v1",
        "fvd.videomae_glyph.v1",
    )
]


class _Encoder:
    """An encoder whose features are plain arithmetic on pixels, and which counts what it is
    shown."""

    def __init__(self, id: str, kind: str) -> None:
        self.id, self.kind, self.seen, self.fingerprint = (
            id,
            kind,
            Counter[str](),
            f"weights of {id}",
        )

    def encode_frames(self, frames: np.ndarray) -> np.ndarray:
        self.seen["frames"] += len(frames)
        return frames.mean(axis=1).reshape(len(frames), -1).astype(np.float32) + 1

    def encode_text(self, prompts: Sequence[str]) -> np.ndarray:
        self.seen["prompts"] += len(prompts)
        return np.stack(
            [
                np.full(24, len(prompt), np.float32) + np.arange(24, dtype=np.float32)
                for prompt in prompts
            ]
        )

    def truncated(self, prompt: str) -> bool:
        return len(prompt) > 20

    def encode_pairs(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        self.seen["pairs"] += len(first)
        return np.stack([second, first], axis=-1)[..., 0, :].astype(np.float32)

    def encode_clips(self, clips: np.ndarray) -> np.ndarray:
        self.seen["clips"] += len(clips)
        return clips.mean(axis=(2, 3)).reshape(len(clips), -1).astype(np.float32)


@pytest.fixture
def encoders(monkeypatch: pytest.MonkeyPatch) -> dict[str, _Encoder]:
    kinds = {
        "dino_glyph": "image",
        "clip_glyph": "image-text",
        "flow_dis": "flow",
        "videomae_glyph": "video",
    }
    made: dict[str, _Encoder] = {}

    def load(id: str, *, device: str = "cpu", dtype: str = "float32") -> _Encoder:
        assert id not in made, "an encoder is loaded once"
        made[id] = _Encoder(id, kinds[id])
        return made[id]

    monkeypatch.setattr("eval.measure.evaluator.load_encoder", load)
    return made


def _case(seed: int) -> tuple[Sample, Clip]:
    generator = np.random.default_rng(seed)
    image = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    clip = Clip(generator.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8), 8.0)
    return Sample(f"s{seed}", image, f"prompt {seed}"), clip


def test_values_are_those_of_the_pure_functions(encoders: dict[str, _Encoder]) -> None:
    sample, clip = _case(0)
    values = Evaluator(METRICS).per_clip(sample, clip)
    plain = _Encoder("plain", "image")
    features = plain.encode_frames(clip.frames)
    expected = identity(plain.encode_frames(sample.image[None])[0], features)
    assert list(values) == [metric.id for metric in METRICS if metric.scope == "clip"]
    assert values["identity.dino_glyph.v1"] == pytest.approx(expected["identity"], rel=1e-12)
    assert values["identity_min.dino_glyph.v1"] == pytest.approx(
        expected["identity_min"], rel=1e-12
    )
    text = text_alignment(plain.encode_text([sample.prompt])[0], features)["text"]
    assert values["text.clip_glyph.v1"] == pytest.approx(text, rel=1e-12)
    moved = motion(plain.encode_pairs(clip.frames[:-1], clip.frames[1:]), 8.0)
    assert values["motion.flow_dis.v1"] == moved["motion"]
    assert values["motion_top5.flow_dis.v1"] == moved["motion_top5"]


def test_a_still_clip_is_identical_and_encoded_once(encoders: dict[str, _Encoder]) -> None:
    sample, _ = _case(0)
    evaluator = Evaluator([parse_metric("identity.dino_glyph.v1")])
    still = Clip(np.stack([sample.image] * 8), 8.0)
    assert evaluator.per_clip(sample, still) == {"identity.dino_glyph.v1": 1.0}
    assert encoders["dino_glyph"].seen["frames"] == 1


def test_each_clip_is_seen_once_and_each_sample_once(encoders: dict[str, _Encoder]) -> None:
    (first, clip), (second, other) = _case(0), _case(1)
    evaluator = Evaluator(METRICS)
    evaluator.measure([first, second, first], [clip, other, other])
    evaluator.measure([first], [clip])
    assert encoders["dino_glyph"].seen == {"frames": 2 + 2 * 4}  # two images, two different clips
    assert encoders["clip_glyph"].seen == {"frames": 2 * 4, "prompts": 2}
    assert encoders["flow_dis"].seen == {"pairs": 4 * 3}  # flow is too large to keep
    passes = {id: count for (id, _), count in evaluator.cache.passes.items()}
    assert passes == {"dino_glyph": 2, "clip_glyph": 2, "flow_dis": 4}
    assert "videomae_glyph" not in encoders


def test_neither_batch_nor_order_nor_history_changes_a_value(
    encoders: dict[str, _Encoder], monkeypatch: Any
) -> None:
    samples, clips = map(list, zip(*(_case(seed) for seed in range(3)), strict=True))
    evaluator = Evaluator(METRICS)
    together = evaluator.measure(samples, clips)
    assert evaluator.measure(samples[::-1], clips[::-1])[::-1] == together
    encoders.clear()
    assert [
        Evaluator.per_clip(evaluator, sample, clip)
        for sample, clip in zip(samples, clips, strict=True)
    ] == together


def test_video_features_are_rows_of_single_clips(encoders: dict[str, _Encoder]) -> None:
    clips = [_case(seed)[1] for seed in range(3)]
    features = Evaluator(METRICS).video_features(clips, "videomae_glyph")
    assert features.shape == (3, 12)
    assert features.dtype == np.float32
    np.testing.assert_array_equal(
        features[1], clips[1].frames.mean(axis=(1, 2)).ravel().astype(np.float32)
    )


def test_how_many_frames_a_video_encoder_reads() -> None:
    evaluator = Evaluator(METRICS)
    assert evaluator.frames_read("videomae_glyph") is None  # not needed so far
    clip = Clip(np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3), dtype=np.uint8), 8.0)
    features = evaluator.video_features([clip], "videomae_glyph")
    assert evaluator.frames_read("videomae_glyph") == 8
    first = evaluator.video_features([Clip(clip.frames[:8], 8.0)], "videomae_glyph")
    np.testing.assert_array_equal(features, first)


def test_flags_tell_of_dropped_words(encoders: dict[str, _Encoder]) -> None:
    sample, _ = _case(0)
    long = Sample("long", sample.image, "a prompt that is too long")
    assert Evaluator(METRICS).flags(sample) == []
    encoders.clear()
    assert Evaluator(METRICS).flags(long) == ["prompt_truncated"]
    assert Evaluator([parse_metric("motion.flow_dis.v1")]).flags(long) == []


def test_errors_name_the_sample(
    encoders: dict[str, _Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    sample, clip = _case(0)
    single = Clip(clip.frames[:1], 8.0)
    for id, message in (
        ("identity.dino_glyph.v1", "1 frame; 2 or more"),
        ("motion.flow_dis.v1", "1 frame"),
    ):
        encoders.clear()
        with pytest.raises(EvalError, match=f"sample 's0', encoder '.*': .*{message}"):
            Evaluator([parse_metric(id)]).per_clip(sample, single)
    evaluator = Evaluator(METRICS)
    monkeypatch.setattr(
        _Encoder, "encode_clips", lambda self, clips: np.full((len(clips), 2), np.nan)
    )
    with pytest.raises(EvalError, match="not finite"):
        evaluator.video_features([clip], "videomae_glyph")
    with pytest.raises(EvalError, match="2 samples but 1 clips"):
        evaluator.measure([sample, sample], [clip])
    with pytest.raises(EvalError, match="no clips"):
        evaluator.video_features([], "videomae_glyph")
    encoders.clear()
    with pytest.raises(EvalError, match="is of kind 'image'"):
        evaluator.video_features([clip], "dino_glyph")
