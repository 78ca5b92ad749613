"""`python -m benchmarks.profile_run [SUITE] [SAMPLES]`: where the time of a run goes, in processor
seconds.

The suite (first-light) is run on SAMPLES (2) of its glyph-world samples into a temporary folder,
models loaded beforehand. Networks are timed by their class; what is left of a method is its
pipeline (scheduler, guidance, conversions), and what is left of the run is the harness (plan,
store, files, statistics). Set OMP_NUM_THREADS=1 for seconds that add up.
"""

from __future__ import annotations

import functools
import io
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import yaml
from rich.console import Console

from eval.execute.run import carry_out
from eval.measure.evaluator import Evaluator
from eval.metrics import Metric
from eval.plan.planning import make_plan
from eval.plan.suite import locate_suite


class Clock:
    """Seconds and calls by name; time inside an inner call is not the outer one's."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()
        self._open: list[str] = []
        self._last = time.process_time()

    def _turn(self) -> None:
        now = time.process_time()
        if self._open:
            self.seconds[self._open[-1]] += now - self._last
        self._last = now

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        self._turn()
        self._open.append(name)
        self.calls[name] += 1
        try:
            yield
        finally:
            self._turn()
            self._open.pop()

    def timed(self, owner: type, method: str, name: str) -> Any:
        """A patch of a class: calls of the method count as `name`."""
        inner = getattr(owner, method)

        @functools.wraps(inner)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return inner(*args, **kwargs)

        return mock.patch.object(owner, method, call)


def profile(suite: Path, folder: Path, clock: Clock) -> int:
    """Runs the suite under the clock. Returns the number of clips."""
    from diffusers import AutoencoderKL, UNetMotionModel
    from transformers import CLIPTextModel, CLIPVisionModelWithProjection

    plan = make_plan(suite)
    evaluator = Evaluator(plan.metrics)
    sample = plan.samples[0]
    for method, cell in {
        cell.method: cell for cell in plan.cells
    }.items():  # loads what the run needs
        (clip,) = cell.instance.generate([sample], [0])
        if method == "still-image":
            evaluator.measure([sample], [clip])
            for encoder in plan.set_encoders:
                evaluator.video_features([clip], encoder)

    patches = [
        clock.timed(UNetMotionModel, "forward", "UNet"),
        clock.timed(AutoencoderKL, "encode", "VAE"),
        clock.timed(AutoencoderKL, "decode", "VAE"),
        clock.timed(CLIPTextModel, "forward", "prompt and image embeddings"),
        clock.timed(CLIPVisionModelWithProjection, "forward", "prompt and image embeddings"),
        clock.timed(Evaluator, "measure", "encoders and metrics"),
        clock.timed(Evaluator, "video_features", "encoders and metrics"),
        *(
            clock.timed(kind, "generate", "pipeline")
            for kind in {type(cell.instance) for cell in plan.cells}
        ),
    ]

    def with_models(metrics: list[Metric]) -> Evaluator:
        return evaluator

    for patch in patches:
        patch.start()
    try:
        with clock.part("harness"):
            outcome = carry_out(
                plan, folder, console=Console(file=io.StringIO()), evaluator=with_models
            )
    finally:
        for patch in patches:
            patch.stop()
    return outcome.made


def table(clock: Clock, clips: int) -> str:
    """Markdown, the largest part first."""
    total = sum(clock.seconds.values())
    lines = [
        f"{clips} clips, {total:.1f} processor seconds",
        "",
        "| part | share | s | calls |",
        "|---|--:|--:|--:|",
    ]
    for name, seconds in sorted(clock.seconds.items(), key=lambda item: -item[1]):
        lines.append(f"| {name} | {seconds / total:.1%} | {seconds:.2f} | {clock.calls[name]} |")
    return "\n".join(lines)


def main() -> None:
    name, samples = [*sys.argv[1:], *("first-light", "2")[len(sys.argv) - 1 :]]
    content = yaml.safe_load(locate_suite(name).read_text())
    content["samples"] |= {"seen": int(samples) // 2, "unseen": int(samples) - int(samples) // 2}
    with tempfile.TemporaryDirectory() as temporary:
        suite = Path(temporary) / "suite.yaml"
        suite.write_text(yaml.safe_dump(content, sort_keys=False))
        clock = Clock()
        clips = profile(suite, Path(temporary) / "run", clock)
    print(table(clock, clips))


if __name__ == "__main__":
    main()
