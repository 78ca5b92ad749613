"""Encoders on a GPU: batches of one size, and float32 that is float32; driven here on the CPU."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from eval.clips.lossless import Clip
from eval.device import to_device
from eval.encoders.batching import on_gpu, together
from eval.errors import EvalError
from eval.measure.evaluator import Evaluator
from eval.measure.selection import metrics_of
from eval.samples import Sample

RNG = np.random.default_rng(0)


class Counting:
    """Means and differences, with the sizes of the batches and TF32 as it was asked for them."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, bool]] = []

    def _note(self, rows: int) -> None:
        matmul, convolution = torch.backends.cuda.matmul, torch.backends.cudnn.conv
        exact = (matmul.fp32_precision, convolution.fp32_precision) == ("ieee", "ieee")
        self.seen.append((rows, not exact))

    def encode_frames(self, frames: np.ndarray, *, view: str = "standard") -> np.ndarray:
        self._note(len(frames))
        return frames.reshape(len(frames), -1).mean(axis=1, keepdims=True)

    def encode_pairs(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        self._note(len(first))
        return first.astype(float) - second

    def encode_distances(self, image: np.ndarray, frames: np.ndarray) -> np.ndarray:
        self._note(len(frames))
        return np.abs(frames.astype(float) - image).mean(axis=(1, 2, 3))

    def encode_text(self, prompts: list[str]) -> np.ndarray:
        self._note(len(prompts))
        return np.array([[len(prompt)] for prompt in prompts])


@pytest.mark.parametrize("rows", [1, 3, 4, 9])
def test_every_batch_has_the_same_size_and_the_results_are_the_encoders_own(rows):
    frames = RNG.integers(0, 256, (rows, 4, 4, 3), dtype=np.uint8)
    others = RNG.integers(0, 256, (rows, 4, 4, 3), dtype=np.uint8)
    plain, counting = Counting(), Counting()
    padded = on_gpu(counting, 4)
    cases = [
        ("encode_frames", (frames,)),
        ("encode_pairs", (frames, others)),
        ("encode_distances", (others[0], frames)),
        ("encode_text", (["word"] * rows,)),
    ]
    for name, arguments in cases:
        found = getattr(padded, name)(*arguments)
        assert np.array_equal(found, getattr(plain, name)(*arguments)), name
    assert {size for size, _ in counting.seen} == {4}
    assert padded.encode_frames(frames, view="uncropped").shape == (rows, 1)


def test_tf32_is_off_while_an_encoder_works_and_as_before_afterwards():
    settings = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)
    before = [setting.fp32_precision for setting in settings]
    try:
        for setting in settings:
            setting.fp32_precision = "tf32"
        counting = Counting()
        on_gpu(counting, 2).encode_frames(np.zeros((3, 2, 2, 3), np.uint8))
        assert counting.seen == [(2, False), (2, False)]
        assert [setting.fp32_precision for setting in settings] == ["tf32", "tf32"]
    finally:
        for setting, precision in zip(settings, before, strict=True):
            setting.fp32_precision = precision


def test_frames_of_one_shape_go_together_and_come_back_in_order():
    calls: list[tuple[int, ...]] = []

    def encode(frames: np.ndarray) -> np.ndarray:
        calls.append(frames.shape)
        return frames.reshape(len(frames), -1).mean(axis=1, keepdims=True)

    frames = [np.full((size, size, 3), value) for value, size in enumerate((2, 3, 2, 2))]
    assert [float(row[0]) for row in together(frames, encode)] == [0, 1, 2, 3]
    assert calls == [(3, 2, 2, 3), (1, 3, 3, 3)]


