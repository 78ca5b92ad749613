"""One scenario: variants built, called once, then timed in turns. What fails is a row that says
so."""

from __future__ import annotations

import gc
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from benchmarks.interleave import ratio
from benchmarks.memory import peak_memory


@dataclass
class Variant:
    """Something to time: `run` inside `active`, which is entered and left outside the timed region.

    `weights` are the bytes of its parameters, if memory is of interest; `notes` go into the row as
    they are.
    """

    run: Callable[[], Any]
    active: Callable[[], AbstractContextManager[Any]] = nullcontext
    weights: int | None = None
    notes: dict[str, Any] = field(default_factory=dict)


class CaseLimitError(Exception):
    """A case took longer than it may."""


class Bench:
    """Collects the rows of one test.

    Args:
        engine: pytest-benchmark's fixture; one of its rounds is one turn of every variant.
        device: that variants run on.
        rows: where rows go.
        most: rounds of any comparison, at most; None for no limit.
        limit: seconds of the whole case; what is not timed by then is a failed variant that says
            so, and variants keep the rounds that they had.
    """

    def __init__(
        self,
        engine: Any,
        device: torch.device,
        rows: list[dict[str, Any]],
        most: int | None = None,
        limit: float = math.inf,
    ) -> None:
        self.engine = engine
        self.device = device
        self.rows = rows
        self.most = most
        self.limit, self._end = limit, time.monotonic() + limit

    def row(self, scenario: str, **content: Any) -> dict[str, Any]:
        """A row of values that are not times of variants."""
        row: dict[str, Any] = {"scenario": scenario, **content}
        self.rows.append(row)
        return row

    def once(self, scenario: str, measure: Callable[[], dict[str, Any]]) -> None:
        """A row of what `measure` gives, in one round; if it fails, the row says so."""
        row = self.row(scenario, failed="interrupted")

        def measured() -> None:
            values = self._guarded(row, measure)
            if values is not None:
                del row["failed"]
                row.update(values)

        self.engine.pedantic(measured, rounds=1, iterations=1)

    def compare(
        self,
        scenario: str,
        variants: Mapping[str, Callable[[], Variant]],
        *,
        rounds: int,
        ratios: Sequence[tuple[str, str]] = (),
        warmups: int = 1,
        memory: bool = False,
        each: float | None = None,
    ) -> dict[str, Any]:
        """Times variants in turns and adds the row.

        Args:
            scenario: what is measured, with its shape.
            variants: name -> maker of the variant; a maker that raises is a failed variant.
            rounds: turns of every variant.
            ratios: pairs (numerator, denominator) of names.
            warmups: calls before the first timed one; the very first is reported apart.
            memory: also measure peak memory, in a call of its own.
            each: seconds that a variant may take until it is first timed, in place of the case's
                limit, which counts from then on: some compile.
        """
        results: dict[str, dict[str, Any]] = {}
        row = self.row(scenario, variants=results)
        alive: dict[str, Variant] = {}
        for name, make in variants.items():
            results[name] = {"seconds": []}
            made = self._guarded(
                results[name], partial(self._prepare, make, results[name], warmups, memory), each
            )
            if made is not None:
                alive[name] = made
        if each is not None:
            self._end = time.monotonic() + self.limit

        def turn() -> None:
            for name, variant in list(alive.items()):
                took = self._guarded(results[name], partial(self.timed, variant))
                if took is None:
                    del alive[name]
                else:
                    results[name]["seconds"].append(took)

        self.engine.extra_info["scenario"] = scenario
        self.engine.pedantic(turn, rounds=min(rounds, self.most or rounds), iterations=1)
        row["ratios"] = {
            f"{a} / {b}": ratio(results[a]["seconds"], results[b]["seconds"])._asdict()
            for a, b in ratios
            if a in alive and b in alive
        }
        return row

    def _prepare(
        self, make: Callable[[], Variant], result: dict[str, Any], warmups: int, memory: bool
    ) -> Variant:
        variant = make()
        result |= {"weights": variant.weights, **variant.notes}
        result["first"] = self.timed(variant)
        for _ in range(warmups - 1):
            self.timed(variant)
        if memory:
            with variant.active():
                result["memory"] = peak_memory(variant.run, self.device)
        return variant

    def timed(self, variant: Variant) -> float:
        """Seconds of one call: CUDA events on a GPU, the wall clock elsewhere."""
        with variant.active():
            if self.device.type != "cuda":
                start = time.perf_counter()
                variant.run()
                return time.perf_counter() - start
            torch.cuda.synchronize(self.device)
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            variant.run()
            end.record()
            torch.cuda.synchronize(self.device)
            return float(begin.elapsed_time(end)) / 1000

    def _guarded(
        self, result: dict[str, Any], step: Callable[[], Any], most: float | None = None
    ) -> Any:
        """The step's result, or None with the failure noted: here any failure is a finding, not an
        end. `most`: seconds of this step in place of what is left of the case's.
        """
        try:
            with self._limited(most):
                return step()
        except Exception as error:
            result["failed"] = failure(error)
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    @contextmanager
    def _limited(self, most: float | None) -> Iterator[None]:
        """Ends the block by an error after `most` seconds, or when the case's time is over, where
        the system has timers.
        """
        left = self._end - time.monotonic() if most is None else most
        if math.isinf(left) or not hasattr(signal, "setitimer"):
            yield
            return
        whose, limit = ("case", self.limit) if most is None else ("variant", most)

        def over(*_: object) -> None:
            raise CaseLimitError(f"the {whose}'s limit of {limit:g} s")

        if left <= 0:
            over()
        before = signal.signal(signal.SIGALRM, over)
        signal.setitimer(signal.ITIMER_REAL, left)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def failure(error: BaseException) -> str:
    """One line for a row."""
    lines = str(error).strip().splitlines() or ["(no message)"]
    return f"{type(error).__name__}: {lines[0][:200]}"
