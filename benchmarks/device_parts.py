"""The parts of a device check: models saved, clips made and measured, CPU and GPU compared."""

from __future__ import annotations

import json
import os
import statistics
import time
from typing import Any

import numpy as np

from benchmarks.device_run import Check, write_photographs

SUITE = """\
name: device-check
samples: {{source: manifest, path: samples.jsonl}}
seeds: [0]
batch_size: 1
base: {base}
device: {device}
methods:
  - method: i2v-adapter
    settings: {{steps: {steps}, frames: {frames}, guidance_scale: 7.5}}
    sweep: {{t0: [0.8, 1.0], p: [0.5, 1.0]}}
metrics: [identity.dino_vits16.v2]
"""
AGREE = 1e-4
"""Largest difference between CPU and GPU, as a share of a metric's range."""


def save_models(check: Check) -> dict[str, Any]:
    """A base and the encoders, saved once in the hub's layout."""
    from benchmarks.random_models import save_base, save_encoders

    base = save_base(check.work / "base", check.device, check.dtype, tiny=check.tiny, say=check.say)
    (check.work / "base.yaml").write_text(json.dumps(base))
    weights = check.work / "encoders"
    check.encoders = save_encoders(weights, check.device, tiny=check.tiny, say=check.say)
    os.environ["I2V_EVAL_WEIGHTS"] = str(weights)
    files = [path for path in check.work.rglob("*") if path.is_file()]
    return {
        "gib": round(sum(path.stat().st_size for path in files) / 2**30, 2),
        "encoders": check.encoders,
    }


def generate(check: Check) -> dict[str, Any]:
    """The suite by its command's own function: 12 clips."""
    from rich.console import Console

    from eval.execute.run import run

    write_photographs(check.work, check.side)
    steps = 2 if check.tiny else _affordable_steps(check)
    suite = check.work / "suite.yaml"
    values = {"base": "base.yaml", "device": check.device, "steps": steps}
    suite.write_text(SUITE.format(**values, frames=check.frames))
    outcome = run(str(suite), check.work / f"run-{steps}", console=Console(quiet=True))
    document = json.loads((outcome.folder / "run.json").read_text())
    each = document["seconds_per_clip"]
    return {
        "clips": outcome.made,
        "measured": outcome.measured,
        "failed": [str(failure) for failure in outcome.failures[:3]],
        "steps": steps,
        "seconds_a_clip": {cell: round(value, 3) for cell, value in each.items()},
        "median_seconds_a_clip": round(statistics.median(each.values()), 3),
    }


def _affordable_steps(check: Check) -> int:
    """25, or fewer if 12 clips of 25 steps would take more than 0.3 of the budget."""
    for steps in (2, 4):  # the first call also loads the models
        began = time.perf_counter()
        _clip(check, steps)
        took = time.perf_counter() - began
    step = took / 4
    steps = int(min(25, max(4, 0.3 * check.seconds / 12 / step)))
    check.say(f"about {step:.2f} s a step (4 steps with decoding: {took:.1f} s), {steps} steps")
    return steps


def _clip(check: Check, steps: int) -> Any:
    from eval.methods import method_on_base
    from eval.methods.base import read_base

    base = read_base(str(check.work / "base.yaml"), check.work, "base")
    build, settings = method_on_base("i2v-adapter", base)
    method: Any = build(settings(steps=steps, frames=check.frames, guidance_scale=7.5))
    method.to(check.device, check.dtype)
    return method.generate([check.samples()[0]], [0])[0]


def _metrics(encoders: list[str]) -> list[Any]:
    from eval.measure.selection import metrics_of

    found = [metric for metric in metrics_of(encoders) if metric.scope == "clip"]
    known = [metric for metric in found if "clip" not in metric.needs]  # there are no true clips
    return [metric for metric in known if not _needs_trained_flow(metric)]


def _evaluator(metrics: list[Any], device: str, dtype: str = "float32") -> Any:
    from eval.measure.evaluator import Evaluator

    return Evaluator(metrics, device=device, dtype=dtype)


def measuring(check: Check) -> dict[str, Any]:
    """Seconds a measured clip: all metrics a clip of all encoders, loaded already; and the memory
    that each encoder takes."""
    from eval.device import release

    per_encoder: dict[str, float] = {}
    memory: dict[str, float | None] = {}
    samples, clips = check.samples(), check.clips()
    if check.tiny:
        samples, clips = samples[:1], clips[:1]
    for encoder in check.encoders:
        metrics = _metrics([encoder])
        if not metrics:
            continue
        release("encoders")
        check.reset_peak()
        evaluator = _evaluator(metrics, check.device)
        evaluator.measure(samples[:1], clips[:1])  # loads, and chooses kernels
        evaluator.cache._held.clear()
        began = time.perf_counter()
        evaluator.measure(samples, clips)
        per_encoder[encoder] = round((time.perf_counter() - began) / len(clips), 4)
        memory[encoder] = check.peak()
    return {
        "metrics": len(_metrics(check.encoders)),
        "seconds_a_measured_clip": round(sum(per_encoder.values()), 3),
        "by_encoder": per_encoder,
        "peak_gib_by_encoder": memory,
    }


