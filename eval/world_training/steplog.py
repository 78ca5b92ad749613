"""A stage's log: loss, time and figures as lines of `log.jsonl`, and their curve beside it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

_LOG_EVERY = 50  # steps


class StepLog:
    """Means of the loss over every `_LOG_EVERY` steps, and figures when they are measured; resumes
    its clock.
    """

    def __init__(self, folder: Path, report: Callable[[str], None] = print) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path, self._report = folder / "log.jsonl", report
        self._path.touch()
        self.loss, self.seconds = float("nan"), 0.0
        for line in _read(self._path):
            self.seconds, self.loss = line["seconds"], line.get("loss", self.loss)
        self._losses: list[float] = []
        self._last = time.monotonic()

    def __call__(self, step: int, loss: float) -> None:
        now = time.monotonic()
        self.seconds, self._last = self.seconds + now - self._last, now
        self._losses.append(loss)
        if step % _LOG_EVERY == 0:
            self.loss = float(np.mean(self._losses))
            self._losses.clear()
            self._write(step, {"loss": self.loss})

    def figures(self, step: int, found: Mapping[str, float]) -> None:
        """Logs figures; the time they took to measure does not count as training."""
        self._write(step, found)
        self._last = time.monotonic()

    def _write(self, step: int, values: Mapping[str, float]) -> None:
        line = {"step": step, "seconds": round(self.seconds, 1), **values}
        with self._path.open("a") as log:
            log.write(json.dumps(line) + "\n")
        stated = " ".join(f"{name} {value:.5f}" for name, value in values.items())
        self._report(f"{self._path.parent.name} step {step} {stated} {self.seconds:.0f} s")


def keep_log(folder: Path, kept: Path, training: int) -> None:
    """Appends the folder's log to `kept` as training number `training` of its stage. Entries of
    this or a later number belong to overwritten weights and are dropped."""
    lines = [line for line in _read(kept) if line["training"] < training] if kept.exists() else []
    lines += [{"training": training, **line} for line in _read(folder / "log.jsonl")]
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text("".join(json.dumps(line) + "\n" for line in lines))


def plot_logs(logs: Iterable[Path], path: Path) -> None:
    """Draws the loss over training minutes, and the figures where there are any, of every log that
    exists.

    A stage's later trainings follow its first one on the axis, in a colour of their own.
    """
    from matplotlib.figure import Figure

    found = {_stage(log): _read(log) for log in logs if log.exists()}
    columns = min(4, max(1, len(found)))
    rows = max(1, -(-len(found) // columns))
    figure = Figure(figsize=(3.4 * columns, 2.6 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for axis in axes[len(found) :]:
        axis.set_axis_off()
    for axis, (name, lines) in zip(axes, found.items(), strict=False):
        axis.set(title=name, xlabel="minutes", ylabel="loss", yscale="log")
        other, start = None, 0.0
        for training in sorted({line.get("training", 0) for line in lines}):
            part = [line for line in lines if line.get("training", 0) == training]
            minutes = [start + line["seconds"] / 60 for line in part]
            losses = [
                (x, line["loss"]) for x, line in zip(minutes, part, strict=True) if "loss" in line
            ]
            axis.plot(*zip(*losses, strict=True), color=f"C{training}", linewidth=1.2)
            for colour, key in enumerate(
                sorted({key for line in part for key in line} - _NO_FIGURES)
            ):
                other = other or axis.twinx()
                measured = [
                    (x, line[key]) for x, line in zip(minutes, part, strict=True) if key in line
                ]
                label = key if key not in other.get_legend_handles_labels()[1] else None
                other.plot(
                    *zip(*measured, strict=True),
                    color=f"C{colour + 3}",
                    marker="o",
                    markersize=3,
                    label=label,
                )
            start = minutes[-1]
        if other:
            other.legend(fontsize=6, loc="center right")
    figure.savefig(path, dpi=110)


_NO_FIGURES = {"training", "step", "seconds", "loss"}


def _stage(log: Path) -> str:
    return log.parent.name if log.name == "log.jsonl" else log.stem


def _read(log: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in log.read_text().splitlines()]
