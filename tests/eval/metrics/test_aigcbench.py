"""AIGCBench's measures of frame 0 against scikit-image, which its own script calls."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.metrics import mean_squared_error, structural_similarity

from eval.clips.lossless import Clip
from eval.measure.catalogue import parse_metric
from eval.measure.evaluator import Evaluator
from eval.samples import Sample


@pytest.mark.parametrize("size", [(24, 20), (40, 56), (9, 31)])
def test_frame_0_is_brought_to_the_image(size: tuple[int, int]) -> None:
    generator = np.random.default_rng(4)
    image = generator.integers(0, 256, (*size, 3), dtype=np.uint8)
    frames = generator.integers(0, 256, (3, 24, 20, 3), dtype=np.uint8)
    frame = cv2.resize(frames[0], size[::-1])
    metrics = [parse_metric(f"aigcbench.{name}_first.pixels.v1") for name in ("mse", "ssim")]
    sample = Sample("a", image, "a thing")
    [values] = Evaluator(metrics).measure([sample], [Clip(frames, 8.0)])
    assert list(values.values()) == pytest.approx(
        [mean_squared_error(image, frame), structural_similarity(image, frame, channel_axis=-1)],
        rel=1e-9,
    )
