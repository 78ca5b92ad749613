"""A stage's log: loss, time and figures as lines of `log.jsonl`, and their curve beside it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

_LOG_EVERY = 50  # steps


class StepLog:
    """Means of the loss over every `_LOG_EVERY` steps, and figures when they are measured; resumes its clock."""

    def __init__(self, folder: Path, report: Callable[[str], None] = print) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path, self._report = folder / "log.jsonl", report
        self.loss, self.seconds = float("nan"), 0.0
        for line in _lines(folder) if self._path.exists() else []:
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


def plot_logs(folders: Iterable[Path], path: Path) -> None:
    """Draws the loss over training minutes, and the figures where there are any, of every stage in `folders`."""
    from matplotlib.figure import Figure

    logs = {folder.name: _lines(folder) for folder in folders if (folder / "log.jsonl").exists()}
    columns = min(4, max(1, len(logs)))
    rows = max(1, -(-len(logs) // columns))
    figure = Figure(figsize=(3.2 * columns, 2.4 * rows), layout="constrained")
    for axis, (name, lines) in zip(figure.subplots(rows, columns, squeeze=False).flat, logs.items(), strict=False):
        losses = [line for line in lines if "loss" in line]
        axis.plot([line["seconds"] / 60 for line in losses], [line["loss"] for line in losses], color="#4464ad")
        axis.set(title=name, xlabel="minutes", ylabel="loss", yscale="log")
        for figure_name in sorted({key for line in lines for key in line} - {"step", "seconds", "loss"}):
            measured = [line for line in lines if figure_name in line]
            other = axis.twinx()
            other.plot(
                [line["seconds"] / 60 for line in measured],
                [line[figure_name] for line in measured],
                color="#c8553d",
                marker="o",
                markersize=3,
            )
            other.set_ylabel(figure_name, color="#c8553d")
    figure.savefig(path, dpi=110)


def _lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
