"""A plan: cells x samples x seeds, in batches that never change between two runs of one suite."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from eval.measure.catalogue import applies
from eval.measure.selection import foreign_encoders
from eval.methods import Method
from eval.methods.guard import foreign
from eval.metrics import Metric
from eval.plan.batches import Batch, Item, Place, batches, sweeps
from eval.plan.suite import Suite
from eval.samples import Sample
from eval.samples.seeds import derive_seed

CLIP_PROTOCOL = "clip.v1"
"""Part of every clip's key: a change of how clips are made or stored is a new version."""


@dataclass(frozen=True, eq=False)
class Cell:
    """A method with fixed settings.

    Attributes:
        id: the label and the swept settings, e.g. ``i2v-adapter[t0=0.6,p=0.5]``.
        label: the entry's label, else the method's name.
        method: name or ``module:Class``.
        settings: all settings as validated, defaults included.
        instance: the method, built with these settings; it has loaded nothing yet.
        entry: which of the suite's methods it comes from.
        base: what it runs on, if not on the glyph world; part of the fingerprint by its files.
    """

    id: str
    label: str
    method: str
    settings: dict[str, Any]
    instance: Method
    entry: int = 0
    base: Mapping[str, Any] | None = None

    @cached_property
    def fingerprint(self) -> str:
        """The method's fingerprint.

        Raises:
            EvalError: naming the cell, if the method cannot tell it.
        """
        with foreign(f"cell {self.id}: its fingerprint"):
            return self.instance.fingerprint()

    def clip_key(self, sample: Sample, seed: int) -> str:
        """sha256 hex over everything that decides the clip's pixels."""
        drawn = derive_seed(sample.id, seed)
        parts = [
            CLIP_PROTOCOL,
            self.method,
            self.settings,
            self.fingerprint,
            sample.fingerprint,
            drawn,
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Plan:
    """All that a run will do.

    Attributes:
        suite: what was asked.
        samples: every sample, each id once.
        cells: every cell.
        metrics: what is measured.
        coverage: cell id -> its (sample, seed) pairs, for cells that do not all have every
            pair; None: they have.
        reference_keys: feature keys of a reference set that set metrics compare every cell
            with; none: the true clips of the cell's own samples.
        notes: what a reader should know of the samples, and which cells a base leaves out.
    """

    suite: Suite
    samples: list[Sample]
    cells: list[Cell]
    metrics: list[Metric]
    coverage: Mapping[str, Sequence[tuple[Sample, int]]] | None = None
    reference_keys: Sequence[str] = ()
    notes: Sequence[str] = ()

    def pairs(self, cell: Cell, group: str = "all") -> list[tuple[Sample, int]]:
        """The (sample, seed) pairs of a cell whose samples are in ``group``, in plan order."""
        if self.coverage is None:
            pairs: Iterable[tuple[Sample, int]] = itertools.product(self.samples, self.suite.seeds)
        else:
            pairs = self.coverage[cell.id]
        return [(sample, seed) for sample, seed in pairs if group in ("all", sample.group)]

    def clip_keys(self) -> list[str]:
        """The key of every clip, cell by cell."""
        return [cell.clip_key(s, seed) for cell in self.cells for s, seed in self.pairs(cell)]

    def without(self, clips: Container[Place]) -> Plan:
        """The plan of all other clips."""
        coverage = {
            cell.id: [
                (s, seed) for s, seed in self.pairs(cell) if (cell.id, s.id, seed) not in clips
            ]
            for cell in self.cells
        }
        return replace(self, coverage=coverage)

    def batches(self, cells: Sequence[Cell] | None = None) -> Iterator[Batch]:
        """Every clip of ``cells`` (all, if None) once, sweep by sweep: see
        :func:`eval.plan.batches.batches`.

        This depends on the suite alone, so a batch made again after a kill is the same batch.
        """
        for sweep in sweeps(self.cells if cells is None else cells):
            items = [
                [Item(cell, sample, seed) for sample, seed in self.pairs(cell)] for cell in sweep
            ]
            yield from batches(items, self.suite.batch_size)

    def clip_metrics_of(self, sample: Sample) -> list[Metric]:
        """Metrics with one value a clip that are about a sample; see `applies`."""
        return [metric for metric in self.clip_metrics if applies(metric, sample)]

    @property
    def clip_metrics(self) -> list[Metric]:
        """Metrics with one value a clip."""
        return [metric for metric in self.metrics if metric.scope == "clip"]

    @property
    def set_metrics(self) -> list[Metric]:
        """Metrics with one value a set of clips."""
        return [metric for metric in self.metrics if metric.scope == "set"]

    @property
    def set_encoders(self) -> list[str]:
        """Encoders of the set metrics, sorted."""
        return sorted({metric.encoder for metric in self.set_metrics})

    @cached_property
    def foreign_encoders(self) -> tuple[str, ...]:
        """The glyph world's encoders that the suite allows on other pictures, where there are
        such."""
        allowed = self.suite.allow_glyph_encoders
        return foreign_encoders(self.metrics, self.samples) if allowed else ()

    @property
    def groups(self) -> list[str]:
        """``all``, then each sample group in plan order."""
        return list(dict.fromkeys(["all", *(sample.group for sample in self.samples)]))
