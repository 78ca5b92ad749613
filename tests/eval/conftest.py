"""A toy method, evaluator and manifest with which the harness runs in milliseconds."""

import csv
import importlib
import io
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from rich.console import Console

from eval.clips.lossless import Clip, write_clip
from eval.execute.run import Outcome, run

TOY = '''
import hashlib, os, time
from pathlib import Path
import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from eval.clips.lossless import Clip


class ToySettings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    t0: float = Field(default=1.0, gt=0, le=1)
    p: float = Field(default=0.5, ge=0, le=1)
    fail_on: str = ""


class Toy:
    """The image moved to the right, with noise from the seed."""

    Settings = ToySettings

    def __init__(self, settings):
        self.settings = settings

    def fingerprint(self):
        return hashlib.sha256(os.environ.get("TOY_WEIGHTS", "toy").encode()).hexdigest()

    def generate(self, samples, seeds):
        time.sleep(float(os.environ.get("TOY_DELAY", "0")))
        with open(os.environ.get("TOY_LOG", os.devnull), "a") as log:
            log.write(" ".join(sample.id for sample in samples) + "\\n")
        assert len({sample.image.shape for sample in samples}) == 1
        if any(sample.id == self.settings.fail_on for sample in samples):
            raise ZeroDivisionError("no such luck\\nsecond line")
        return [self._clip(sample, seed, self.settings.p) for sample, seed in zip(samples, seeds)]

    def _clip(self, sample, seed, p):
        shifts = [round(4 * self.settings.t0 * i) for i in range(4)]
        moved = np.stack([np.roll(sample.image, shift, axis=1) for shift in shifts]).astype(int)
        noise = np.random.default_rng(seed).integers(-9, 10, moved.shape) * p
        return Clip(np.clip(moved + noise, 0, 255).astype(np.uint8), 8.0)


class Sweeper(Toy):
    """The same, with a p for each sample of a call; fails where s5 has p = 0.5 if asked to by
    fail_on."""

    varying = ("p",)

    def generate(self, samples, seeds, p=None):
        p = [self.settings.p] * len(samples) if p is None else p
        asked = [(sample.id, each) for sample, each in zip(samples, p)]
        if self.settings.fail_on == "s5 at 0.5" and ("s5", 0.5) in asked:
            raise ZeroDivisionError("no such luck")
        super().generate(samples, seeds)  # for its log
        return [self._clip(*row) for row in zip(samples, seeds, p, strict=True)]


class ToyEvaluator:
    """Motion is the mean frame difference, video features are coarse mean colours."""

    nan_on = ""

    def __init__(self, metrics):
        self.metrics = list(metrics)

    def fingerprints(self):
        return {metric.encoder: "weights of " + metric.encoder for metric in self.metrics}

    def measure(self, samples, clips):
        time.sleep(float(os.environ.get("TOY_EVALUATOR_DELAY", "0")))
        return [self._values(sample, clip) for sample, clip in zip(samples, clips)]

    def _values(self, sample, clip):
        motion = float(np.abs(np.diff(clip.frames.astype(float), axis=0)).mean())
        value = float("nan") if sample.id == self.nan_on else motion
        asked = [metric for metric in self.metrics if metric.scope == "clip"]
        return {m.id: value if m.family == "motion" else 1 / (1 + motion) for m in asked}

    def video_features(self, clips, encoder_id):
        shape = (4, 2, clips[0].frames.shape[1] // 2, -1, 3)
        blocks = [clip.frames.reshape(shape).mean((0, 2, 3)) for clip in clips]
        return np.stack(blocks).reshape(len(clips), 6).astype(np.float32)

    def flags(self, sample):
        return ["prompt_truncated"] if "very" in sample.prompt else []
'''


@pytest.fixture
def toy_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the import path that holds `toy_method.py`, images, true clips and
    `samples.csv`."""
    folder = tmp_path / "toy"
    folder.mkdir()
    (folder / "toy_method.py").write_text(textwrap.dedent(TOY))
    generator = np.random.default_rng(5)
    rows = []
    for index in range(6):
        height = 12 if index == 4 else 8  # one image of another size
        image = generator.integers(0, 256, (height, 10, 3), dtype=np.uint8)
        Image.fromarray(image).save(folder / f"{index}.png")
        true = np.stack([np.roll(image, 2 * i, axis=1) for i in range(4)])
        write_clip(folder / f"{index}.mkv", Clip(true, 8.0))
        prompt = "a very long prompt" if index == 0 else f"picture {index}"
        group = "unseen" if index % 2 else "seen"
        rows.append(
            [f"s{index}", f"{index}.png", prompt, group, f"{index}.mkv", "red", 2.0 * index]
        )
    with (folder / "samples.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["id", "image", "prompt", "group", "clip", "truth_colour", "truth_speed"], *rows]
        )
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(importlib.import_module("sys").modules, "toy_method", raising=False)
    return folder


@pytest.fixture
def suite_content() -> dict[str, Any]:
    """A valid suite over the toy method: 6 cells, 6 samples, 2 seeds."""
    return {
        "name": "toy",
        "samples": {"source": "manifest", "path": "samples.csv"},
        "seeds": [0, 1],
        "batch_size": 4,
        "reference": "toy[t0=1.0,p=0.5]",
        "allow_glyph_encoders": True,
        "methods": [
            {
                "method": "toy_method:Toy",
                "label": "toy",
                "sweep": {"t0": [0.5, 1.0], "p": [0.0, 0.5]},
            },
            {"method": "still-image"},
            {"method": "true-clip"},
        ],
        "metrics": [
            "identity.dino_glyph.v1",
            "motion.flow_dis.v1",
            "fvd.videomae_glyph.v1",
            "kvd.videomae_glyph.v1",
        ],
    }


@pytest.fixture
def write_suite(toy_folder: Path) -> Callable[[dict[str, Any]], Path]:
    """Writes a suite file beside the toy samples."""

    def write(content: dict[str, Any]) -> Path:
        path = toy_folder / "suite.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    return write


@pytest.fixture
def toy_evaluator(toy_folder: Path) -> Any:
    """The class of the toy evaluator."""
    return importlib.import_module("toy_method").ToyEvaluator


@pytest.fixture
def run_toy(write_suite: Any, toy_evaluator: Any, tmp_path: Path) -> Callable[..., Outcome]:
    """Runs a suite over the toy method with the toy evaluator, into a folder of this name."""

    def go(content: dict[str, Any], folder: str = "out") -> Outcome:
        console = Console(file=io.StringIO())
        return run(
            str(write_suite(content)), tmp_path / folder, console=console, evaluator=toy_evaluator
        )

    return go