def test_clips_judged_together_as_on_a_gpu_have_the_values_of_clips_judged_alone():
    every = metrics_of(["dino_glyph", "clip_glyph"])
    metrics = [m for m in every if m.scope == "clip" and "clip" not in m.needs]
    samples, clips = [], []
    for name in ("a", "b", "c"):
        image = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        samples.append(Sample(name, image, f"prompt {name}"))
        later = RNG.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
        clips.append(Clip(np.concatenate([image[None], later]), 8.0))

    def evaluator(device: str) -> Evaluator:
        found = Evaluator(metrics)
        found._resolved = device  # "cpu:0" is the CPU, and takes the way of a GPU
        return found

    on_cpu = evaluator("cpu").measure(samples, clips)
    together_ = evaluator("cpu:0").measure(samples, clips)
    alone = evaluator("cpu:0").measure(samples[1:2], clips[1:2])[0]
    assert together_[1] == pytest.approx(alone, abs=1e-6)
    for one, other in zip(on_cpu, together_, strict=True):
        assert other == pytest.approx(one, abs=1e-3)  # text is 100 x cosine


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_cpu_and_gpu_agree_to_1e_4_of_each_metrics_range():
    every = metrics_of(["dino_glyph", "clip_glyph"])
    metrics = [m for m in every if m.scope == "clip" and "clip" not in m.needs]
    image = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    frames = RNG.integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)
    sample, clip = Sample("a", image, "a star"), Clip(frames, 8.0)
    cpu = Evaluator(metrics).measure([sample], [clip])[0]
    gpu = Evaluator(metrics, device="cuda").measure([sample], [clip])[0]
    for metric in metrics:
        size = 100 if metric.unit == "100 x cosine" else 1
        assert abs(cpu[metric.id] - gpu[metric.id]) <= 1e-4 * size, metric.id


def test_batches_that_are_begun_together_come_back_in_order_and_an_error_is_raised():
    class Uneven(Counting):
        def encode_frames(self, frames: np.ndarray, *, view: str = "standard") -> np.ndarray:
            if frames[0].max() == 200:
                raise EvalError("a frame that cannot be encoded")
            time.sleep(0.05 if len(self.seen) % 2 == 0 else 0.0)
            return super().encode_frames(frames, view=view)

    frames = np.stack([np.full((2, 2, 3), value, np.uint8) for value in range(11)])
    padded = on_gpu(Uneven(), 2)
    assert padded.encode_frames(frames)[:, 0].tolist() == list(range(11))
    frames[6:8] = 200
    with pytest.raises(EvalError, match="a frame that cannot be encoded"):
        padded.encode_frames(frames)
    assert padded.encode_frames(frames[:5])[:, 0].tolist() == [0, 1, 2, 3, 4]


def test_a_clips_values_are_the_same_bits_alone_and_wherever_it_stands_among_others():
    every = metrics_of(["dino_glyph", "clip_glyph"])
    metrics = [m for m in every if m.scope == "clip" and "clip" not in m.needs]
    images = RNG.integers(0, 256, (7, 64, 64, 3), dtype=np.uint8)
    samples = [Sample(f"s{n}", image, f"picture {n}") for n, image in enumerate(images)]
    clips = [
        Clip(np.stack([np.roll(image, step, axis=1) for step in range(7)]), 8.0) for image in images
    ]

    def measured(places: list[int]) -> list[dict[str, float]]:
        evaluator = Evaluator(metrics)
        evaluator._resolved = "cpu:0"  # the CPU, by the way of a GPU
        return evaluator.measure([samples[n] for n in places], [clips[n] for n in places])

    (alone,) = measured([3])
    assert measured([3, 0, 1, 2, 4, 5, 6])[0] == alone
    assert measured([6, 5, 3, 2])[2] == alone
    assert measured([0, 1, 2, 4, 5, 6, 3])[-1] == alone


def test_an_array_on_the_device_is_the_array():
    frames = RNG.integers(0, 256, (2, 4, 6, 3), dtype=np.uint8)
    turned = frames[:, ::-1]  # negative strides, which torch does not take
    turned.flags.writeable = False
    assert np.array_equal(to_device(turned, "cpu").numpy(), turned)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_an_array_that_goes_through_pinned_memory_is_the_array():
    frames = [RNG.integers(0, 256, (32, 64, 64, 3), dtype=np.uint8) for _ in range(20)]
    copies = [to_device(array, "cuda") for array in frames]
    assert all(np.array_equal(c.cpu().numpy(), a) for c, a in zip(copies, frames, strict=True))
