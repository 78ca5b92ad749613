"""VBench's scores of a run's cells: complete or none, with intervals and paired differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from eval.store.rows import Record
from eval.summary import vbench_table
from eval.summary.vbench_scores import QUALITY
from eval.summary.vbench_table import HEADER, SCORES, score_rows

IDS = {name: (f"vbench.{name}.published.v1",) for name in (*QUALITY, "i2v_subject")} | {
    "i2v_background": ("vbench.i2v_background.published.noaa.v1", "vbench.i2v_background.other.v1"),
    "camera_motion": ("vbench.camera_motion.published.v1",),
}
MAGI = {
    "camera_motion": 0.5085,
    "i2v_subject": 0.9839,
    "i2v_background": 0.9900,
    "subject_consistency": 0.9396,
    "background_consistency": 0.9674,
    "motion_smoothness": 0.9868,
    "dynamic_degree": 0.6821,
    "aesthetic_quality": 0.6474,
    "imaging_quality": 0.6971,
}


@pytest.fixture(autouse=True)
def ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vbench_table, "IDS", IDS)


def records(values: dict[str, dict[str, float]], id: int = 0) -> list[Record]:
    """Of dimension -> sample -> value."""
    return [
        Record("cell", sample, 0, IDS[name][min(id, len(IDS[name]) - 1)], value, "", "", "")
        for name, each in values.items()
        for sample, value in each.items()
    ]


def same(values: dict[str, float], samples: str = "abc") -> dict[str, dict[str, float]]:
    return {name: dict.fromkeys(samples, value) for name, value in values.items()}


def table(*arguments: object) -> dict[tuple[object, object], dict[str, object]]:
    rows = score_rows(*arguments)  # type: ignore[arg-type]
    return {(row[0], row[1]): dict(zip(HEADER, row, strict=True)) for row in rows}


def test_a_published_row_is_reproduced() -> None:
    found = table({"cell": records(same(MAGI))})
    for score, published in zip(SCORES, (96.12, 82.44, 89.28), strict=True):
        row = found["cell", score]
        assert row["value"] == pytest.approx(published / 100, abs=1e-4)
        assert row["low"] == pytest.approx(row["high"])
    assert found["cell", "vbench.i2v_score"]["n"] == 9
    assert found["cell", "vbench.total"]["n"] == 27


@pytest.mark.parametrize("missing", MAGI)
def test_there_is_no_score_where_a_part_is_missing(missing: str) -> None:
    values = {name: value for name, value in MAGI.items() if name != missing}
    found = {score for _, score in table({"cell": records(same(values))})}
    assert found == {"vbench.i2v_score" if missing in QUALITY else "vbench.quality_score"}


def test_the_interval_is_that_of_per_clip_scores_where_every_clip_has_every_dimension() -> None:
    generator = np.random.default_rng(0)
    values = {name: dict(zip("abcdef", generator.random(6), strict=True)) for name in MAGI}
    row = table({"cell": records(values)})["cell", "vbench.total"]
    per_clip = []
    for sample in "abcdef":
        one = {name: {sample: values[name][sample]} for name in MAGI}
        single = table({"cell": records(one)})["cell", "vbench.total"]
        assert math.isnan(float(str(single["low"])))
        per_clip.append(single["value"])
    low, high = stats.t.interval(0.95, 5, np.mean(per_clip), stats.sem(per_clip))
    assert (row["value"], row["low"], row["high"]) == pytest.approx((np.mean(per_clip), low, high))
    assert row["clusters"] == 6


def test_dimensions_may_rest_on_other_clips_and_one_image_alone_has_no_interval() -> None:
    values = same(MAGI) | {"camera_motion": {"d": 1.0, "e": 0.0}}
    row = table({"cell": records(values)})["cell", "vbench.i2v_score"]
    expected = (0.05 + (0.9839 - 0.1462) / 0.8538 + (0.99 - 0.2615) / 0.7385) / 2.1
    assert row["value"] == pytest.approx(expected)
    assert float(str(row["high"])) > expected > float(str(row["low"]))
    row = table({"cell": records(same(MAGI) | {"camera_motion": {"d": 1.0}})})[
        "cell", "vbench.i2v_score"
    ]
    assert math.isnan(float(str(row["low"])))


def test_clips_of_one_image_are_left_out_together() -> None:
    """Four images of two prompts each have the interval of four images of two seeds each."""
    generator = np.random.default_rng(1)
    values = {name: dict(zip("ABCDabcd", generator.random(8), strict=True)) for name in MAGI}
    images = {letter: letter.lower() for letter in "ABCDabcd"}
    found = score_rows({"cell": records(values)}, images=images)
    seeds = [
        r._replace(sample=r.sample.lower(), seed=int(r.sample.isupper())) for r in records(values)
    ]
    assert found == score_rows({"cell": seeds})
    assert [row[HEADER.index("clusters")] for row in found] == [4, 4, 4]
    apart = score_rows({"cell": records(values)})
    assert [row[HEADER.index("clusters")] for row in apart] == [8, 8, 8]
    assert apart[2][HEADER.index("low")] != found[2][HEADER.index("low")]


def test_differences_are_paired_over_the_samples_of_both() -> None:
    shifts = dict(zip("abcd", (0.0, 0.1, 0.2, 0.9), strict=True))
    base = {name: {s: 0.1 + shift / 2 for s, shift in shifts.items()} for name in MAGI}
    better = {name: {s: v + 0.03 for s, v in each.items()} for name, each in base.items()}
    del better["dynamic_degree"]["d"]
    found = table({"one": records(base), "two": records(better)}, "one")
    row = found["two", "vbench.quality_score"]
    step = sum(scale.weight / (scale.high - scale.low) for scale in QUALITY.values()) / 5.5
    assert row["difference"] == pytest.approx(0.03 * step)
    assert row["difference_low"] == pytest.approx(row["difference_high"])
    assert row["reference"] == "one"
    assert found["one", "vbench.total"]["difference"] is None


def test_the_id_that_is_listed_first_counts() -> None:
    both = records(same(MAGI)) + records({"i2v_background": dict.fromkeys("abc", 0.1)}, id=1)
    assert table({"cell": both})["cell", "vbench.total"]["value"] == pytest.approx(0.8928, abs=1e-4)
