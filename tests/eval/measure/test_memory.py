"""Memory that measuring takes does not grow with a clip's length beyond the frames themselves."""

import tracemalloc
from typing import Any

import numpy as np
import pytest

from eval.clips.lossless import Clip
from eval.measure import pair_pass
from eval.measure.catalogue import catalogue
from eval.measure.evaluator import Evaluator
from eval.samples import Sample


class Still:
    """No motion, at no cost; flow of the size that flow has."""

    kind, fingerprint = "flow", "still"

    def __init__(self, id: str) -> None:
        self.id = id

    def encode_pairs(self, first: Any, second: Any) -> Any:
        return np.zeros((*first.shape[:3], 2), np.float32)


def peak(encoder: str, frames: int) -> int:
    """Bytes that the metrics of an encoder take at once, beside the clip and its true clip."""
    metrics = [m for m in catalogue() if m.encoder == encoder and m.scope == "clip" and not m.truth]
    evaluator = Evaluator(metrics)
    if encoder.startswith("flow"):
        evaluator._encoders[encoder] = Still(encoder)
    shown = np.random.default_rng(0).integers(0, 256, (frames, 48, 64, 3), dtype=np.uint8)
    clip = Clip(shown, 8.0)
    sample = Sample("s", shown[0], "a prompt", clip=Clip(shown[::-1].copy(), 8.0))
    tracemalloc.start()
    try:
        values = evaluator.per_clip(sample, clip)
        assert len(values) > 5
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoder", ["pixels", "flow_dis"])
def test_a_clip_four_times_as_long_takes_no_more_memory(
    encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Less than a byte for each pixel and channel that is added: no copy of the clip."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(pair_pass, "HELD", 1)
    monkeypatch.setattr(pair_pass, "KEPT", 1)
    peak(encoder, 12)  # what is loaded once
    short, long = peak(encoder, 40), peak(encoder, 160)
    assert long - short < 0.25 * 120 * 48 * 64 * 3, (short, long)
