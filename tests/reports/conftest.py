"""A small synthetic run folder in the harness's format, with numbers that the tests know."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eval.clips.lossless import Clip, write_clip
from eval.summary import cautions
from eval.summary.comparison_rows import COMPARISONS
from eval.summary.statistics import FEW_CLUSTERS
from eval.summary.tables import FAILURES, RECORDS, SUMMARY
from reports.cli import write_report

IDENTITY, MOTION, FVD = "identity.dino_glyph.v1", "motion.flow_dis.v1", "fvd.videomae_glyph.v1"
REFERENCE = "i2v-adapter[t0=1.0,p=0.5]"
FEW = '[{"code": "few_images", "clusters": 4}]'
CHANCE = '[{"code": "may_be_chance", "comparisons": 6, "expected": 0.3}]'
METRICS = (
    (IDENTITY, "cosine", "true"),
    (MOTION, "frame sizes/s", ""),
    (FVD, "squared feature distance", "false"),
)
"""Metric id, unit, higher_is_better as the harness writes it."""
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
    settings: Mapping[str, Any] = field(default_factory=dict)


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
    base = cell.motion if metric == MOTION else cell.identity
    value = base + _OFFSETS.get(sample, 0.0) / 2
    return 100 * (1 - value) if "lpips" in metric else value


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


def write_run(
    folder: Path,
    *,
    cells: Sequence[Cell] = (),
    metrics: Sequence[tuple[str, str, str]] = METRICS,
    prompts: Mapping[str, tuple[str, str]] = PROMPTS,
    reference: str | None = REFERENCE,
    source: str = "glyph-world",
    failed: Mapping[str, str] = {},
    clip: Callable[[str, str], Clip] = clip_of,
) -> Path:
    """Writes the synthetic run into a new folder.

    Args:
        cells: of the run; those named in `failed` have no clip.
        metrics: id, unit, direction; those of a set have no records.
        prompts: sample -> group and prompt.
        reference: the cell that others are compared with.
        source: of the samples.
        failed: cell -> reason why all its clips failed.
        clip: makes a cell's clip of a sample.
    """
    folder.mkdir(parents=True)
    cells = list(cells or CELLS)
    records, summary, comparisons, samples = [], [], [], []
    groups: dict[str, list[str]] = {"all": list(prompts)}
    for sample, (group, _) in prompts.items():
        groups.setdefault(group, []).append(sample)
    whole = [cell for cell in cells if cell.id not in failed]
    home = next((cell for cell in whole if cell.id == reference), None)
    of_clips = [m for m in metrics if not m[0].startswith(("fvd", "kvd"))]
    for cell in sorted(whole, key=lambda cell: cell.id):
        for sample, (group, _) in sorted(prompts.items()):
            key = clip_key(cell.id, sample)
            write_clip(folder / "clips" / key[:2] / f"{key}.mkv", clip(cell.id, sample))
            for metric, _, _ in of_clips or [(IDENTITY, "", "")]:
                value = _value(cell, sample, metric)
                flags = "prompt_truncated" if sample == "unseen-0" else ""
                row = [cell.id, cell.method, sample, group, 0, metric, repr(value), flags, key]
                records.append([*row, "e" * 64])
        for group, members in groups.items():
            settings = [cell.settings.get("t0", ""), cell.settings.get("p", "")]
            start, n = [cell.id, cell.method, *settings, group], len(members)
            for metric, unit, higher in metrics:
                if (metric, unit, higher) in of_clips:
                    mean = float(np.mean([_value(cell, s, metric) for s in members]))
                    low, high = (mean - 0.01, mean + 0.01) if n > 1 else ("", "")
                    numbers = [mean, low, high, n, n, 0, ""]
                    cautions = "" if n > 1 else '[{"code": "no_interval", "clusters": 1}]'
                    if home is not None and cell is not home:
                        gap = float(
                            np.mean(
                                [_value(home, s, metric) - _value(cell, s, metric) for s in members]
                            )
                        )
                        ends = (gap - 0.015, gap + 0.015) if n > 1 else ("", "")
                        told = abs(gap) > 0.015 and n > 1
                        doubt = abs(gap) < 0.05
                        comparisons.append(
                            [
                                *(home.id, cell.id, group, metric, gap, *ends, n, n),
                                *(len(whole) - 1, str(not doubt).lower() if told else ""),
                                CHANCE if told and doubt else FEW if doubt else "",
                            ]
                        )
                else:
                    numbers = [100 * (1 - cell.identity), "", "", n, n, 0, 7.5 if n > 1 else ""]
                    cautions = json.dumps([{"code": "mostly_bias", "n": n, "dimension": 64}])
                summary.append([*start, metric, *numbers, unit, higher, cautions])
    for number, (sample, (group, prompt)) in enumerate(prompts.items()):
        (folder / "samples" / sample).mkdir(parents=True)
        Image.new("RGB", (16, 16), (200, 40, 40 + number % 200)).save(
            folder / "samples" / sample / "image.png"
        )
        true = f"samples/{sample}/true.mkv" if group == "seen" else ""
        if true:
            write_clip(folder / true, clip_of("true", sample))
        samples.append([sample, group, prompt, f"samples/{sample}/image.png", true, "left"])
    _write_csv(folder / "records.csv", RECORDS, records)
    _write_csv(folder / "summary.csv", SUMMARY, summary)
    _write_csv(folder / "comparisons.csv", COMPARISONS, comparisons)
    losses = [[c, s, 0, "make", why] for c, why in failed.items() for s in prompts]
    _write_csv(folder / "failures.csv", FAILURES, losses)
    _write_csv(
        folder / "samples.csv", ["id", "group", "prompt", "image", "clip", "truth_motion"], samples
    )
    run = {
        "suite": {
            "name": "synthetic",
            "samples": {"source": source, "seen": 2, "unseen": 2},
            "seeds": [0],
            "reference": reference,
            "metrics": [metric for metric, _, _ in metrics],
        },
        "cells": [
            {"id": cell.id, "method": cell.method, "settings": dict(cell.settings)}
            for cell in cells
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
        "seconds_per_clip": {cell.id: 0.5 + i / 10 for i, cell in enumerate(whole)},
    }
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    return folder


@contextmanager
def two_images_suffice() -> Iterator[None]:
    """The synthetic runs have four images, which are too few to separate cells: here two are
    enough. Tests of the rule itself ask for `ten_images`.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cautions, "FEW_CLUSTERS", 2)
        yield


@pytest.fixture(autouse=True)
def small_runs() -> Iterator[None]:
    """See `two_images_suffice`."""
    with two_images_suffice():
        yield


@pytest.fixture
def ten_images(small_runs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite's own threshold."""
    monkeypatch.setattr(cautions, "FEW_CLUSTERS", FEW_CLUSTERS)


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
    with two_images_suffice():
        return write_report(folder)[0].read_text(encoding="utf-8")
