"""`python -m benchmarks.judging_run --device cuda`: finished clips through DINO, CLIP and RAFT, the
suite's way and one frame at a time, with the share of the time that the GPU is busy.

Weights are random, which changes no time; `--tiny` rehearses it on a CPU in a minute. Each way
reads its clips from the same files:

- the suite: clips are read ahead on a thread, the frames of `--batch` clips go together, all
  metrics in one pass;
- frame by frame: metric after metric, clip after clip, and one frame or pair at a time, as the
  code of VBench does it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.random_models import save_encoders
from eval.clips.lossless import Clip, encoded
from eval.device import full_precision
from eval.execute.ahead import ReadAhead
from eval.measure.catalogue import parse_metric
from eval.measure.evaluator import Evaluator
from eval.metrics import Metric
from eval.samples import Sample
from eval.store.store import Store, StoredClip

METRICS = (
    "vbench.i2v_subject.dino_vitb16.v2",
    "vbench.subject_consistency.dino_vitb16.v1",
    "vbench.background_consistency.clip_vitb32_openai.v1",
    "motion.raft_large.v2",
)
NOISE = 1e-4
"""How far the two ways may differ, relative to the value."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judging_run", description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--slow-clips", type=int, default=8, help="of them, frame by frame")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--batch", type=int, default=8, help="clips that are measured together")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tiny", action="store_true", help="small networks, 4 clips of 64 px")
    asked = parser.parse_args()
    if asked.tiny:
        asked.clips, asked.slow_clips, asked.side, asked.frames, asked.batch = 4, 2, 64, 4, 2
    metrics = [parse_metric(id) for id in METRICS]
    with tempfile.TemporaryDirectory() as name, Store(Path(name) / "run") as store:
        os.environ["I2V_EVAL_WEIGHTS"] = str(Path(name) / "weights")
        save_encoders(Path(name) / "weights", asked.device, tiny=asked.tiny, say=print)
        samples, keys = _stored(store, asked.clips, asked.side, asked.frames)
        loaded = Evaluator(metrics, device=asked.device)
        _suite(store, samples[:1], keys[:1], loaded, asked.batch)  # loads, and warms up
        few = asked.slow_clips
        rates: dict[str, list[float]] = {"the suite": [], "frame by frame": []}
        busy: dict[str, list[float]] = {"the suite": [], "frame by frame": []}
        for _ in range(asked.rounds):
            with _sampled(asked.device, busy["the suite"]):
                start = time.perf_counter()
                found = _suite(store, samples, keys, _fresh(loaded), asked.batch)
                rates["the suite"].append(asked.clips / (time.perf_counter() - start))
            with _sampled(asked.device, busy["frame by frame"]):
                start = time.perf_counter()
                slow = _frame_by_frame(store, samples[:few], keys[:few], metrics, loaded)
                rates["frame by frame"].append(few / (time.perf_counter() - start))
    print(f"{asked.clips} clips of {asked.frames} x {asked.side} x {asked.side}, {asked.device}")
    print("\n| way | clips a second, each round | GPU busy, % (samples) |\n|---|---|---|")
    for way, rate in rates.items():
        samples_of = busy[way]
        share = f"{statistics.mean(samples_of):.0f} ({len(samples_of)})" if samples_of else "–"
        print(f"| {way} | {', '.join(f'{r:.3g}' for r in rate)} | {share} |")
    ratios = [a / b for a, b in zip(*rates.values(), strict=True)]
    print(f"\nfactor: {', '.join(f'{r:.2f}' for r in ratios)}")
    _compare(found, slow)


def _stored(store: Store, clips: int, side: int, frames: int) -> tuple[list[Sample], list[str]]:
    """Moving pictures, smoothed noise: no two frames are equal, and files are of a usual size."""
    import cv2

    random = np.random.default_rng(0)
    samples, rows, contents = [], [], []
    for number in range(clips):
        coarse = random.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
        moved = np.stack([np.roll(image, 2 * step, axis=1) for step in range(frames)])
        samples.append(Sample(f"s{number}", image, f"picture {number}"))
        contents.append(encoded(Clip(moved, 8.0)))
        rows.append(StoredClip("cell", f"s{number}", 0, f"{number:064x}", 1.0))
    store.add_clips(rows, contents)
    return samples, [row.key for row in rows]


