"""Measuring: clips a second for each encoder, and all metrics together against one pass for each
metric.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.scenario import Bench, Variant
from eval.clips.lossless import Clip, read_clip, write_clip
from eval.encoders import ENCODERS
from eval.measure.catalogue import catalogue
from eval.measure.evaluator import Evaluator
from eval.metrics import Metric
from eval.samples import Sample

GLYPH = ("dino_glyph", "clip_glyph", "flow_dis", "videomae_glyph")
FULL = ("dino_vits16", "clip_vitb32_openai", "raft_large", "videomae_glyph")


@dataclass(frozen=True)
class Case:
    """Some clips of one size, and the encoders of all metrics used on them."""

    clips: int
    side: int
    frames: int
    encoders: tuple[str, ...]

    def __str__(self) -> str:
        clips = f"{self.clips} clip{'s'[: self.clips > 1]}"
        return f"{clips} {self.frames}x{self.side}x{self.side}, {', '.join(self.encoders)}"


def cases(device: str) -> list[Case]:
    if device == "cpu":
        return [Case(2, 64, 16, GLYPH), Case(1, 128, 16, GLYPH), Case(1, 256, 16, GLYPH)]
    return [Case(64, 256, 16, FULL), Case(64, 512, 16, FULL)]


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of random weights for the full-size encoders, which the suite's own loaders then
    read."""
    folder = tmp_path_factory.mktemp("weights")
    before = os.environ.get("I2V_EVAL_WEIGHTS")
    os.environ["I2V_EVAL_WEIGHTS"] = str(folder)
    yield folder
    if before is None:
        del os.environ["I2V_EVAL_WEIGHTS"]
    else:
        os.environ["I2V_EVAL_WEIGHTS"] = before


def _write_weights(folder: Path) -> None:
    from open_clip import CLIP
    from safetensors.torch import save_file
    from torchvision.models.optical_flow import raft_large
    from transformers import ViTConfig, ViTModel

    small = ViTConfig(hidden_size=384, intermediate_size=1536, num_attention_heads=6)
    ViTModel(small, add_pooling_layer=False).save_pretrained(folder / "dino_vits16")
    config = {
        "embed_dim": 512,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32},
        "text_cfg": {
            "context_length": 77,
            "vocab_size": 49408,
            "width": 512,
            "heads": 8,
            "layers": 12,
        },
    }
    clip, flow = folder / "clip_vitb32_openai", folder / "raft_large"
    for made in (clip, flow):
        made.mkdir()
    (clip / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    save_file(CLIP(**config).state_dict(), clip / "model.safetensors")
    save_file(raft_large(weights=None).state_dict(), flow / "model.safetensors")


def _clips(case: Case) -> tuple[list[Sample], list[Clip]]:
    """Moving noise: no two frames are equal, so that nothing is spared that real clips need."""
    generator = np.random.default_rng(0)
    samples, clips = [], []
    for index in range(case.clips):
        still = generator.integers(0, 256, (case.side, case.side, 3), dtype=np.uint8)
        frames = np.stack([np.roll(still, 2 * step, axis=1) for step in range(case.frames)])
        samples.append(Sample(f"s{index}", still, f"picture {index} of a star"))
        clips.append(Clip(frames, 8.0))
    return samples, clips


def test_judging(bench: Bench, case: Case, random_weights: Path, tmp_path: Path) -> None:
    if case.encoders == FULL and not (random_weights / "raft_large").exists():
        _write_weights(random_weights)
    samples, clips = _clips(case)
    paths = [tmp_path / f"{index}.mkv" for index in range(case.clips)]
    for path, clip in zip(paths, clips, strict=True):
        write_clip(path, clip)
    metrics = [
        metric for metric in catalogue() if metric.encoder in case.encoders and not metric.truth
    ]
    video = next(id for id in case.encoders if ENCODERS[id].kind == "video")
    loaded = Evaluator(metrics, device=str(bench.device))
    loaded.measure(samples[:1], clips[:1])
    loaded.video_features(clips[:1], video)

    def fresh(chosen: list[Metric]) -> Evaluator:
        """An evaluator of some metrics that remembers no clip; the loaded encoders are shared."""
        evaluator = Evaluator(chosen, device=str(bench.device))
        evaluator._encoders = loaded._encoders
        return evaluator

    def together() -> None:
        evaluator = fresh(metrics)
        decoded = [read_clip(path) for path in paths]
        evaluator.measure(samples, decoded)
        evaluator.video_features(decoded, video)

    def usual() -> None:
        for metric in metrics:
            for sample, path in zip(samples, paths, strict=True):
                evaluator, clip = fresh([metric]), read_clip(path)
                if metric.scope == "set":
                    evaluator.video_features([clip], metric.encoder)
                else:
                    evaluator.measure([sample], [clip])

    def one_encoder(id: str) -> Variant:
        mine = [metric for metric in metrics if metric.encoder == id]

        def look() -> Any:
            return (
                fresh(mine).video_features(clips, id)
                if id == video
                else fresh(mine).measure(samples, clips)
            )

        return Variant(look)

    variants = {
        "all together": lambda: Variant(together),
        "one pass a metric": lambda: Variant(usual),
    }
    row = bench.compare(
        str(case),
        variants | {id: partial(one_encoder, id) for id in case.encoders},
        rounds=10 if bench.device.type == "cuda" else 6 if case.side < 256 else 3,
        ratios=[("one pass a metric", "all together")]
        + [(id, "all together") for id in case.encoders],
    )
    row["clips"], row["metrics"] = case.clips, len(metrics)
