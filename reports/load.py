"""Reads a run folder's CSV files, `run.json` and clips into typed frames, with one-line errors that
name the file.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.errors import EvalError

if TYPE_CHECKING:
    import pandas as pd

    from eval.clips.lossless import Clip

ANCHORS = ("true-clip", "still-image", "pan-zoom")
"""Methods that mark the ends of a scale and do not compete."""

_TEXT = {
    "records.csv": ("cell", "method", "sample", "group", "metric", "flags", "clip_key"),
    "summary.csv": ("cell", "method", "group", "metric", "unit", "higher_is_better", "note"),
    "comparisons.csv": ("reference", "cell", "group", "metric"),
    "samples.csv": ("id", "group", "prompt", "image", "clip"),
}
_NUMBERS = {
    "records.csv": ("seed", "value"),
    "summary.csv": ("t0", "p", "mean", "low", "high", "n"),
    "comparisons.csv": ("difference", "low", "high", "n"),
    "samples.csv": (),
}
_NEWER = {"comparisons.csv": ("note",)}
"""Columns that older runs lack; empty there."""
_DIRECTIONS = {
    "true": True,
    "1": True,
    "false": False,
    "0": False,
    "": None,
    "none": None,
    "nan": None,
}
_KEY = re.compile(r"[0-9a-f]{8,128}")


@dataclass(frozen=True)
class RunFolder:
    """A finished run as frames.

    Attributes:
        path: the run folder.
        run: contents of `run.json`.
        summary: one row per (cell, group, metric): mean, low, high, n; `higher_is_better` is
            True, False or None.
        comparisons: one row per (cell, group, metric): reference minus cell, low, high, n,
            note; may be empty.
        records: one row per (cell, sample, seed, metric).
        samples: one row per sample: id, group, prompt, image, clip (paths relative to the run
            folder, clip may be "").
    """

    path: Path
    run: Mapping[str, Any]
    summary: pd.DataFrame
    comparisons: pd.DataFrame
    records: pd.DataFrame
    samples: pd.DataFrame

    @property
    def suite(self) -> Mapping[str, Any]:
        """The suite as it was validated."""
        return self.run["suite"]

    @property
    def name(self) -> str:
        """The suite's name."""
        return str(self.suite.get("name") or self.path.name)

    @property
    def glyph_world(self) -> bool:
        """Whether the samples come from the small trained glyph world."""
        return (self.suite.get("samples") or {}).get("source") == "glyph-world"

    @cached_property
    def reference(self) -> str | None:
        """The cell that every other is compared with, or None."""
        named = list(dict.fromkeys(self.comparisons["reference"]))
        return named[0] if named else None

    @cached_property
    def groups(self) -> list[str]:
        """Sample groups of the summary: "all" first, then in order of appearance."""
        found = list(dict.fromkeys(self.summary["group"]))
        return [g for g in found if g == "all"] + [g for g in found if g != "all"]

    @cached_property
    def cells(self) -> list[str]:
        """Cells of the summary, in the plan's order."""
        found = list(dict.fromkeys(self.summary["cell"]))
        plan = {cell["id"]: i for i, cell in enumerate(self.run.get("cells", []))}
        return sorted(found, key=lambda cell: plan.get(cell, len(plan)))

    @cached_property
    def metrics(self) -> list[str]:
        """Metric ids of the summary, in the suite's order."""
        found = list(dict.fromkeys(self.summary["metric"]))
        asked = {metric: i for i, metric in enumerate(self.suite.get("metrics") or [])}
        return sorted(found, key=lambda metric: asked.get(metric, len(asked)))

    @cached_property
    def methods(self) -> dict[str, str]:
        """Method name of each cell."""
        return dict(zip(self.summary["cell"], self.summary["method"], strict=True))

    @cached_property
    def means(self) -> dict[tuple[str, str, str], tuple[float, float, float]]:
        """(cell, group, metric) -> mean, low, high."""
        columns = (
            self.summary[name] for name in ("cell", "group", "metric", "mean", "low", "high")
        )
        return {(c, g, m): numbers for c, g, m, *numbers in zip(*columns, strict=True)}  # type: ignore[misc]

    @cached_property
    def seconds_per_clip(self) -> dict[str, float]:
        """Median wall time to make a clip, of each cell that the run timed."""
        timed = self.run.get("seconds_per_clip") or {}
        return {cell: float(timed[cell]) for cell in self.cells if cell in timed}

    def is_anchor(self, cell: str) -> bool:
        """Whether the cell marks the end of a scale (true clip, still image) and does not
        compete."""
        return self.methods.get(cell) in ANCHORS

    @cached_property
    def seeds(self) -> list[int]:
        """Seeds with records, ascending."""
        return sorted({int(seed) for seed in self.records["seed"]})

    @cached_property
    def first_seed(self) -> int | None:
        """The smallest seed with records, whose clips the page shows."""
        return self.seeds[0] if self.seeds else None

    @cached_property
    def clip_keys(self) -> dict[tuple[str, str, int], str]:
        """Clip key of each (cell, sample, seed)."""
        rows = self.records.drop_duplicates(["cell", "sample", "seed"])
        columns = (rows[name] for name in ("cell", "sample", "seed", "clip_key"))
        return {
            (cell, sample, int(seed)): key for cell, sample, seed, key in zip(*columns, strict=True)
        }

    def cell_clip(self, cell: str, sample: str, seed: int | None = None) -> Clip | None:
        """The clip a cell made from a sample, at the first seed if none is given; None where the
        run recorded none.

        Raises:
            EvalError: the clip is recorded but missing or unreadable.
        """
        seed = self.first_seed if seed is None else seed
        key = None if seed is None else self.clip_keys.get((cell, sample, seed))
        if key is None:
            return None
        if not _KEY.fullmatch(key):
            raise EvalError(
                f"{self.path / 'records.csv'}: clip_key '{key}' of {cell}, {sample} is not a hex "
                "digest"
            )
        if storage := self.run.get("storage"):
            from eval.clips.lossless import read_clip
            from eval.io.files import Files, named_place

            return read_clip(Files(named_place(str(storage), self.path)).clip(key))
        return self._clip(f"clips/{key[:2]}/{key}.mkv")

    def true_clip(self, sample: str) -> Clip | None:
        """The sample's true clip, or None where it is not known."""
        relative = self._sample_value(sample, "clip")
        return self._clip(relative) if relative else None

    def image_path(self, sample: str) -> Path:
        """Path of the sample's input image."""
        return self._inside(self._sample_value(sample, "image"))

    def _sample_value(self, sample: str, column: str) -> str:
        return str(self.samples.loc[self.samples["id"] == sample, column].iloc[0])

    def _clip(self, relative: str) -> Clip:
        from eval.clips.lossless import read_clip

        return read_clip(self._inside(relative))

    def _inside(self, relative: str) -> Path:
        path = (self.path / relative).resolve()
        if not path.is_relative_to(self.path.resolve()):
            raise EvalError(f"{self.path / 'samples.csv'}: path '{relative}' leaves the run folder")
        if not path.is_file():
            raise EvalError(
                f"{path}: no such file, though the run lists it; run the suite again to make it "
                "anew"
            )
        return path


