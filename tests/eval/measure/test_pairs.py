"""Flow metrics over pairs: a few pairs in memory, each flow encoded once, and values equal to those
of the whole clip at once.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.clips.lossless import Clip
from eval.encoders.flow import DisFlowEncoder
from eval.encoders.flow_fast import FastDisFlowEncoder
from eval.measure import pair_pass as passes
from eval.measure.catalogue import catalogue, parse_metric
from eval.measure.evaluator import Evaluator
from eval.metrics import Metric
from eval.metrics.warping import read_at, visible_pixels
from eval.samples import Sample

FRAMES = np.random.default_rng(3).integers(0, 256, (12, 26, 35, 3), dtype=np.uint8)


class Wave:
    """Flow that is a function of both frames, cheap to compute, with a backward flow of its own."""

    id, kind, fingerprint = "flow_dis", "flow", "wave"

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def encode_pairs(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        self.lengths.append(len(first))
        one, two = (
            np.asarray(frames, np.float32)[..., :2].mean(axis=(1, 2)) for frames in (first, second)
        )
        rows = np.arange(first.shape[1], dtype=np.float32)[None, :, None, None]
        return np.broadcast_to(
            np.sin(rows + two[:, None, None]) * 2 - one[:, None, None] / 300,
            (*first.shape[:3], 2),
        ).astype(np.float32)


def measure(metrics: list[Metric], fps: float = 8.0) -> tuple[dict[str, float], Wave, Evaluator]:
    evaluator, wave = Evaluator(metrics), Wave()
    evaluator._encoders["flow_dis"] = wave
    sample, clip = Sample("s", FRAMES[0], "a prompt"), Clip(FRAMES, fps)
    return evaluator.per_clip(sample, clip), wave, evaluator


METRICS = [metric for metric in catalogue() if metric.encoder == "flow_dis" and not metric.truth]


def test_values_are_those_of_the_whole_clip_at_once() -> None:
    """The formulas written out once more on whole arrays, as the metrics' pages state them."""
    found, _, _ = measure(METRICS)
    there = Wave().encode_pairs(FRAMES[:-1], FRAMES[1:]).astype(float)
    back = Wave().encode_pairs(FRAMES[1:], FRAMES[:-1]).astype(float)
    length = np.hypot(there[..., 0], there[..., 1])
    top = int(0.05 * length[0].size)
    fastest = np.sort(length.reshape(len(length), -1), axis=1)[:, -top:]
    pixels = FRAMES / 255
    errors = [
        ((one - read_at(two, go)) ** 2).sum(-1)[visible_pixels(go, come)].mean()
        for one, two, go, come in zip(pixels[:-1], pixels[1:], there, back, strict=True)
        if visible_pixels(go, come).any()
    ]
    assert errors
    expected = {
        "motion": length.mean() / 26 * 8,
        "motion_top5": fastest.mean() / 26 * 8,
        "paper.flow_score": length.mean(),
        "smoothness": np.linalg.norm(there[1:] - there[:-1], axis=-1).mean() / 26 * 64,
        "warping": np.mean(errors),
        "vbench.dynamic_degree": float((fastest.mean(1) > 6 * 26 / 256).sum() >= 3),
    }
    for name, value in expected.items():
        assert found[f"{name}.flow_dis.v1"] == pytest.approx(value, rel=1e-12), name


def test_how_a_clip_is_cut_and_threads_change_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    whole, once, _ = measure(METRICS, fps=16.0)
    assert max(once.lengths) > 4
    monkeypatch.setattr(passes, "HELD", 1)
    monkeypatch.setattr(passes, "KEPT", 1)
    pieces, cut, _ = measure(METRICS, fps=16.0)
    assert max(cut.lengths) == 4
    assert pieces == whole
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    threaded, _, _ = measure(METRICS, fps=16.0)
    assert threaded == whole


@pytest.mark.parametrize("encoder", [DisFlowEncoder(), FastDisFlowEncoder()])
def test_threads_change_no_flow(encoder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    flows = []
    for count in ("1", "4"):
        monkeypatch.setenv("OMP_NUM_THREADS", count)
        flows.append(encoder.encode_pairs(FRAMES[:4], FRAMES[1:5]))
    np.testing.assert_array_equal(*flows)


def test_only_flows_that_a_metric_needs_are_computed() -> None:
    def flows(*ids: str) -> dict[str, int]:
        _, _, evaluator = measure([parse_metric(id) for id in ids])
        return {name: count for (_, name), count in evaluator.cache.passes.items()}

    forward = {"flow forward, full size, stride 1": 1}
    assert flows("motion.flow_dis.v1") == forward
    assert (
        flows("motion.flow_dis.v1", "motion_top5.flow_dis.v1", "smoothness.flow_dis.v1") == forward
    )
    assert flows("motion.flow_dis.v1", "warping.flow_dis.v1") == {
        **forward,
        "flow backward, full size, stride 1": 1,
    }


def test_the_fast_flow_finds_a_pan_of_a_large_picture(tmp_path: Path) -> None:
    import cv2

    coarse = np.random.default_rng(0).normal(size=(40, 60, 3)).astype(np.float32)
    picture = np.clip(
        cv2.resize(coarse, (700, 460), interpolation=cv2.INTER_CUBIC) * 50 + 120, 0, 255
    )
    picture = picture.astype(np.uint8)
    first, second = picture[20:404, 30:606], picture[14:398, 20:596]  # moves right 10, down 6
    flow = FastDisFlowEncoder("flow_dis_fast").encode_pairs(first[None], second[None])
    assert flow.shape == (1, 384, 576, 2)
    assert flow.dtype == np.float32
    np.testing.assert_allclose(np.median(flow, axis=(0, 1, 2)), (10, 6), atol=0.2)
    still = FastDisFlowEncoder().encode_pairs(first[None], first[None])
    assert not still.any()
    assert parse_metric("motion.flow_dis_fast.v1").encoder == "flow_dis_fast"


def test_an_encoders_own_number_of_pairs_decides_where_a_clip_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An encoder that takes 5 pairs together gets whole fives, in as many calls as it takes."""
    monkeypatch.setattr(passes, "HELD", 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    evaluator, wave = Evaluator(METRICS), Wave()
    wave.pairs_at_once = 5  # type: ignore[attr-defined]
    evaluator._encoders["flow_dis"] = wave
    found = evaluator.per_clip(Sample("s", FRAMES[0], "a prompt"), Clip(FRAMES, 8.0))
    assert {length for length in wave.lengths if length < len(FRAMES) - 1} == {5, 1}
    assert found == measure(METRICS)[0]
