"""Compares a run with a committed baseline: two-sided, metric by metric, on the same samples and
seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from eval.errors import EvalError
from eval.io.documents import number_of, read_json, read_table, write_json
from eval.io.validation import validated
from eval.store.received import read_run
from eval.summary.statistics import paired_difference

DEFAULT = "default"
"""Key of the tolerance of every metric that has none of its own."""


_SUMMARY = ("cell", "group", "metric", "mean", "low", "high", "n", "higher_is_better")


class NothingMeasuredError(EvalError):
    """The run holds no value that the baseline holds, too: neither a pass nor a regression."""

    exit_code = 4


class Tolerance(BaseModel):
    """How far a mean may move, either way: the larger of the two.

    Attributes:
        interval: in half widths of the baseline's interval.
        absolute: in the metric's unit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    interval: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    absolute: float = Field(default=0.0, ge=0, allow_inf_nan=False)


class Entry(BaseModel):
    """A summary row of group ``all``, and for a metric of clips the values behind it, by
    ``sample/seed``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    cell: str
    metric: str
    mean: FiniteFloat
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    n: int = Field(ge=1)
    higher_is_better: bool | None = None
    clips: dict[str, FiniteFloat] = {}


class Baseline(BaseModel):
    """The committed file: what a suite's run gave, why that is the measure, and how far the next
    may be from it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: Literal[1] = 1
    suite: str
    reason: str = Field(min_length=1)
    commit: str = "unknown"
    tolerances: dict[str, Tolerance] = {DEFAULT: Tolerance(interval=0.5, absolute=1e-5)}
    entries: list[Entry] = Field(min_length=1)

    def tolerance(self, entry: Entry) -> float:
        """In the metric's unit."""
        chosen = self.tolerances.get(entry.metric) or self.tolerances.get(DEFAULT) or Tolerance()
        half = 0.0 if entry.low is None or entry.high is None else (entry.high - entry.low) / 2
        return max(chosen.interval * half, chosen.absolute)


class Verdict(NamedTuple):
    """One line of the gate's table.

    Attributes:
        cell, metric: what is compared.
        status: ``pass``, ``worse``, ``better`` or ``changed`` (beyond the tolerance; the last
            where neither direction is better), ``missing`` (the run lacks it) or ``new`` (the
            baseline does).
        difference: of the means, run - baseline; over the same samples and seeds for a metric
            of clips.
        low, high: interval of a paired difference.
        tolerance: the largest difference that passes, either way.
        note: for a reader.
    """

    cell: str
    metric: str
    status: str
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    tolerance: float | None = None
    note: str = ""

    @property
    def failed(self) -> bool:
        """Whether the gate fails: unexplained improvements fail too."""
        return self.status not in ("pass", "new")


def hold_against(baseline: Baseline, entries: Sequence[Entry]) -> list[Verdict]:
    """Verdicts in the baseline's order, then what is new.

    Raises:
        NothingMeasuredError: if no row of the baseline can be compared.
    """
    measured = {(entry.cell, entry.metric): entry for entry in entries}
    verdicts = [
        _verdict(baseline, entry, measured.pop((entry.cell, entry.metric), None))
        for entry in baseline.entries
    ]
    if all(verdict.status == "missing" for verdict in verdicts):
        raise NothingMeasuredError(
            "nothing to compare: the run holds none of the baseline's values; run its suite"
        )
    return verdicts + [
        Verdict(cell, metric, "new", note="not in the baseline") for cell, metric in measured
    ]