def agreement(check: Check) -> dict[str, Any]:
    """Every metric of one short clip on CPU and GPU in float32, and the video features."""
    from eval.clips.lossless import Clip

    side = 64 if check.tiny else 256
    sample = check.samples()[0]
    image = sample.image[:side, :side]
    sample = type(sample)(sample.id, image, sample.prompt)
    clip = Clip(check.clips()[0].frames[:4, :side, :side], 8.0)
    glyph = ["dino_glyph", "clip_glyph"]
    rows: dict[str, Any] = {}
    for encoder in [*check.encoders, *glyph]:
        metrics = _metrics([encoder])
        if metrics:
            cpu, gpu = (
                _evaluator(metrics, device).measure([sample], [clip])[0]
                for device in ("cpu", check.device)
            )
            for metric in metrics:
                one, other = cpu[metric.id], gpu[metric.id]
                share = abs(one - other) / scale(metric.unit, one)
                rows[metric.id] = {"cpu": one, "gpu": other, "share_of_range": share}
        if check.left < 15 and not check.tiny:
            break
    worst = max(rows, key=lambda id: rows[id]["share_of_range"])
    return {
        "worst": worst,
        "worst_share_of_range": rows[worst]["share_of_range"],
        "agree": rows[worst]["share_of_range"] <= AGREE,
        "beyond": [id for id, row in rows.items() if row["share_of_range"] > AGREE],
        "metrics": rows,
    }


def video(check: Check) -> dict[str, Any]:
    """Features of set metrics on CPU and GPU: largest difference over the largest value."""
    from eval.measure.selection import metrics_of

    found = {}
    for encoder in ("videomae_glyph", "videomae"):
        metrics = metrics_of([encoder])
        clips = check.clips(16)[:1]
        cpu, gpu = (
            _evaluator(metrics, device).video_features(clips, encoder)
            for device in ("cpu", check.device)
        )
        found[encoder] = float(np.abs(cpu - gpu).max() / np.abs(cpu).max())
    return {"share_of_range": found}


def neighbours(check: Check) -> dict[str, Any]:
    """A clip measured alone and among others on the GPU: largest share of a metric's range."""
    metrics = _metrics(["dino_vits16", "clip_vitb32_openai", "lpips_alex"])
    samples, clips = check.samples(), check.clips()
    among = _evaluator(metrics, check.device).measure(samples, clips)[2]
    alone = _evaluator(metrics, check.device).measure(samples[2:], clips[2:])[0]
    shares = [abs(among[m.id] - alone[m.id]) / scale(m.unit, alone[m.id]) for m in metrics]
    return {"largest_share_of_range": max(shares)}


def half_precision(check: Check) -> dict[str, Any]:
    """What half precision does to the metrics of the trained glyph encoders, on the GPU."""
    metrics = _metrics(["dino_glyph", "clip_glyph"])
    samples, clips = check.samples(), check.clips()
    exact = _evaluator(metrics, check.device).measure(samples, clips)
    found = {}
    kinds = ("float16", "bfloat16") if check.device != "cpu" else ("bfloat16",)
    for dtype in kinds:
        rough = _evaluator(metrics, check.device, dtype).measure(samples, clips)
        found[dtype] = {
            metric.id: max(
                abs(one[metric.id] - other[metric.id]) / scale(metric.unit, one[metric.id])
                for one, other in zip(exact, rough, strict=True)
            )
            for metric in metrics
        }
    return {"share_of_range": found}


def glyph_world(check: Check) -> dict[str, Any]:
    """The shipped world on the CPU and on the GPU: largest difference of a pixel in 255."""
    from eval.methods import load_method
    from eval.samples.glyph_world import GlyphWorldSettings, load

    sample = load(GlyphWorldSettings(seen=1, unseen=0, seed=3))[0]
    method_class: Any = load_method("i2v-adapter")
    clips = []
    for device in ("cpu", check.device):
        method = method_class(method_class.Settings(steps=4))
        method.to(device, "float32")
        clips.append(method.generate([sample], [1])[0].frames.astype(int))
    return {"largest_difference_of_255": int(np.abs(clips[0] - clips[1]).max())}


def _needs_trained_flow(metric: Any) -> bool:
    """Whether random weights leave the metric without a value: flow that points anywhere leaves no
    pixel visible in both frames of a pair."""
    return metric.encoder.startswith("raft") and "warping" in metric.family


def scale(unit: str, value: float) -> float:
    """The range of a metric: that of its unit where it has one, else its own size, at least 1."""
    ranges = {"100 x cosine": 100.0, "cosine": 1.0, "score": 1.0, "share of range": 1.0}
    return ranges.get(unit, max(1.0, abs(value)))
