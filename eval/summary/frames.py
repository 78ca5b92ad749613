"""Results as pandas frames: scores of clips in memory, and the tables of a run folder."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.clips.lossless import Clip
from eval.errors import EvalError
from eval.io.documents import read_json
from eval.measure.catalogue import parse_metric
from eval.measure.evaluator import Evaluator
from eval.metrics import Metric
from eval.samples import Sample
from eval.summary.clusters import image_clusters
from eval.summary.set_metrics import set_value

if TYPE_CHECKING:
    import pandas as pd

_NO_PROMPT = "(no prompt)"
_NUMBERS = ("t0", "p", "value", "mean", "low", "high", "difference", "bias_corrected")
_COUNTS = ("seed", "n", "clusters", "lost", "comparisons")
_TRUTHS = ("higher_is_better", "survives_correction")


def score(
    clips: Sequence[Clip],
    metrics: Sequence[str | Metric],
    *,
    samples: Sequence[Sample] | None = None,
    reference: Sequence[Clip] | None = None,
    device: str = "cpu",
    dtype: str = "float32",
) -> pd.DataFrame:
    """Measures clips.

    Args:
        clips: one or more.
        metrics: ids, or what `parse_metric` gives.
        samples: what each clip was made from, its input image and prompt. None: each clip is
            measured by itself, and metrics that read an image or a prompt are refused.
        reference: clips that metrics of sets, such as ``fvd``, compare with; two or more.
        device: torch device that encoders run on.
        dtype: what encoders that can do so compute in, e.g. ``bfloat16``.

    Returns:
        One row for each clip and metric, in that order: ``clip`` (its number), ``sample``,
        ``metric``, ``value``, ``unit`` and ``higher_is_better`` (None where neither direction is
        better). Then one row for each metric of sets, without clip and sample. ``low``, ``high``,
        ``bias_corrected`` and ``note`` belong to those: the 95 % jackknife interval, the value
        without its small-sample bias where that is known, and what to know about the value.

    Raises:
        EvalError: no clips, an unknown metric, a metric that needs what is not given, or a clip
            that cannot be measured.
        WeightsMissingError: an encoder's weights are not on this machine.

    Examples:
        >>> import numpy as np
        >>> still = Clip(np.zeros((4, 16, 16, 3), np.uint8), fps=8.0)
        >>> table = score([still], ["flicker.pixels.v1"])
        >>> print(table.loc[0, "metric"], table.loc[0, "value"], table.loc[0, "unit"])
        flicker.pixels.v1 0.0 share of range
    """
    import pandas as pd

    wanted = [parse_metric(each) if isinstance(each, str) else each for each in metrics]
    if not clips or not wanted:
        raise EvalError(f"score: {len(clips)} clips and {len(wanted)} metrics; give one or more")
    if samples is not None and len(samples) != len(clips):
        raise EvalError(
            f"score: {len(samples)} samples but {len(clips)} clips; give one sample per clip"
        )
    for metric in wanted:
        if samples is None and (metric.needs or metric.truth):
            needs = " and ".join(metric.needs) or "ground truth"
            raise EvalError(f"score: {metric.id} reads the sample's {needs}; give samples")
        if metric.scope == "set" and (reference is None or len(reference) < 2):
            raise EvalError(
                f"score: {metric.id} compares with a set of clips; give reference, two or more"
            )
    made_from = samples or [
        Sample(f"clip-{number}", clip.frames[0], _NO_PROMPT) for number, clip in enumerate(clips)
    ]
    evaluator = Evaluator(wanted, device=device, dtype=dtype)
    rows: list[dict[str, Any]] = []
    measured = evaluator.measure(made_from, clips)
    for number, (sample, values) in enumerate(zip(made_from, measured, strict=True)):
        for metric in wanted:
            if metric.id in values:
                name = sample.id if samples is not None else None
                rows.append({"clip": number, "sample": name} | _row(metric, values[metric.id]))
    for metric in wanted:
        if metric.scope == "set" and reference is not None:
            real = evaluator.video_features(reference, metric.encoder)
            fake = evaluator.video_features(clips, metric.encoder)
            owners = _owners(made_from, apart=samples is None)
            found, corrected, cautions = set_value(metric, real, fake, owners, paired=False)
            row = {"clip": None, "sample": None} | _row(metric, found.mean)
            row |= {"low": found.low, "high": found.high, "bias_corrected": corrected}
            rows.append(row | {"note": "; ".join(map(str, cautions))})
    columns = ["clip", "sample", "metric", "value", "low", "high", "bias_corrected", "unit"]
    table = pd.DataFrame(rows, columns=[*columns, "higher_is_better", "note"])
    return table.astype({"clip": "Int64", "higher_is_better": object})


def _row(metric: Metric, value: float) -> dict[str, Any]:
    return {
        "metric": metric.id,
        "value": value,
        "low": float("nan"),
        "high": float("nan"),
        "bias_corrected": float("nan"),
        "unit": metric.unit,
        "higher_is_better": metric.higher_is_better,
        "note": "",
    }


def _owners(samples: Sequence[Sample], *, apart: bool) -> list[int]:
    """The number of each clip's input image; each clip's own if nothing is known of it."""
    if apart:
        return list(range(len(samples)))
    images, known = image_clusters(samples), dict[str, int]()
    return [known.setdefault(images[sample.id], len(known)) for sample in samples]


@dataclass(frozen=True, eq=False)
class RunTables:
    """The tables of a run folder.

    Attributes:
        folder: the run folder.
        info: ``run.json``: suite, cells, metrics, weights, versions, machine, warnings.
        records: one row for each cell, sample, seed and metric: ``value``.
        summary: one row for each cell, group and metric: ``mean``, ``low``, ``high``, ``n``.
        comparisons: one row for each cell beside the reference, group and metric: ``difference``
            (reference - cell), ``low``, ``high``, ``n``.
        samples: id, group, prompt, files and ground truth of every sample.
        failures: clips without a value, with the reason.

    Examples:
        >>> RunTables.__dataclass_fields__.keys() >= {"records", "summary"}
        True
    """

    folder: Path
    info: dict[str, Any]
    records: pd.DataFrame
    summary: pd.DataFrame
    comparisons: pd.DataFrame
    samples: pd.DataFrame
    failures: pd.DataFrame


def load_run(folder: str | Path) -> RunTables:
    """Reads the tables of a finished run.

    Args:
        folder: of a run, as `run` and ``i2v-eval run`` write it.

    Returns:
        Frames with numbers as float64 and Int64, and ``higher_is_better`` as True, False or
        None.

    Raises:
        EvalError: not a run folder, or a run that is not finished.

    Examples:
        >>> load_run("no-such-folder")
        Traceback (most recent call last):
        ...
        eval.errors.EvalError: no-such-folder: not a run folder (no run.json)
    """
    path = Path(folder)
    info = read_json(path / "run.json")
    if not info:
        raise EvalError(f"{path}: not a run folder (no run.json)")
    names = ("records", "summary", "comparisons", "samples", "failures")
    return RunTables(path, info, *(_read(path / f"{name}.csv") for name in names))


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    if not path.is_file():
        raise EvalError(f"{path}: no such file; the run is not finished, run its suite again")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file, strict=True))
        frame = pd.DataFrame(rows[1:], columns=rows[0])
        for name in frame.columns:
            if name in _NUMBERS:
                frame[name] = [float(text) if text else float("nan") for text in frame[name]]
            elif name in _COUNTS:
                frame[name] = pd.array([int(text) for text in frame[name]], dtype="Int64")
            elif name in _TRUTHS:
                known = {"true": True, "false": False, "": None}
                frame[name] = pd.Series([known[text] for text in frame[name]], dtype=object)
    except (ValueError, KeyError, IndexError, csv.Error) as error:
        raise EvalError(f"{path}: not a table of a run ({error}); run its suite again") from error
    return frame
