"""Quality beside speed: identity and motion of the glyph world's methods against the seconds a clip
takes.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from benchmarks.interleave import quantile
from benchmarks.scenario import Bench
from eval.execute.run import run
from eval.store.store import Store
from reports.run.load import load_run

MEASURES = ("identity.dino_glyph.v1", "motion.flow_dis.v1")
STEPS = (4, 8, 16)
IMAGES = 8


def _suite(images: int) -> dict[str, Any]:
    return {
        "name": "quality-and-speed",
        "samples": {"source": "glyph-world", "seen": 0, "unseen": images, "seed": 7011},
        "batch_size": images,
        "methods": [
            {
                "method": "i2v-adapter",
                "settings": {"guidance_scale": 2.0},
                "sweep": {"steps": list(STEPS)},
            },
            {"method": "content-adapter", "settings": {"steps": 8, "guidance_scale": 2.0}},
            {"method": "text-to-video", "settings": {"steps": 8, "guidance_scale": 3.0}},
        ],
        "metrics": list(MEASURES),
    }


def test_quality(bench: Bench, tmp_path: Path) -> None:
    def carry_out(images: int) -> Path:
        suite, folder = tmp_path / f"{images}.yaml", tmp_path / f"{images}"
        suite.write_text(yaml.safe_dump(_suite(images)))
        run(str(suite), folder, console=Console(file=io.StringIO()))
        return folder

    def measure() -> dict[str, Any]:
        carry_out(1)  # loads the models
        folder = carry_out(IMAGES)
        found = load_run(folder)
        summary = found.summary[found.summary["group"] == found.groups[0]].set_index(
            ["cell", "metric"]
        )
        with Store(folder, read_only=True) as store:
            seconds = {
                cell: quantile(list(store.seconds(cell).values()), 0.5) for cell in found.cells
            }
        cells = [
            {
                "cell": cell,
                "seconds": seconds[cell],
                "over_fastest": seconds[cell] / min(seconds.values()),
                "values": [
                    {
                        key: float(summary.loc[(cell, metric), key])
                        for key in ("mean", "low", "high", "n")
                    }
                    for metric in MEASURES
                ],
            }
            for cell in found.cells
        ]
        return {"cells": cells, "measures": list(MEASURES)}

    bench.once(f"glyph world, {IMAGES} unseen images, one seed", measure)
