"""Parts of a suite that time themselves, so that what is left of a run is the harness."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml
from pydantic import BaseModel

from eval.clips.lossless import Clip
from eval.measure.catalogue import catalogue
from eval.measure.evaluator import Evaluator
from eval.methods.i2v_adapter import I2VAdapterMethod
from eval.metrics import Metric
from eval.plan.cells import Plan
from eval.plan.planning import make_plan
from eval.samples import Sample
from eval.store.store import Record, Store, StoredClip

Result = TypeVar("Result")
SECONDS: list[float] = []
"""Seconds spent in the method and in the evaluator since it was cleared."""


def _count(work: Callable[[], Result]) -> Result:
    start = time.perf_counter()
    try:
        return work()
    finally:
        SECONDS.append(time.perf_counter() - start)


class TimedMethod(I2VAdapterMethod):
    """The glyph world's adapter, timed."""

    def generate(self, samples: Sequence[Sample], seeds: Sequence[int]) -> list[Clip]:
        return _count(lambda: super(TimedMethod, self).generate(samples, seeds))


class TimedEvaluator(Evaluator):
    """The evaluator, timed."""

    def measure(self, samples: Sequence[Sample], clips: Sequence[Clip]) -> list[dict[str, float]]:
        return _count(lambda: super(TimedEvaluator, self).measure(samples, clips))

    def video_features(self, clips: Sequence[Clip], encoder_id: str) -> Any:
        return _count(lambda: super(TimedEvaluator, self).video_features(clips, encoder_id))


def timed_evaluator(metrics: list[Metric]) -> TimedEvaluator:
    return TimedEvaluator(metrics)


class Blank(BaseModel):
    """How many images of 8 px."""

    count: int


def blank(settings: Blank) -> list[Sample]:
    """Samples that take no time to make, half of them in the group ``odd``."""
    numbers = np.arange(settings.count, dtype="<u4")
    images = np.zeros((settings.count, 8, 8, 3), np.uint8)
    images.reshape(settings.count, -1)[:, :4] = numbers.view(np.uint8).reshape(-1, 4)
    return [
        Sample(f"s{number:06d}", image, "nothing", ("even", "odd")[number % 2])
        for number, image in enumerate(images)
    ]


def fill(folder: Path, cells: int, images: int, metrics: int) -> tuple[Store, Plan]:
    """An open store with a record of every clip and metric, though no clip was made, and its plan:
    what tables are written from. The first cell is the reference.
    """
    random = np.random.default_rng(0)
    ids = [
        metric.id
        for metric in catalogue()
        if metric.scope == "clip" and not metric.truth and "clip" not in metric.needs
    ]
    suite = {
        "name": "filled",
        "samples": {"source": "benchmarks.harness:blank", "count": images},
        "methods": [{"method": "still-image", "sweep": {"frames": list(range(2, 2 + cells))}}],
        "metrics": ids[:metrics],
        "reference": "still-image[frames=2]",
        "allow_glyph_encoders": True,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "suite.yaml").write_text(yaml.safe_dump(suite))
    plan = make_plan(folder / "suite.yaml")
    store = Store(folder / "run")
    for cell in plan.cells:
        keys = {(sample.id, seed): f"{n:064x}" for n, (sample, seed) in enumerate(plan.pairs(cell))}
        store.add_clip_rows([StoredClip(cell.id, *place, key, 1.0) for place, key in keys.items()])
        store.add_records(
            Record(cell.id, *place, metric.id, float(random.random()), "", key, "f" * 64)
            for place, key in keys.items()
            for metric in plan.clip_metrics
        )
    return store, plan


def write_suite(path: Path, *, t0: Sequence[float], images: int) -> Path:
    """A suite of one swept method on glyph-world samples, with the default suite's sampling and
    measures.
    """
    content = {
        "name": path.stem,
        "samples": {
            "source": "glyph-world",
            "seen": images // 2,
            "unseen": images - images // 2,
            "seed": 7001,
        },
        "batch_size": 12,
        "methods": [
            {
                "method": "benchmarks.harness:TimedMethod",
                "label": "adapter",
                "settings": {"steps": 10, "guidance_scale": 3.0},
                "sweep": {"t0": list(t0)},
            }
        ],
        "metrics": [
            "identity.dino_glyph.v1",
            "text.clip_glyph.v1",
            "motion.flow_dis.v1",
            "fvd.videomae_glyph.v1",
        ],
    }
    path.write_text(yaml.safe_dump(content))
    return path
