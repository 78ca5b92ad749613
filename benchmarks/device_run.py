"""What a device check is made in: its time, its findings, and the pictures that it works on."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


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
            self.reset_peak()
            try:
                found = work()
            except Exception as error:  # the other parts are worth having
                import traceback

                found = {"failed": f"{type(error).__name__}: {error}"}
                traceback.print_exc()
        found["seconds"] = round(time.perf_counter() - began, 2)
        found["peak_gib"] = self.peak()
        self.found["parts"][name] = found
        self.found["total_seconds"] = round(time.perf_counter() - self.start, 1)
        self.out.parent.mkdir(parents=True, exist_ok=True)
        self.out.write_text(json.dumps(self.found, indent=1) + "\n")
        self.say(f"{name}: {json.dumps(found)[:600]}")

    def reset_peak(self) -> None:
        """Peak memory counts from here."""
        import torch

        if self.device.startswith("cuda"):
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def peak(self) -> float | None:
        """GiB that torch held at most on the GPU, workspaces of its libraries included; None on a
        CPU."""
        import torch

        if not self.device.startswith("cuda"):
            return None
        return round(torch.cuda.max_memory_allocated() / 2**30, 2)

    def samples(self) -> list[Any]:
        """The photographs with their prompts."""
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


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": sys.version.split()[0]}
    for name in ("torch", "diffusers", "transformers", "torchvision", "open_clip_torch", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
