"""A finished run as typed frames, with what the reports ask of it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from eval.errors import EvalError
from eval.io.files import file_sha256
from eval.methods.anchors import ANCHORS

if TYPE_CHECKING:
    import pandas as pd

    from eval.clips.lossless import Clip

_KEY = re.compile(r"[0-9a-f]{8,128}")


class Failed(NamedTuple):
    """A clip that failed."""

    cell: str
    sample: str
    reason: str


@dataclass(frozen=True)
class RunFolder:
    """A finished run as frames.

    Attributes:
        path: the run folder.
        run: contents of `run.json`.
        summary: one row per (cell, group, metric): mean, low, high, n, clusters, lost,
            bias_corrected; `higher_is_better` is Python's True, False or None, `cautions` a
            tuple of `eval.summary.cautions.Caution`.
        comparisons: one row per (cell, group, metric): reference minus cell, low, high, n,
            clusters, comparisons, cautions; `survives_correction` is Python's True, False or
            None; may be empty.
        records: one row per (cell, sample, seed, metric).
        samples: one row per sample: id, group, prompt, image, clip (paths relative to the run
            folder, clip may be "").
        failures: clips that failed: cell, sample, reason; may be empty.
    """

    path: Path
    run: Mapping[str, Any]
    summary: pd.DataFrame
    comparisons: pd.DataFrame
    records: pd.DataFrame
    samples: pd.DataFrame
    failures: Sequence[Failed] = ()

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
    def failed_cells(self) -> dict[str, str]:
        """Reason of each cell of which every clip failed: the first clip's, and how many failed."""
        known, found = set(self.summary["cell"]), {}
        for cell in self.settings:
            if cell in known:
                continue
            of = [failed for failed in self.failures if failed.cell == cell]
            found[cell] = (
                f"all {len(of)} clips failed; the first, {of[0].sample}: {of[0].reason}"
                if of
                else "no clip of it was measured; failures.csv names the reasons"
            )
        return found

    @cached_property
    def settings(self) -> dict[str, dict[str, Any]]:
        """Settings of each cell, as the plan had them."""
        planned = self.run.get("cells", [])
        known = {str(c["id"]): dict(c.get("settings") or {}) for c in planned}
        for row in self.summary.drop_duplicates("cell").itertuples():
            swept = {k: v for k, v in (("t0", row.t0), ("p", row.p)) if not math.isnan(v)}
            known[row.cell] = swept | known.get(row.cell, {})
        return known

    @cached_property
    def labels(self) -> dict[str, str]:
        """What each cell's id begins with: the label of the suite's entry, or its method."""
        return {cell: cell.split("[", 1)[0] for cell in self.settings}

    @cached_property
    def cells(self) -> list[str]:
        """Cells of the summary, in the plan's order."""
        found = list(dict.fromkeys(self.summary["cell"]))
        plan = {cell["id"]: i for i, cell in enumerate(self.run.get("cells", []))}
        return sorted(found, key=lambda cell: plan.get(cell, len(plan)))

    @cached_property
    def recorded_cells(self) -> frozenset[str]:
        """Cells that have records."""
        return frozenset(self.records["cell"].unique())

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
    def competing(self) -> list[str]:
        """The cells that are no anchors."""
        return [cell for cell in self.cells if not self.is_anchor(cell)]

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

    @cached_property
    def image_clusters(self) -> dict[str, str]:
        """Sample -> first sample with the same input image, byte for byte; intervals draw their
        clips together, as the run's own do. An image that is not there is its sample's alone."""
        paths: dict[str, Path] = {}
        for sample, image in zip(self.samples["id"], self.samples["image"], strict=True):
            with suppress(EvalError):
                paths[sample] = self._inside(str(image))
        sizes = {sample: path.stat().st_size for sample, path in paths.items()}
        alike, first = Counter(sizes.values()), dict[str, str]()
        found = {}
        for sample in self.samples["id"]:
            shared = alike[sizes.get(sample, -1)] > 1  # files of one size alone are read
            content = file_sha256(paths[sample]) if shared else f"only {sample}"
            found[sample] = first.setdefault(content, sample)
        return found

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
                f"{path}: no such file, though the run lists it; run the suite again to make it"
            )
        return path
