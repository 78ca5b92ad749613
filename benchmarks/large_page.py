"""`python -m benchmarks.large_page FOLDER --across 15 --down 13`: a finished run of a sweep over
two settings, with clips and random values, to time `i2v-eval report` on many cells.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import yaml

from eval.clips.lossless import Clip, write_clip
from eval.execute.provenance import RunDocument
from eval.plan.cells import Plan
from eval.plan.planning import make_plan
from eval.store.sample_files import write_samples
from eval.store.store import Record, Store, StoredClip
from eval.summary.tables import write_failures, write_tables

METRICS = (
    "identity.dino_glyph.v1",
    "identity_min.dino_glyph.v1",
    "identity_last.dino_glyph.v1",
    "text.clip_glyph.v1",
    "text_min.clip_glyph.v1",
    "motion.flow_dis.v1",
    "motion_top5.flow_dis.v1",
    "warping.flow_dis.v1",
    "flicker.pixels.v1",
    "first_frame.ssim.pixels.v1",
)


def fill(folder: Path, across: int, down: int, images: int) -> tuple[Store, Plan]:
    """A store of clips and records of `across` times `down` cells, and its plan.

    A cell's clip is the sample's true clip under noise of a strength that grows with the cell, so
    that every film strip is another picture, about as hard to compress as what a model makes.
    """
    suite = {
        "name": "large-page",
        "samples": {"source": "glyph-world", "seen": images // 2, "unseen": images - images // 2},
        "methods": [
            {
                "method": "i2v-adapter",
                "sweep": {
                    "t0": [round(float(t0), 3) for t0 in np.linspace(0.2, 1, down)],
                    "p": [round(float(p), 3) for p in np.linspace(0.3, 1, across)],
                },
            },
            {"method": "true-clip"},
            {"method": "still-image"},
        ],
        "metrics": list(METRICS),
    }
    folder.mkdir(parents=True)
    (folder / "suite.yaml").write_text(yaml.safe_dump(suite))
    plan = make_plan(folder / "suite.yaml")
    store = Store(folder / "run")
    random = np.random.default_rng(0)
    for number, cell in enumerate(plan.cells):
        rows, records = [], []
        for sample, seed in plan.pairs(cell):
            assert sample.clip is not None
            key = f"{len(rows) + number * images:064x}"
            rows.append(StoredClip(cell.id, sample.id, seed, key, 1.0))
            noise = random.normal(0, 2 + 6 * number / len(plan.cells), sample.clip.frames.shape)
            frames = np.clip(sample.clip.frames + noise, 0, 255).astype(np.uint8)
            path = store.files.clip(key)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_clip(path, Clip(frames, sample.clip.fps))
            records += [
                Record(cell.id, sample.id, seed, metric.id, value, "", key, "f" * 64)
                for metric, value in zip(
                    plan.clip_metrics,
                    random.normal(0.5 + 0.2 * number / len(plan.cells), 0.1, len(METRICS)).tolist(),
                    strict=True,
                )
            ]
        store.add_clip_rows(rows)
        store.add_records(records)
    return store, plan


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_page", description=__doc__)
    parser.add_argument("folder", type=Path, help="must not be there yet; the run is in run/")
    parser.add_argument("--across", type=int, default=15, help="values of p")
    parser.add_argument("--down", type=int, default=13, help="values of t0")
    parser.add_argument("--images", type=int, default=24)
    asked = parser.parse_args()
    if asked.folder.exists():
        parser.error(f"{asked.folder} is there already; give another folder")
    store, plan = fill(asked.folder, asked.across, asked.down, asked.images)
    with store:
        write_samples(store, plan.samples)
        document = RunDocument(store.folder, plan, {}, stale=True)
        write_failures(store, [])
        document.finished(*write_tables(store, plan, {}))
    print(f"{len(plan.cells)} cells: i2v-eval report {asked.folder / 'run'}")


if __name__ == "__main__":
    main()
