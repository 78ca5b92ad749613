"""The tables against values worked out from records.csv alone, and the progress lines."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from eval.execute.run import run
from eval.io import progress as progress_module
from eval.io.progress import progress
from eval.summary.statistics import (
    excludes_zero,
    family_wise_level,
    mean_interval,
    paired_difference,
)


@pytest.fixture
def tables(
    write_suite: Callable[[dict[str, Any]], Path],
    suite_content: dict[str, Any],
    toy_evaluator: Any,
    tmp_path: Path,
) -> dict[str, pd.DataFrame]:
    folder = run(
        str(write_suite(suite_content)),
        tmp_path / "out",
        console=Console(file=io.StringIO()),
        evaluator=toy_evaluator,
    ).folder
    return {
        name: pd.read_csv(folder / f"{name}.csv") for name in ("records", "summary", "comparisons")
    }


def test_tables_agree_with_the_records(tables: dict[str, pd.DataFrame]) -> None:
    records, summary, comparisons = tables["records"], tables["summary"], tables["comparisons"]
    key = ["cell", "sample", "seed", "metric"]
    assert records[key].equals(records.sort_values(key, ignore_index=True)[key])
    assert not records.duplicated(key).any()

    for group, of_group in (("all", records), *records.groupby("group")):
        wanted = of_group.groupby(["cell", "metric"])["value"].agg(["mean", "count"])
        found = summary[summary["group"] == group].set_index(["cell", "metric"])
        for index, (mean, count) in zip(wanted.index, wanted.to_numpy(), strict=True):
            row = found.loc[index]
            assert row["mean"] == pytest.approx(mean, rel=1e-12)
            assert row["n"] == count
            assert row["low"] <= mean + 1e-12
            assert mean - 1e-12 <= row["high"]

        values = of_group.pivot_table(
            index=["sample", "seed"], columns=["metric", "cell"], values="value"
        )
        for row in comparisons[comparisons["group"] == group].itertuples():
            difference = values[row.metric][row.reference] - values[row.metric][row.cell]
            assert row.difference == pytest.approx(difference.mean(), rel=1e-9, abs=1e-12)
            assert row.n == len(difference)
    assert set(comparisons["cell"]) == set(records["cell"]) - {"toy[t0=1.0,p=0.5]"}
    excluded = (comparisons["low"] > 0) | (comparisons["high"] < 0)
    assert excluded.any()
    assert (comparisons["comparisons"] == 5).all()
    assert comparisons["survives_correction"].notna().equals(excluded)
    assert set(comparisons["clusters"]) == {3, 6}
    for row in comparisons.itertuples():
        few, *chance = json.loads(row.cautions)
        assert few == {"code": "few_images", "clusters": row.clusters}
        doubtful = [{"code": "may_be_chance", "comparisons": 5, "expected": 0.25}]
        assert chance == (doubtful if row.survives_correction is False else [])


def test_intervals_are_those_of_one_metric_and_cell_at_a_time(
    tables: dict[str, pd.DataFrame],
) -> None:
    """To the last digit: the tables take many columns together, which must not show."""
    records = tables["records"]

    def values(cell: str, group: str, metric: str) -> pd.Series:
        chosen = records[(records["cell"] == cell) & (records["metric"] == metric)]
        chosen = chosen if group == "all" else chosen[chosen["group"] == group]
        return chosen.set_index(["sample", "seed"])["value"].sort_index()

    clip_metrics = set(records["metric"])
    for row in tables["summary"].itertuples():
        if row.metric in clip_metrics:
            own = values(row.cell, row.group, row.metric)
            expected = mean_interval(own.to_numpy(), list(own.index.get_level_values(0)))
            assert (row.mean, row.low, row.high, row.n, row.clusters) == tuple(expected)
    survivors = set()
    for row in tables["comparisons"].itertuples():
        ours, theirs = (values(cell, row.group, row.metric) for cell in (row.reference, row.cell))
        pair, owners = (ours.to_numpy(), theirs.to_numpy()), list(ours.index.get_level_values(0))
        expected = paired_difference(*pair, owners)
        assert (row.difference, row.low, row.high, row.n, row.clusters) == tuple(expected)
        if row.survives_correction == row.survives_correction:
            corrected = paired_difference(*pair, owners, level=family_wise_level(5))
            assert row.survives_correction == excludes_zero(corrected)
            survivors.add(row.survives_correction)
    assert survivors


def test_summary_columns(tables: dict[str, pd.DataFrame]) -> None:
    summary = tables["summary"].set_index(["cell", "group", "metric"])
    swept = summary.loc["toy[t0=0.5,p=0.0]", "all", "motion.flow_dis.v1"]
    assert (swept["t0"], swept["p"], swept["unit"]) == (0.5, 0.0, "frame sizes/s")
    still = summary.loc["still-image", "unseen", "identity.dino_glyph.v1"]
    assert np.isnan(still["t0"])
    assert (still["mean"], still["low"], still["high"], still["n"]) == (1, 1, 1, 6)
    assert still["higher_is_better"] in (True, "true")
    distance = summary.loc["true-clip", "all", "fvd.videomae_glyph.v1"]
    caution = {"code": "mostly_bias", "n": 6, "dimension": 6}
    assert json.loads(distance["cautions"]) == [caution]
    assert (distance["clusters"], distance["lost"]) == (6, 0)
    assert np.isfinite(distance["bias_corrected"])
    assert summary.loc["still-image", "all", "fvd.videomae_glyph.v1"]["n"] == 12
    assert set(summary.reset_index()["group"]) == {"all", "seen", "unseen"}


def test_plain_progress_has_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 10.0, 100.0, 150.0, 200.0])
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: next(clock))
    console = Console(file=(written := io.StringIO()), width=120)
    with progress(console, "making", 8) as advance:
        for _ in range(4):
            advance(2)
    assert written.getvalue().splitlines() == [
        "making: 4 of 8 clips in 1 min 40 s, 1 min 40 s left",
        "making: 6 of 8 clips in 2 min 30 s, 50 s left",
        "making: 8 of 8 clips in 3 min 20 s",
    ]


def test_the_time_left_does_not_count_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, spent = iter([0.0, 80.0]), iter([(0, 5.0), (1, 75.0)])
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(progress_module, "loaded", lambda: next(spent))
    console = Console(file=(written := io.StringIO()), width=120)
    with progress(console, "making", 40) as advance:
        advance(1)
    assert written.getvalue() == "making: 1 of 40 clips in 1 min 20 s, 6 min 30 s left\n"
