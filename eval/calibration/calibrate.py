"""Runs a calibration: clips, measurements, analysis, and two files with the results."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from eval.calibration.analysis import LEAST, STEADY, analyse, known_motion, verdict_words
from eval.calibration.corruptions import PROTOCOL
from eval.calibration.grid import calibration_plan, strengths, unit
from eval.calibration.material import CAMERA, GLYPH
from eval.errors import ClipError, EvalError
from eval.execute.options import Options
from eval.execute.run import carry_out
from eval.io.console import say
from eval.io.documents import write_csv, write_json
from eval.measure.evaluator import EvaluatorLike
from eval.measure.selection import metrics_of
from eval.metrics import Metric, fvmd
from eval.plan.suite import suite_placement
from eval.store.received import read_run
from eval.store.store import Store
from eval.world import scenes

ENCODERS = ("dino_glyph", "clip_glyph", "flow_dis", "videomae_glyph", "pixels")
"""What is calibrated unless other encoders are chosen: the glyph world's encoders, the flow, and
what reads bare pixels.
"""

CLIPS = 24


def calibrate(
    out: Path,
    *,
    encoders: Sequence[str] = ENCODERS,
    clips: int = CLIPS,
    console: Console | None = None,
    evaluator: Callable[[list[Metric]], EvaluatorLike] | None = None,
    options: Options = Options(),
    device: str = "auto",
    dtype: str = "float32",
) -> Path:
    """Measures every metric of ``encoders`` on corrupted clips; called again after a kill, it
    continues.

    Args:
        out: the run folder; besides a run's own files it gets ``calibration.json`` and
            ``calibration.csv``.
        encoders: encoder ids.
        clips: glyph clips for each strength, 8 or more; camera clips are half as many.
        console: for progress; standard error if None.
        evaluator: makes the evaluator; :class:`eval.measure.evaluator.Evaluator` if None.
        options: time limit, storage, workers, debugging; no value depends on them.
        device, dtype: where the encoders run and what they compute in; see `eval.device`.

    Returns:
        The path of ``calibration.json``.

    Raises:
        EvalError: unknown encoders, missing weights, too few clips, or metrics that have no
            value on these clips of 8 frames.
        ClipError: naming the first clip that could not be made or measured; all others are
            measured by then.
    """
    plan = calibration_plan(_for_short_clips(metrics_of(encoders)), clips)
    placement = suite_placement(device, dtype)
    plan = replace(plan, suite=plan.suite.model_copy(update=placement))
    outcome = carry_out(plan, out, console=console, evaluator=evaluator, options=options)
    if outcome.failures:
        listed = (
            f"{len(outcome.failures)} failed, listed in {out / 'failures.csv'}; the same "
            "command tries them again"
        )
        raise ClipError(f"{outcome.failures[0]}; {listed}")
    run = read_run(out)
    metrics = analyse(out, plan)
    if not metrics:
        asked = ", ".join(metric.id for metric in plan.metrics)
        raise EvalError(f"{asked}: nothing to measure on the calibration's clips")
    with Store(out) as store:
        motions = known_motion(store, plan)
    groups = {
        group: sum(sample.group == group for sample in plan.samples) for group in (GLYPH, CAMERA)
    }
    document = {
        "protocol": PROTOCOL,
        "clips": groups,
        "least_share": LEAST,
        "steady": STEADY,
        "verdicts": verdict_words(),
        "corruptions": {
            name: {"unit": unit(name), "strengths": list(steps)}
            for name, steps in strengths().items()
        },
        "metrics": metrics,
        "known_motion": motions,
        **{
            key: run.get(key)
            for key in ("commit", "dirty", "encoders", "versions", "machine", "finished")
        },
    }
    _write_csv(out / "calibration.csv", metrics)
    write_json(out / "calibration.json", document)
    return out / "calibration.json"


def _for_short_clips(metrics: Sequence[Metric]) -> list[Metric]:
    """The metrics without FVMD, whose 16 frames no clip of the calibration has."""
    fitting = [metric for metric in metrics if not metric.family.startswith("fvmd")]
    left_out = ", ".join(metric.id for metric in metrics if metric not in fitting)
    if left_out:
        have = f"needs {fvmd.FRAMES} frames, and the calibration's clips have {scenes.FRAMES}"
        say(f"left out {left_out}: FVMD {have}")
    return fitting


def _write_csv(path: Path, metrics: Sequence[dict[str, Any]]) -> None:
    """One row for each metric, group, corruption and strength."""
    columns = (
        "metric",
        "group",
        "corruption",
        "strength",
        "mean",
        "low",
        "high",
        "n",
        "spearman",
        "share",
        "verdict",
    )
    rows: list[list[object]] = []
    for entry in metrics:
        for name, response in entry["responses"].items():
            points = zip(
                *(response[key] for key in ("strengths", "means", "lows", "highs")), strict=True
            )
            for point in points:
                numbers = ["" if math.isnan(number) else repr(number) for number in point]
                rest = (
                    entry["n"],
                    repr(response["spearman"]),
                    repr(response["share"]),
                    response["verdict"],
                )
                rows.append([entry["metric"], entry["group"], name, *numbers, *rest])
    write_csv(path, columns, rows)
