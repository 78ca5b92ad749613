"""Reads a run folder's CSV files, `run.json` and clips into typed frames, with one-line errors that
name the file.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.errors import EvalError
from eval.store.received import read_run
from reports.run.folder import Failed, RunFolder

if TYPE_CHECKING:
    import pandas as pd

    from eval.summary.cautions import Caution

_TEXT = {
    "records.csv": ("cell", "method", "sample", "group", "metric", "flags", "clip_key"),
    "summary.csv": ("cell", "method", "group", "metric", "unit", "higher_is_better"),
    "comparisons.csv": ("reference", "cell", "group", "metric"),
    "samples.csv": ("id", "group", "prompt", "image", "clip"),
}
_NUMBERS = {
    "records.csv": ("seed", "value"),
    "summary.csv": ("t0", "p", "mean", "low", "high", "n"),
    "comparisons.csv": ("difference", "low", "high", "n"),
    "samples.csv": (),
}
_NEWER = {
    "summary.csv": (("cautions", "note"), ("clusters", "lost", "bias_corrected")),
    "comparisons.csv": (
        ("cautions", "note", "survives_correction"),
        ("clusters", "comparisons"),
    ),
}
"""Columns of texts and of numbers that some versions' tables lack; empty there. ``note`` is the
free text of runs made before there were cautions."""
_TRUTHS = {
    "true": True,
    "1": True,
    "false": False,
    "0": False,
    "": None,
    "none": None,
    "nan": None,
}


def load_run(directory: Path) -> RunFolder:
    """Reads a run folder.

    Raises:
        EvalError: the folder, a file, a column or a value is missing or unreadable; the message
            names it.
    """
    if not os.path.isdir(directory):
        raise EvalError(
            f"{directory}: no such run folder; make one with `i2v-eval run SUITE --out {directory}`"
        )
    frames = {name: _read_csv(directory / name) for name in _TEXT}
    summary = frames["summary.csv"]
    if summary.empty:
        raise EvalError(
            f"{directory / 'summary.csv'}: no rows, so there is nothing to report; run the suite "
            "first"
        )
    path = directory / "summary.csv"
    for frame, name in ((summary, "summary.csv"), (frames["comparisons.csv"], "comparisons.csv")):
        frame["cautions"] = _objects(_cautions(frame, directory / name), frame)
    summary["higher_is_better"] = _objects(_truths(summary, "higher_is_better", path), summary)
    compared = frames["comparisons.csv"]
    compared["survives_correction"] = _objects(
        _truths(compared, "survives_correction", directory / "comparisons.csv"), compared
    )
    repeated = summary[summary.duplicated(["cell", "group", "metric"])]
    if len(repeated):
        row = repeated.iloc[0]
        raise EvalError(
            f"{path}: two rows for cell '{row['cell']}', group '{row['group']}', metric "
            f"'{row['metric']}'"
        )
    return RunFolder(
        path=directory,
        run=_run_document(directory),
        summary=summary,
        comparisons=frames["comparisons.csv"],
        records=frames["records.csv"],
        samples=frames["samples.csv"],
        failures=_failures(directory / "failures.csv"),
    )


def _read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    if not path.is_file():
        raise EvalError(
            f"{path}: no such file; the run is not finished, run its suite again with the same "
            "--out"
        )
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:  # pandas' parser errors are ValueErrors
        raise EvalError(
            f"{path}: not a readable CSV file ({str(error).splitlines()[0]})"
        ) from error
    texts, numbers = _NEWER.get(path.name, ((), ()))
    for column in (*texts, *numbers):
        if column not in frame.columns:
            frame[column] = ""
    missing = [c for c in (*_TEXT[path.name], *_NUMBERS[path.name]) if c not in frame.columns]
    if missing:
        raise EvalError(
            f"{path}: column {', '.join(missing)} is missing; it has {', '.join(frame.columns)}"
        )
    for column in (*_NUMBERS[path.name], *numbers):
        try:
            frame[column] = [float(text) if text else math.nan for text in frame[column]]
        except ValueError as error:
            raise EvalError(f"{path}: column {column} must hold numbers ({error})") from error
    return frame


def _run_document(directory: Path) -> Mapping[str, Any]:
    path = directory / "run.json"
    if not path.is_file():
        raise EvalError(f"{path}: no such file; the run is not finished, run its suite again")
    content = read_run(directory)
    if not isinstance(content.get("suite"), dict):
        raise EvalError(f"{path}: key 'suite' must hold the suite as a mapping")
    return content


def _objects(values: Sequence[object], frame: pd.DataFrame) -> pd.Series:
    """A column of Python objects: pandas would make numpy bools of True and False."""
    import pandas as pd

    return pd.Series(values, index=frame.index, dtype=object)


def _truths(frame: pd.DataFrame, column: str, path: Path) -> list[bool | None]:
    found = []
    for text in frame[column]:
        if text.strip().lower() not in _TRUTHS:
            raise EvalError(f"{path}: {column} must be True, False or empty, not '{text}'")
        found.append(_TRUTHS[text.strip().lower()])
    return found


def _cautions(frame: pd.DataFrame, path: Path) -> list[tuple[Caution, ...]]:
    """Cautions of each row; the note of an older run becomes one caution with that text."""
    from eval.summary.cautions import Caution, from_json

    return [
        (
            *from_json(text, f"{path}: column cautions"),
            *([Caution("note", {"text": note})] if note else []),
        )
        for text, note in zip(frame["cautions"], frame["note"], strict=True)
    ]


def _failures(path: Path) -> list[Failed]:
    """Rows of ``failures.csv`` that name a cell and a sample; none where there is no such file."""
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            rows = list(csv.DictReader(file))
    except (OSError, csv.Error) as error:
        raise EvalError(f"{path}: not a readable CSV file ({error})") from error
    return [
        Failed(row["cell"] or "", row["sample"] or "", row.get("reason") or "unknown")
        for row in rows
        if "cell" in row and "sample" in row
    ]
