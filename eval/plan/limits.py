"""What a suite may ask for: so many cells, and encoders that know its samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from eval.errors import EvalError
from eval.measure.catalogue import applies, registered
from eval.measure.selection import foreign_encoders
from eval.metrics import Metric
from eval.plan.cells import Cell
from eval.plan.suite import Suite
from eval.samples import Sample

MOST_CELLS = 10_000
"""Cells of a suite, unless an option says more."""


def check_size(suite: Suite, path: Path, most: int = MOST_CELLS) -> None:
    """Refuses a suite of more cells than `most`, before any of them is made.

    Raises:
        EvalError: naming the entry with the most cells.
    """
    counts = [math.prod(map(len, entry.sweep.values())) for entry in suite.methods]
    if sum(counts) > most:
        index = counts.index(max(counts))
        swept = " x ".join(
            f"{len(values):,} values of {key}" for key, values in suite.methods[index].sweep.items()
        )
        raise EvalError(
            f"{path}: methods[{index}].sweep: {swept} make {sum(counts):,} cells with the other "
            f"methods; at most {most:,} are allowed. Sweep fewer values, or raise it: --max-cells "
            f"{sum(counts)}"
        )


def check_material(
    suite: Suite, samples: Sequence[Sample], metrics: Sequence[Metric], path: Path
) -> None:
    """Refuses the glyph world's encoders on other pictures, unless the suite allows it, metrics
    that compare with a true clip where a sample has none, and metrics about no sample at all.

    Raises:
        EvalError: naming the metric and a sample.
    """
    without = next((sample.id for sample in samples if sample.clip is None), None)
    for metric in metrics:
        if without is not None and "clip" in metric.needs:
            raise EvalError(
                f"{path}: metrics: '{metric.id}' compares with the true clip, which sample "
                f"'{without}' does not have; name one for every sample (the manifest's column "
                "clip), or leave the metric out"
            )
        if not any(applies(metric, sample) for sample in samples):
            raise EvalError(
                f"{path}: metrics: '{metric.id}' has a value for none of the {len(samples)} "
                f"samples; `i2v-eval metrics {metric.id}` says which it is about"
            )
    foreign = () if suite.allow_glyph_encoders else foreign_encoders(metrics, samples)
    for metric in metrics:
        if metric.encoder in foreign:
            raise EvalError(
                f"{path}: metrics: {refusal(metric)}, or set allow_glyph_encoders: true"
            )


def check_lengths(cells: Sequence[Cell], metrics: Sequence[Metric], path: Path) -> None:
    """Refuses clips too short for a metric, where a cell's settings say how long they are.

    Raises:
        EvalError: naming the method, its frames and the metric.
    """
    for cell in cells:
        frames = cell.settings.get("frames")
        if not isinstance(frames, int):
            continue
        for metric in metrics:
            least = registered(metric).definition.frames
            if frames < least:
                raise EvalError(
                    f"{path}: methods[{cell.entry}] ({cell.label}): its clips have {frames} "
                    f"frames, and '{metric.id}' needs {least} or more; make longer clips, or leave "
                    "the metric out"
                )


def refusal(metric: Metric) -> str:
    """Why an encoder of the glyph world measures no other pictures, and what does."""
    return (
        f"'{metric.id}': encoder {metric.encoder} was trained on the glyph world and knows no "
        "other pictures, as these samples are; take "
        f"{_OTHERS.get(metric.encoder, 'another encoder')}"
    )


_OTHERS = {
    "dino_glyph": "dino_vits16",
    "clip_glyph": "clip_vitb32_openai",
    "videomae_glyph": "videomae:HUB_ID or i3d:FILE",
}