def _fresh(loaded: Evaluator) -> Evaluator:
    """An evaluator that remembers no clip, with the networks that are loaded."""
    evaluator = Evaluator(loaded.metrics, device=loaded.device)
    evaluator._encoders = dict(loaded._encoders)
    return evaluator


def _suite(
    store: Store, samples: Sequence[Sample], keys: Sequence[str], evaluator: Evaluator, batch: int
) -> list[dict[str, float]]:
    values = []
    with ReadAhead(store, keys, batch) as shelf:
        for start in range(0, len(keys), batch):
            clips = [shelf.read(key) for key in keys[start : start + batch]]
            values += evaluator.measure(samples[start : start + batch], clips)
    return values


def _frame_by_frame(
    store: Store,
    samples: Sequence[Sample],
    keys: Sequence[str],
    metrics: Sequence[Metric],
    loaded: Evaluator,
) -> list[dict[str, float]]:
    values: list[dict[str, float]] = [{} for _ in samples]
    for metric in metrics:
        for row, sample, key in zip(values, samples, keys, strict=True):
            evaluator = Evaluator([metric], device=loaded.device)
            encoder: Any = loaded._encoders[metric.encoder]
            evaluator._encoders[metric.encoder] = _OneAtATime(encoder)
            row |= evaluator.measure([sample], [store.read(key)])[0]
    return values


class _OneAtATime:
    """An encoder whose frames and pairs are encoded one by one, in batches of one."""

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder
        self.id, self.kind, self.fingerprint = encoder.id, encoder.kind, encoder.fingerprint

    def _plain(self, name: str) -> Any:
        """The method without the fixed batches of a GPU."""
        method = getattr(self._encoder, name)
        return getattr(method, "__wrapped__", method)

    def encode_frames(self, frames: np.ndarray, *, view: str = "standard") -> np.ndarray:
        encode = self._plain("encode_frames")
        with full_precision():
            return np.concatenate([encode(frame[None], view=view) for frame in frames])

    def encode_image(self, image: np.ndarray, *, view: str = "standard") -> np.ndarray:
        with full_precision():
            return np.asarray(self._plain("encode_image")(image, view=view))

    def encode_pairs(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        encode = self._plain("encode_pairs")
        with full_precision():
            return np.concatenate(
                [encode(a[None], b[None]) for a, b in zip(first, second, strict=True)]
            )


def _compare(found: Sequence[dict[str, float]], slow: Sequence[dict[str, float]]) -> None:
    worst = max(
        (abs(one[id] - other[id]) / max(1e-9, abs(other[id])), id)
        for one, other in zip(found, slow, strict=False)
        for id in other
    )
    verdict = "equal within" if worst[0] <= NOISE else "DIFFERENT by more than"
    print(f"values {verdict} {NOISE:g}: at most {worst[0]:.2g} relative, {worst[1]}")


@contextmanager
def _sampled(device: str, busy: list[float]) -> Iterator[None]:
    """Adds the share of time, in percent, that the GPU was busy, ten times a second; nothing
    without nvidia-smi."""
    if not device.startswith("cuda") or shutil.which("nvidia-smi") is None:
        yield
        return
    index = device.partition(":")[2] or "0"
    query = ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    watch = subprocess.Popen(
        ["nvidia-smi", "-i", index, *query, "-lms", "100"], stdout=subprocess.PIPE, text=True
    )
    try:
        yield
    finally:
        watch.terminate()
        printed, _ = watch.communicate()
        busy += [float(line) for line in printed.splitlines() if line.strip().isdigit()]


if __name__ == "__main__":
    main()
