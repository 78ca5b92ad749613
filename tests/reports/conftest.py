"""A small synthetic run folder in the harness's format, with numbers that the tests know."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eval.clips.lossless import Clip, write_clip
from reports.cli import write_report

IDENTITY, MOTION, FVD = "identity.dino_glyph.v1", "motion.flow_dis.v1", "fvd.videomae_glyph.v1"
REFERENCE = "i2v-adapter[t0=1.0,p=0.5]"
COMPARED = (
    "4 input images: the interval is too narrow; 6 comparisons, of which 0.3 would exclude 0 by "
    "chance; "
    "corrected for that (Bonferroni) the interval includes 0"
)
HOSTILE = (
    '<script>window.hostile=1</script><img src=x onerror="window.hostile=1"> & "quoted" </style>'
)
PROMPTS = {
    "seen-0": ("seen", "a red star moving left"),
    "seen-1": ("seen", "null"),
    "unseen-0": ("unseen", HOSTILE),
    "unseen-1": ("unseen", "a blue heart, growing"),
}

CHROMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-default-browser-check",
    "--window-size=1280,900",
)


@dataclass(frozen=True)
class Cell:
    """A cell with its mean identity and motion; every sample's value lies near it by a known
    offset.
    """

    id: str
    method: str
    identity: float
    motion: float
    settings: Mapping[str, float] = field(default_factory=dict)


CELLS = [
    *(
        Cell(
            f"i2v-adapter[t0={t0},p={p}]",
            "i2v-adapter",
            1 - 0.2 * t0 + 0.05 * p,
            0.5 * t0 + 0.01 * p,
            {"t0": t0, "p": p},
        )
        for t0 in (0.6, 1.0)
        for p in (0.1, 0.5)
    ),
    Cell("content-adapter", "content-adapter", 0.6, 0.55),
    Cell("still-image", "still-image", 1.0, 0.0),
    Cell("true-clip", "true-clip", 0.9, 0.3),
]
_OFFSETS = {"seen-0": -0.01, "seen-1": 0.01, "unseen-0": -0.02, "unseen-1": 0.02}


def _value(cell: Cell, sample: str, metric: str) -> float:
    return (cell.identity if metric == IDENTITY else cell.motion) + _OFFSETS[sample] / 2


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def clip_key(cell: str, sample: str) -> str:
    """The key under which the synthetic run stores a clip."""
    return hashlib.sha256(f"{cell} {sample}".encode()).hexdigest()


def clip_of(cell: str, sample: str) -> Clip:
    """The synthetic clip, uint8 (4, 16, 16, 3) at 8 fps."""
    seed = int(clip_key(cell, sample)[:8], 16)
    return Clip(np.random.default_rng(seed).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8), 8.0)


def write_run(folder: Path) -> Path:
    """Writes the synthetic run into a new folder."""
    folder.mkdir(parents=True)
    records, summary, comparisons, samples = [], [], [], []
    groups = {
        "all": list(PROMPTS),
        "seen": ["seen-0", "seen-1"],
        "unseen": ["unseen-0", "unseen-1"],
    }
    reference = next(cell for cell in CELLS if cell.id == REFERENCE)
    for cell in sorted(CELLS, key=lambda cell: cell.id):
        for sample, (group, _) in sorted(PROMPTS.items()):
            key = clip_key(cell.id, sample)
            write_clip(folder / "clips" / key[:2] / f"{key}.mkv", clip_of(cell.id, sample))
            for metric in (IDENTITY, MOTION):
                value = _value(cell, sample, metric)
                flags = "prompt_truncated" if sample == "unseen-0" else ""
                records.append(
                    [
                        cell.id,
                        cell.method,
                        sample,
                        group,
                        0,
                        metric,
                        repr(value),
                        flags,
                        key,
                        "e" * 64,
                    ]
                )
        for group, members in groups.items():
            settings = [cell.settings.get("t0", ""), cell.settings.get("p", "")]
            for metric, unit, higher in (
                (IDENTITY, "cosine", "True"),
                (MOTION, "frame sizes/s", ""),
            ):
                mean = float(np.mean([_value(cell, s, metric) for s in members]))
                bounds = [mean, mean - 0.01, mean + 0.01, len(members)]
                summary.append(
                    [cell.id, cell.method, *settings, group, metric, *bounds, unit, higher, ""]
                )
                if cell.id != REFERENCE:
                    gap = float(
                        np.mean(
                            [
                                _value(reference, s, metric) - _value(cell, s, metric)
                                for s in members
                            ]
                        )
                    )
                    bounds = [
                        gap,
                        gap - 0.015,
                        gap + 0.015,
                        len(members),
                        COMPARED if abs(gap) < 0.05 else "",
                    ]
                    comparisons.append([REFERENCE, cell.id, group, metric, *bounds])
            bounds = [100 * (1 - cell.identity), "", "", len(members)]
            note = f"n = {len(members)} is below the feature dimension 64"
            summary.append(
                [
                    cell.id,
                    cell.method,
                    *settings,
                    group,
                    FVD,
                    *bounds,
                    "squared feature distance",
                    "False",
                    note,
                ]
            )
    for sample, (group, prompt) in PROMPTS.items():
        (folder / "samples" / sample).mkdir(parents=True)
        Image.new("RGB", (16, 16), (200, 40, 40)).save(folder / "samples" / sample / "image.png")
        true = f"samples/{sample}/true.mkv" if group == "seen" else ""
        if true:
            write_clip(folder / true, clip_of("true", sample))
        samples.append([sample, group, prompt, f"samples/{sample}/image.png", true, "left"])
    header = [
        "cell",
        "method",
        "sample",
        "group",
        "seed",
        "metric",
        "value",
        "flags",
        "clip_key",
        "encoder_fingerprint",
    ]
    _write_csv(folder / "records.csv", header, records)
    header = [
        "cell",
        "method",
        "t0",
        "p",
        "group",
        "metric",
        "mean",
        "low",
        "high",
        "n",
        "unit",
        "higher_is_better",
        "note",
    ]
    _write_csv(folder / "summary.csv", header, summary)
    header = ["reference", "cell", "group", "metric", "difference", "low", "high", "n", "note"]
    _write_csv(folder / "comparisons.csv", header, comparisons)
    _write_csv(
        folder / "samples.csv", ["id", "group", "prompt", "image", "clip", "truth_motion"], samples
    )
    run = {
        "suite": {
            "name": "synthetic",
            "samples": {"source": "glyph-world", "seen": 2, "unseen": 2},
            "seeds": [0],
            "reference": REFERENCE,
            "metrics": [IDENTITY, MOTION, FVD],
        },
        "cells": [
            {"id": cell.id, "method": cell.method, "settings": dict(cell.settings)}
            for cell in CELLS
        ],
        "versions": {"torch": "2.12"},
        "weights": {"unet": "a" * 64},
        "encoders": {"dino_glyph": "e" * 64},
        "seeds": [0],
        "commit": "unknown",
        "dirty": False,
        "machine": {"platform": "Linux", "cpu_count": 2},
        "created": "2026-01-01T00:00:00Z",
        "finished": "2026-01-01T00:05:00Z",
        "counts": {"clips": 28},
        "judge_cards": {
            "clip": {
                "figures": {
                    "caption_top1_of_64": {"value": 0.9375, "bar": 0.9, "unit": "", "n": 512},
                    "loss": 0.25,
                }
            }
        },
        "warnings": [],
        "seconds_per_clip": {cell.id: 0.5 + i / 10 for i, cell in enumerate(CELLS)},
    }
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One headless browser for all tests."""
    webdriver = pytest.importorskip(
        "selenium.webdriver", reason="selenium, of the group tests, is not installed"
    )
    from selenium.webdriver.chrome.service import Service

    chrome = next(filter(None, map(shutil.which, CHROMES)), None)
    driver = shutil.which("chromedriver")
    if chrome is None or driver is None:
        pytest.skip(
            f"needs one of {', '.join(CHROMES)} and chromedriver on PATH (Debian: chromium, "
            "chromium-driver)"
        )
    options = webdriver.ChromeOptions()
    options.binary_location = chrome
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    yield opened
    opened.quit()


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One synthetic run for tests that only read it."""
    return write_run(tmp_path_factory.mktemp("runs") / "synthetic")


@pytest.fixture
def own_run_folder(run_folder: Path, tmp_path: Path) -> Path:
    """A synthetic run that the test may break."""
    return Path(shutil.copytree(run_folder, tmp_path / "own"))


@pytest.fixture(scope="session")
def page(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The HTML page of a synthetic run, made from a copy of it."""
    folder = Path(shutil.copytree(run_folder, tmp_path_factory.mktemp("reported") / "synthetic"))
    return write_report(folder)[0].read_text(encoding="utf-8")