def _verdict(baseline: Baseline, before: Entry, now: Entry | None) -> Verdict:
    if now is None:
        return Verdict(before.cell, before.metric, "missing", note="not measured")
    tolerance = baseline.tolerance(before)
    low = high = None
    if before.clips:
        lost = before.clips.keys() - now.clips.keys()
        if lost:
            note = f"{len(lost)} of {len(before.clips)} clips not measured, first {min(lost)}"
            return Verdict(before.cell, before.metric, "missing", tolerance=tolerance, note=note)
        names = sorted(before.clips)
        new, old = [now.clips[name] for name in names], [before.clips[name] for name in names]
        difference, low, high, _, _ = paired_difference(
            new, old, [name.rpartition("/")[0] for name in names]
        )
    elif now.n != before.n:
        note = f"measured on {now.n} clips, the baseline on {before.n}"
        return Verdict(before.cell, before.metric, "missing", tolerance=tolerance, note=note)
    else:
        difference = now.mean - before.mean
    status = "pass"
    if abs(difference) > tolerance:
        better = before.higher_is_better
        status = (
            "changed" if better is None else "better" if (difference > 0) == better else "worse"
        )
    return Verdict(
        before.cell,
        before.metric,
        status,
        difference,
        low,
        high,
        tolerance,
        f"was {before.mean:.6g}",
    )


def read_entries(folder: Path) -> tuple[str, list[Entry]]:
    """The suite's name and the measured values of a run folder.

    Raises:
        NothingMeasuredError: the run has no table yet, or no value in it.
        EvalError: the folder holds no run.
    """
    document = read_run(folder)
    if not document:
        raise EvalError(
            f"{folder}: not a run folder (no run.json); i2v-eval run SUITE --out {folder} makes one"
        )
    clips: dict[tuple[str, str], dict[str, float]] = {}
    path = folder / "records.csv"
    for row in read_table(path, ("cell", "metric", "sample", "seed", "value")):
        value = number_of(row, "value", path)
        if value is not None:
            place = f"{row['sample']}/{row['seed']}"
            clips.setdefault((row["cell"], row["metric"]), {})[place] = value
    path = folder / "summary.csv"
    entries = [
        validated(
            Entry,
            {
                "cell": row["cell"],
                "metric": row["metric"],
                "mean": number_of(row, "mean", path),
                "low": _finite(row["low"]),
                "high": _finite(row["high"]),
                "n": row["n"],
                "higher_is_better": {"true": True, "false": False}.get(row["higher_is_better"]),
                "clips": clips.get((row["cell"], row["metric"]), {}),
            },
            where=f"{path}: {row['cell']}, {row['metric']}",
        )
        for row in read_table(path, _SUMMARY)
        if row["group"] == "all" and row["mean"]
    ]
    if not entries:
        raise NothingMeasuredError(f"{folder}: nothing is measured; run the suite to its end")
    return str(document["suite"]["name"]), entries


def read_baseline(path: Path) -> Baseline:
    """The baseline in a file.

    Raises:
        EvalError: the file does not exist, or is not valid.
    """
    if not path.is_file():
        raise EvalError(f"{path}: no baseline; make one of a run you trust with --update REASON")
    try:
        content = read_json(path)
    except EvalError as error:
        reason = str(error).removesuffix("; remove it and run again")
        raise EvalError(
            f"{reason}; restore it from version control, or make it again with --update REASON"
        ) from error
    return validated(Baseline, content, where=str(path))


def write_baseline(path: Path, folder: Path, reason: str) -> Baseline:
    """Makes the run in ``folder`` the baseline. Tolerances of the one before are kept.

    Raises:
        EvalError: no reason, or a run in which clips failed.
        NothingMeasuredError: as :func:`read_entries`.
    """
    suite, entries = read_entries(folder)
    if not reason.strip():
        raise EvalError("--update needs a reason: why are these the values to hold on to?")
    failed = sum(1 for _ in read_table(folder / "failures.csv", ("reason",)))
    if failed:
        raise EvalError(f"{folder}: {failed} clips failed; a baseline is made of a whole run")
    kept: Mapping[str, object] = (
        {"tolerances": read_baseline(path).tolerances} if path.is_file() else {}
    )
    commit = str(read_run(folder).get("commit", "unknown"))
    values = {
        "suite": suite,
        "reason": reason.strip(),
        "commit": commit,
        "entries": entries,
        **kept,
    }
    baseline = validated(Baseline, values, where=str(path))
    write_json(path, baseline.model_dump(mode="json"))
    return baseline


def _finite(text: str) -> float | None:
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
