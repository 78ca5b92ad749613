"""`python -m benchmarks.device_check`: the suite on a GPU, at full size, in under five minutes.

SD 1.5 by configuration (random weights, saved once in the hub's layout) makes 16 x 512 x 512 clips
in float16 over t0 x p of three synthetic photographs; every encoder at full size (random weights)
measures them; CPU and GPU are compared in float32. The JSON is written after each part, so that a
run that is cut short loses little. `--tiny` rehearses it on a CPU.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

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


class Check:
    """The parts of the check; what they find goes into ``found``, which is written after each."""

    def __init__(self, out: Path, work: Path, device: str, *, tiny: bool, seconds: float) -> None:
        from eval.device import describe, resolve

        self.out, self.work, self.tiny = out, work, tiny
        self.device = resolve(device)
        self.start, self.seconds = time.perf_counter(), seconds
        self.frames, self.side = (3, 32) if tiny else (16, 512)
        self.dtype = "float16" if self.device.startswith("cuda") else "float32"
        self.encoders: list[str] = []
        self.found: dict[str, Any] = {
            "device": describe(self.device),
            "tiny": tiny,
            "shape": [self.frames, self.side, self.side],
            "dtype": self.dtype,
            "versions": _versions(),
            "cores": os.cpu_count(),
            "parts": {},
        }

    @property
    def left(self) -> float:
        """Seconds of the budget."""
        return self.seconds - (time.perf_counter() - self.start)

    def say(self, text: str) -> None:
        print(f"[{time.perf_counter() - self.start:6.1f} s] {text}", flush=True)

    def part(self, name: str, needs: float, work: Callable[[], dict[str, Any]]) -> None:
        """Runs one part, unless less than `needs` seconds are left; what fails is a finding."""
        began = time.perf_counter()
        if self.left < needs and not self.tiny:
            found: dict[str, Any] = {"skipped": f"{self.left:.0f} s left, {needs:.0f} s needed"}
        else:
            self.say(name)
            self._reset_peak()
            try:
                found = work()
            except Exception as error:  # the other parts are worth having
                import traceback

                found = {"failed": f"{type(error).__name__}: {error}"}
                traceback.print_exc()
        found["seconds"] = round(time.perf_counter() - began, 2)
        found["peak_gib"] = self._peak()
        self.found["parts"][name] = found
        self.found["total_seconds"] = round(time.perf_counter() - self.start, 1)
        self.out.parent.mkdir(parents=True, exist_ok=True)
        self.out.write_text(json.dumps(self.found, indent=1) + "\n")
        self.say(f"{name}: {json.dumps(found)[:600]}")

    def _reset_peak(self) -> None:
        import torch

        if self.device.startswith("cuda"):
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def _peak(self) -> float | None:
        import torch

        if not self.device.startswith("cuda"):
            return None
        return round(torch.cuda.max_memory_allocated() / 2**30, 2)

    # the parts

    def save_models(self) -> dict[str, Any]:
        from benchmarks.random_models import save_base, save_encoders

        base = save_base(self.work / "base", self.device, self.dtype, tiny=self.tiny, say=self.say)
        (self.work / "base.yaml").write_text(json.dumps(base))
        weights = self.work / "encoders"
        self.encoders = save_encoders(weights, self.device, tiny=self.tiny, say=self.say)
        os.environ["I2V_EVAL_WEIGHTS"] = str(weights)
        files = [path for path in self.work.rglob("*") if path.is_file()]
        return {
            "gib": round(sum(path.stat().st_size for path in files) / 2**30, 2),
            "encoders": self.encoders,
        }

    def generate(self) -> dict[str, Any]:
        """The suite by its command's own function: 12 clips."""
        from rich.console import Console

        from eval.execute.run import run

        write_photographs(self.work, self.side)
        steps = 2 if self.tiny else self._affordable_steps()
        suite = self.work / "suite.yaml"
        values = {"base": "base.yaml", "device": self.device, "steps": steps}
        suite.write_text(SUITE.format(**values, frames=self.frames))
        outcome = run(str(suite), self.work / f"run-{steps}", console=Console(quiet=True))
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

    def _affordable_steps(self) -> int:
        """25, or fewer if 12 clips of 25 steps would take more than 0.3 of the budget."""
        for steps in (2, 4):  # the first call also loads the models
            began = time.perf_counter()
            self._clip(steps)
            took = time.perf_counter() - began
        step = took / 4
        steps = int(min(25, max(4, 0.3 * self.seconds / 12 / step)))
        self.say(f"about {step:.2f} s a step (4 steps with decoding: {took:.1f} s), {steps} steps")
        return steps

    def _clip(self, steps: int) -> Any:
        from eval.methods import method_on_base
        from eval.methods.base import read_base

        base = read_base(str(self.work / "base.yaml"), self.work, "base")
        build, settings = method_on_base("i2v-adapter", base)
        method: Any = build(settings(steps=steps, frames=self.frames, guidance_scale=7.5))
        method.to(self.device, self.dtype)
        return method.generate([self.samples()[0]], [0])[0]

    def samples(self) -> list[Any]:
        from eval.samples import Sample

        side = max(64, self.side)
        return [Sample(name, image, prompt) for name, image, prompt in photographs(side)]

    def clips(self, frames: int | None = None) -> list[Any]:
        """Pans over the photographs, which every metric can measure."""
        from eval.clips.lossless import Clip

        found = []
        for index, sample in enumerate(self.samples()):
            step = (index + 1) * max(1, self.side // 128)
            count = frames or self.frames
            moved = [np.roll(sample.image, -step * frame, axis=1) for frame in range(count)]
            found.append(Clip(np.stack(moved), 8.0))
        return found

    def _metrics(self, encoders: list[str]) -> list[Any]:
        from eval.measure.selection import metrics_of

        found = [metric for metric in metrics_of(encoders) if metric.scope == "clip"]
        return [metric for metric in found if not _needs_trained_flow(metric)]

    def _evaluator(self, metrics: list[Any], device: str, dtype: str = "float32") -> Any:
        from eval.measure.evaluator import Evaluator

        return Evaluator(metrics, device=device, dtype=dtype)

    def measuring(self) -> dict[str, Any]:
        """Seconds a measured clip: all metrics a clip of all encoders, loaded already."""
        per_encoder: dict[str, float] = {}
        samples, clips = self.samples(), self.clips()
        if self.tiny:
            samples, clips = samples[:1], clips[:1]
        for encoder in self.encoders:
            metrics = self._metrics([encoder])
            if not metrics:
                continue
            evaluator = self._evaluator(metrics, self.device)
            evaluator.measure(samples[:1], clips[:1])  # loads, and chooses kernels
            evaluator.cache._held.clear()
            began = time.perf_counter()
            evaluator.measure(samples, clips)
            per_encoder[encoder] = round((time.perf_counter() - began) / len(clips), 4)
        return {
            "metrics": len(self._metrics(self.encoders)),
            "seconds_a_measured_clip": round(sum(per_encoder.values()), 3),
            "by_encoder": per_encoder,
        }

    def agreement(self) -> dict[str, Any]:
        """Every metric of one short clip on CPU and GPU in float32, and the video features."""
        from eval.clips.lossless import Clip

        side = 64 if self.tiny else 256
        sample = self.samples()[0]
        image = sample.image[:side, :side]
        sample = type(sample)(sample.id, image, sample.prompt)
        clip = Clip(self.clips()[0].frames[:4, :side, :side], 8.0)
        glyph = ["dino_glyph", "clip_glyph"]
        rows: dict[str, Any] = {}
        for encoder in [*self.encoders, *glyph]:
            metrics = self._metrics([encoder])
            if metrics:
                cpu, gpu = (
                    self._evaluator(metrics, device).measure([sample], [clip])[0]
                    for device in ("cpu", self.device)
                )
                for metric in metrics:
                    one, other = cpu[metric.id], gpu[metric.id]
                    share = abs(one - other) / scale(metric.unit, one)
                    rows[metric.id] = {"cpu": one, "gpu": other, "share_of_range": share}
            if self.left < 15 and not self.tiny:
                break
        worst = max(rows, key=lambda id: rows[id]["share_of_range"])
        return {
            "worst": worst,
            "worst_share_of_range": rows[worst]["share_of_range"],
            "agree": rows[worst]["share_of_range"] <= AGREE,
            "beyond": [id for id, row in rows.items() if row["share_of_range"] > AGREE],
            "metrics": rows,
        }

    def video(self) -> dict[str, Any]:
        """Features of set metrics on CPU and GPU: largest difference over the largest value."""
        from eval.measure.selection import metrics_of

        found = {}
        for encoder in ("videomae_glyph", "videomae"):
            metrics = metrics_of([encoder])
            clips = self.clips(16)[:1]
            cpu, gpu = (
                self._evaluator(metrics, device).video_features(clips, encoder)
                for device in ("cpu", self.device)
            )
            found[encoder] = float(np.abs(cpu - gpu).max() / np.abs(cpu).max())
        return {"share_of_range": found}

    def neighbours(self) -> dict[str, Any]:
        """A clip measured alone and among others on the GPU: largest share of a metric's range."""
        metrics = self._metrics(["dino_vits16", "clip_vitb32_openai", "lpips_alex"])
        samples, clips = self.samples(), self.clips()
        among = self._evaluator(metrics, self.device).measure(samples, clips)[2]
        alone = self._evaluator(metrics, self.device).measure(samples[2:], clips[2:])[0]
        shares = [abs(among[m.id] - alone[m.id]) / scale(m.unit, alone[m.id]) for m in metrics]
        return {"largest_share_of_range": max(shares)}

    def half_precision(self) -> dict[str, Any]:
        """What half precision does to the metrics of the trained glyph encoders, on the GPU."""
        metrics = self._metrics(["dino_glyph", "clip_glyph"])
        samples, clips = self.samples(), self.clips()
        exact = self._evaluator(metrics, self.device).measure(samples, clips)
        found = {}
        kinds = ("float16", "bfloat16") if self.device != "cpu" else ("bfloat16",)
        for dtype in kinds:
            rough = self._evaluator(metrics, self.device, dtype).measure(samples, clips)
            found[dtype] = {
                metric.id: max(
                    abs(one[metric.id] - other[metric.id]) / scale(metric.unit, one[metric.id])
                    for one, other in zip(exact, rough, strict=True)
                )
                for metric in metrics
            }
        return {"share_of_range": found}

    def glyph_world(self) -> dict[str, Any]:
        """The shipped world on the CPU and on the GPU: largest difference of a pixel in 255."""
        from eval.methods import load_method
        from eval.samples.glyph_world import GlyphWorldSettings, load

        sample = load(GlyphWorldSettings(seen=1, unseen=0, seed=3))[0]
        method_class: Any = load_method("i2v-adapter")
        clips = []
        for device in ("cpu", self.device):
            method = method_class(method_class.Settings(steps=4))
            method.to(device, "float32")
            clips.append(method.generate([sample], [1])[0].frames.astype(int))
        return {"largest_difference_of_255": int(np.abs(clips[0] - clips[1]).max())}


def _needs_trained_flow(metric: Any) -> bool:
    """Whether random weights leave the metric without a value: flow that points anywhere leaves no
    pixel visible in both frames of a pair."""
    return metric.encoder.startswith("raft") and "warping" in metric.family


def photographs(side: int) -> list[tuple[str, np.ndarray, str]]:
    """Three pictures with shading, edges and texture: id, uint8 (side, side, 3), prompt."""
    rows, columns = np.mgrid[0:side, 0:side] / side
    rng = np.random.default_rng(7)
    found = []
    for index, (name, prompt) in enumerate(
        (("lake", "a lake at dusk, waves"), ("face", "a face that turns"), ("street", "a street"))
    ):
        channels = []
        for channel in range(3):
            shade = 0.5 + 0.3 * np.sin(2 * np.pi * ((index + 1) * columns + channel / 3))
            disc = np.hypot(rows - 0.5, columns - 0.3 - 0.2 * index) < 0.2
            shade = np.where(disc, 0.9 - 0.3 * channel, shade * (0.4 + 0.6 * rows))
            channels.append(shade + rng.normal(0, 0.02, shade.shape))
        image = np.clip(np.stack(channels, axis=-1) * 255, 0, 255).astype(np.uint8)
        found.append((name, image, prompt))
    return found


def write_photographs(folder: Path, side: int) -> None:
    """The pictures and their manifest, as a user would have them."""
    from PIL import Image

    rows = []
    for name, image, prompt in photographs(side):
        Image.fromarray(image).save(folder / f"{name}.png")
        rows.append(json.dumps({"id": name, "image": f"{name}.png", "prompt": prompt}))
    (folder / "samples.jsonl").write_text("\n".join(rows) + "\n")


def scale(unit: str, value: float) -> float:
    """The range of a metric: that of its unit where it has one, else its own size, at least 1."""
    ranges = {"100 x cosine": 100.0, "cosine": 1.0, "score": 1.0, "share of range": 1.0}
    return ranges.get(unit, max(1.0, abs(value)))


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": sys.version.split()[0]}
    for name in ("torch", "diffusers", "transformers", "torchvision", "open_clip_torch", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def main(
    out: Annotated[Path, typer.Option(help="The JSON.")] = Path("device-check.json"),
    work: Annotated[Path, typer.Option(help="Folder of the models; kept.")] = Path("device-check"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda[:INDEX] or mps.")] = "auto",
    tiny: Annotated[bool, typer.Option("--tiny", help="Small models: a rehearsal.")] = False,
    seconds: Annotated[
        float, typer.Option(help="Budget; parts that do not fit are left out.")
    ] = 240,
) -> None:
    """Runs all parts. Exit 1 if one failed, or CPU and GPU do not agree."""
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    work.mkdir(parents=True, exist_ok=True)
    check = Check(out, work.resolve(), device, tiny=tiny, seconds=seconds)
    check.say(f"{check.found['device']}, {check.dtype}, {check.found['versions']}")
    check.part("save models", 0, check.save_models)
    check.part("generate 2 x 2 of t0 x p", 60, check.generate)
    check.part("measuring", 30, check.measuring)
    check.part("agreement", 25, check.agreement)
    check.part("video features", 10, check.video)
    check.part("neighbours", 5, check.neighbours)
    check.part("half precision", 5, check.half_precision)
    check.part("glyph world", 5, check.glyph_world)
    parts = check.found["parts"]
    bad = [name for name, found in parts.items() if found.get("failed")]
    bad += [] if parts["agreement"].get("agree", True) else ["agreement"]
    check.say(f"written to {out}" + (f"; look at {', '.join(bad)}" if bad else ""))
    raise typer.Exit(1 if bad else 0)


if __name__ == "__main__":
    typer.run(main)