def load_run(directory: Path) -> RunFolder:
    """Reads a run folder.

    Raises:
        EvalError: the folder, a file, a column or a value is missing or unreadable; the message
            names it.
    """
    if not os.path.isdir(directory):
        raise EvalError(
            f"{directory}: no such run folder; make one with `python -m eval run SUITE --out "
            f"{directory}`"
        )
    frames = {name: _read_csv(directory / name) for name in _TEXT}
    summary = frames["summary.csv"]
    if summary.empty:
        raise EvalError(
            f"{directory / 'summary.csv'}: no rows, so there is nothing to report; run the suite "
            "first"
        )
    path = directory / "summary.csv"
    summary["higher_is_better"] = [_direction(path, text) for text in summary["higher_is_better"]]
    repeated = summary[summary.duplicated(["cell", "group", "metric"])]
    if len(repeated):
        row = repeated.iloc[0]
        raise EvalError(
            f"{path}: two rows for cell '{row['cell']}', group '{row['group']}', metric "
            f"'{row['metric']}'"
        )
    return RunFolder(
        path=directory,
        run=_read_json(directory / "run.json"),
        summary=summary,
        comparisons=frames["comparisons.csv"],
        records=frames["records.csv"],
        samples=frames["samples.csv"],
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
    for column in _NEWER.get(path.name, ()):
        if column not in frame.columns:
            frame[column] = ""
    missing = [c for c in (*_TEXT[path.name], *_NUMBERS[path.name]) if c not in frame.columns]
    if missing:
        raise EvalError(
            f"{path}: column {', '.join(missing)} is missing; it has {', '.join(frame.columns)}"
        )
    for column in _NUMBERS[path.name]:
        try:
            frame[column] = [float(text) if text else math.nan for text in frame[column]]
        except ValueError as error:
            raise EvalError(f"{path}: column {column} must hold numbers ({error})") from error
    return frame


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EvalError(
            f"{path}: no such file; the run is not finished, run its suite again"
        ) from error
    except (OSError, ValueError) as error:
        raise EvalError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(content, dict) or not isinstance(content.get("suite"), dict):
        raise EvalError(f"{path}: key 'suite' must hold the suite as a mapping")
    return content


def _direction(path: Path, text: str) -> bool | None:
    if text.strip().lower() not in _DIRECTIONS:
        raise EvalError(f"{path}: higher_is_better must be True, False or empty, not '{text}'")
    return _DIRECTIONS[text.strip().lower()]
