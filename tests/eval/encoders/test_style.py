"""The style classifier reads true frames of both styles rightly, whatever the batch."""

from __future__ import annotations

import numpy as np
import pytest

from eval.encoders import load_encoder
from eval.errors import EvalError
from eval.world.scenes import render_frame, sample_scene
from eval.world.styles import STYLES


@pytest.fixture(scope="module")
def classifier():
    return load_encoder("style_glyph")


def test_true_frames_are_named_rightly(classifier):
    assert classifier.styles == list(STYLES)
    rng = np.random.default_rng(77)
    labels = np.arange(60) % 2
    draws = list(STYLES.values())
    frames = np.stack(
        [render_frame(sample_scene(rng), int(rng.integers(8)), draws[label])[0] for label in labels]
    )
    logits = classifier.encode_styles(frames)
    assert (logits.argmax(axis=1) == labels).mean() >= 0.95
    singly = np.concatenate([classifier.encode_styles(frame[None]) for frame in frames[:5]])
    assert singly == pytest.approx(logits[:5], abs=1e-4)


def test_frames_of_another_kind_are_refused(classifier):
    with pytest.raises(EvalError, match="uint8"):
        classifier.encode_styles(np.zeros((2, 64, 64, 3), np.float32))
