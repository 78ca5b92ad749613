"""Differences of any two cells against the statistics of two cells alone, and the overview made
from them.
"""

from __future__ import annotations

import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eval.errors import EvalError
from eval.summary.statistics import paired_difference, pairwise_differences
from reports.answer.best import best_cells
from reports.page.clips import Gallery, extreme_rows, extremes
from reports.run.load import load_run
from reports.run.measures import measures_of
from reports.run.pairs import pairs_of
from reports.tables.cells import cell_table

IDENTITY = "identity.dino_glyph.v1"


def _noisy(folder: Path) -> pd.DataFrame:
    """Gives the run's identity values noise, and takes one clip away from one cell."""
    records = pd.read_csv(
        folder / "records.csv", dtype={"clip_key": str, "flags": str}, keep_default_na=False
    )
    rows = records["metric"] == IDENTITY
    records.loc[rows, "value"] += np.random.default_rng(3).normal(0, 0.05, rows.sum())
    records = records[~((records["cell"] == "content-adapter") & (records["sample"] == "seen-1"))]
    records.to_csv(folder / "records.csv", index=False)
    return records[records["metric"] == IDENTITY]


def test_every_pair_equals_the_difference_of_the_two_alone(own_run_folder: Path) -> None:
    records = _noisy(own_run_folder).pivot(index=["sample", "seed"], columns="cell", values="value")
    run = load_run(own_run_folder)
    pairs = pairs_of(run, measures_of(run)[0], "all")
    assert pairs.keys() == set(combinations(run.cells, 2))
    for (first, second), pair in pairs.items():
        both = records[[first, second]].dropna()
        images = list(both.index.get_level_values("sample"))
        alone = paired_difference(both[first], both[second], images)
        assert pair[:3] == pytest.approx(alone[:3], abs=1e-12)
        assert (
            (pair.n, pair.images)
            == (alone.n, alone.clusters)
            == ((3, 3) if "content-adapter" in (first, second) else (4, 4))
        )
        corrected = paired_difference(both[first], both[second], images, level=1 - 0.05 / 21)
        assert pair[3:5] == pytest.approx(corrected[1:3], abs=1e-12)


def test_samples_of_one_image_are_drawn_together(own_run_folder: Path) -> None:
    """As in the run's own intervals: VBench asks for several camera motions of one image."""
    records = _noisy(own_run_folder).pivot(index=["sample", "seed"], columns="cell", values="value")
    samples = own_run_folder / "samples"
    shutil.copy(samples / "seen-0" / "image.png", samples / "unseen-1" / "image.png")
    run = load_run(own_run_folder)
    assert run.image_clusters == {
        "seen-0": "seen-0", "seen-1": "seen-1", "unseen-0": "unseen-0", "unseen-1": "seen-0",
    }  # fmt: skip
    first, second = run.cells[:2]
    pair = pairs_of(run, measures_of(run)[0], "all")[first, second]
    both = records[[first, second]].dropna()
    images = [run.image_clusters[sample] for sample in both.index.get_level_values("sample")]
    alone = paired_difference(both[first], both[second], images)
    assert pair[:3] == pytest.approx(alone[:3], abs=1e-12)
    assert pair.images == alone.clusters == len(set(images)) < pair.n


def test_pairwise_differences_of_clustered_seeds() -> None:
    values = np.random.default_rng(0).normal(size=(12, 3))
    clusters = [f"image {i // 2}" for i in range(12)]
    table = pairwise_differences(values, clusters)
    for row, (i, j) in zip(table, combinations(range(3), 2), strict=True):
        assert row == pytest.approx(
            paired_difference(values[:, i], values[:, j], clusters)[:3], abs=1e-12
        )
    with pytest.raises(EvalError, match=r"values must have shape \(n, k\), got \(12,\)"):
        pairwise_differences(values[:, 0], clusters)
    assert np.isnan(pairwise_differences(values[:2], ["one", "one"])[:, 1:]).all()


def test_best_cells_say_whether_the_run_can_tell(own_run_folder: Path) -> None:
    run = load_run(own_run_folder)
    measures = measures_of(run)
    table = cell_table(run, measures, "all")
    pairs = {m.id: pairs_of(run, m, "all") for m in measures}
    identity, motion, fvd = best_cells(table, pairs, measures)
    assert (identity.cell, identity.next) == (
        "i2v-adapter[t0=0.6,p=0.5]",
        "i2v-adapter[t0=0.6,p=0.1]",
    )
    assert identity.gap is not None
    assert identity.gap.entry.value == pytest.approx(0.02)
    assert identity.why == "the interval excludes 0"
    assert (motion.cell, fvd.cell) == ("content-adapter", "i2v-adapter[t0=0.6,p=0.5]")
    assert fvd.gap is None
    assert fvd.why == "not paired: compare the intervals"


def test_best_cells_do_not_sell_noise(own_run_folder: Path) -> None:
    _noisy(own_run_folder)
    run = load_run(own_run_folder)
    measures = measures_of(run)[:1]
    found = best_cells(
        cell_table(run, measures, "all"), {IDENTITY: pairs_of(run, measures[0], "all")}, measures
    )[0]
    assert found.gap is not None
    assert (found.gap.entry.low > 0) == (found.why == "the interval excludes 0")


def test_worst_and_best_clips_are_the_ends_of_the_records(own_run_folder: Path) -> None:
    records = _noisy(own_run_folder)
    run = load_run(own_run_folder)
    identity = measures_of(run)[0]
    rivals = records[~records["cell"].isin(["still-image", "true-clip"])]
    for worst in (True, False):
        found = extreme_rows(run, identity, 3, worst=worst)
        ends = (
            rivals.groupby("sample")["value"].min()
            if worst
            else rivals.groupby("sample")["value"].max()
        )
        expected = list(ends.sort_values(ascending=worst).index[:3])
        assert [sample for _, sample, _ in found] == expected
        values = rivals.set_index(["cell", "sample", "seed"])["value"]
        assert [values[row] for row in found] == list(ends[expected])
    shown = extremes(Gallery(run), measures_of(run))
    assert [e.measure.id for e in shown] == [IDENTITY]  # motion has no better end, FVD is of a set
    assert [v.label for v in shown[0].worst[0].values] == ["Identity", "Motion"]
