"""Quality beside speed: identity and motion of the glyph world's methods against the seconds a clip
takes; and what each setting that saves time costs in identity, text and motion.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from benchmarks.interleave import quantile
from benchmarks.scenario import Bench, Variant
from eval.execute.run import run
from eval.methods import load_method
from eval.samples.glyph_world import GlyphWorldSettings, load
from eval.store.store import Store
from eval.summary.frames import load_run as load_tables
from reports.run.load import load_run

MEASURES = ("identity.dino_glyph.v1", "motion.flow_dis.v1")
STEPS = (4, 8, 16)
IMAGES = 8

ALL_STEPS = 16
FASTER: dict[str, dict[str, Any]] = {
    "half the steps": {"steps": ALL_STEPS // 2},
    "guidance in the first half": {"guidance_interval": [0.0, 0.5]},
    "guidance in the second half": {"guidance_interval": [0.5, 1.0]},
    "features reused: every 2nd step whole": {"reuse_every": 2},
    "features reused: every 3rd step whole": {"reuse_every": 3},
    "features reused: every 3rd step whole and 2 layers": {"reuse_every": 3, "reuse_layers": 2},
    "every 2nd step whole and guidance in the first half": {
        "reuse_every": 2,
        "guidance_interval": [0.0, 0.5],
    },
    "fp8 weights": {"fp8": True},
}
"""Settings that save time or memory, by what a reader calls them."""
FASTER_MEASURES = ("identity.dino_glyph.v1", "text.clip_glyph.v1", "motion.flow_dis.v1")
FASTER_IMAGES = 20
FASTER_TIME = f"glyph world, a clip of {ALL_STEPS} steps"


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


def _faster_suite(images: int) -> dict[str, Any]:
    common = {"steps": ALL_STEPS, "guidance_scale": 2.0}
    named = {"plain": {}, **FASTER}
    return {
        "name": "faster-sampling",
        "samples": {"source": "glyph-world", "seen": 0, "unseen": images, "seed": 7012},
        "batch_size": 8,
        "methods": [
            {"method": "i2v-adapter", "label": name, "settings": common | settings}
            for name, settings in named.items()
        ],
        "metrics": list(FASTER_MEASURES),
        "reference": "plain",
    }


def test_time_of_faster_sampling(bench: Bench) -> None:
    samples = load(GlyphWorldSettings(seen=0, unseen=1, seed=7012))
    method: Any = load_method("i2v-adapter")

    def variant(settings: dict[str, Any]) -> Variant:
        made = method(method.Settings(guidance_scale=2.0, **settings))
        return Variant(lambda: made.generate(samples, [0]))

    named = {"plain": {}, **FASTER}
    named = {name: {"steps": ALL_STEPS, **settings} for name, settings in named.items()}
    bench.compare(
        FASTER_TIME,
        {name: lambda settings=settings: variant(settings) for name, settings in named.items()},
        rounds=6,
        ratios=[(name, "plain") for name in FASTER],
    )


def test_quality_of_faster_sampling(bench: Bench, tmp_path: Path) -> None:
    """Beside the times of the test before, where it was run."""
    images = FASTER_IMAGES if bench.most is None else 2
    timed = next((row for row in bench.rows if row["scenario"] == FASTER_TIME), {})

    def measure() -> dict[str, Any]:
        suite, folder = tmp_path / "faster.yaml", tmp_path / "faster"
        suite.write_text(yaml.safe_dump(_faster_suite(images)))
        run(str(suite), folder, console=Console(file=io.StringIO()))
        tables = load_tables(folder)
        [group] = set(tables.summary["group"]) - {"all"}
        means, found = (
            table[table["group"] == group].set_index(["cell", "metric"])
            for table in (tables.summary, tables.comparisons)
        )
        paired = []
        for name in FASTER:
            changes = []
            for metric in FASTER_MEASURES:
                row = found.loc[(name, metric)]  # reference - cell
                changes.append(
                    {
                        "difference": -float(row["difference"]),
                        "low": -float(row["high"]),
                        "high": -float(row["low"]),
                        "n": int(row["n"]),
                    }
                )
            paired.append(
                {
                    "cell": name,
                    "time": timed.get("ratios", {}).get(f"{name} / plain"),
                    "changes": changes,
                }
            )
        plain = [float(means.loc[("plain", metric), "mean"]) for metric in FASTER_MEASURES]
        return {"paired": paired, "measures": list(FASTER_MEASURES), "plain": plain}

    bench.once(f"glyph world, {images} unseen images, {ALL_STEPS} steps, against plain", measure)
