"""A calibration finds the responses that were built into an evaluator, and goes on where it was
stopped."""

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.calibration.analysis import spearman
from eval.calibration.calibrate import calibrate
from eval.calibration.grid import calibration_plan
from eval.clips.lossless import Clip
from eval.errors import ClipError, EvalError, WeightsMissingError
from eval.metrics import Metric
from eval.plan.cells import Plan
from eval.samples import Sample

IDENTITY, TEXT, MOTION = "identity.dino_glyph.v1", "text.clip_glyph.v1", "motion.flow_dis.v1"


class KnownEvaluator:
    """Identity is the closeness to the input image, motion the frame difference; all else is blind
    to everything.
    """

    measured = 0

    def __init__(self, metrics: list[Metric]) -> None:
        self.metrics = metrics

    def fingerprints(self) -> dict[str, str]:
        return {metric.encoder: "0" * 64 for metric in self.metrics}

    def flags(self, sample: Sample) -> list[str]:
        return []

    def measure(self, samples: Sequence[Sample], clips: Sequence[Clip]) -> list[dict[str, float]]:
        KnownEvaluator.measured += len(clips)
        return [self._values(sample, clip) for sample, clip in zip(samples, clips, strict=True)]

    def _values(self, sample: Sample, clip: Clip) -> dict[str, float]:
        frames = clip.frames.astype(float)
        closeness = 1 - float(np.abs(frames[1:] - sample.image).mean()) / 255
        moved = float(np.abs(np.diff(frames, axis=0)).mean())
        known = {"identity": closeness, "motion": moved, "text": 25.0}
        return {
            metric.id: known.get(metric.family.split("_")[0], 25.0)
            for metric in self.metrics
            if metric.scope == "clip"
        }

    def video_features(self, clips: Sequence[Clip], encoder_id: str) -> Any:
        means = [
            np.abs(np.diff(clip.frames.astype(np.float32), axis=0)).mean((1, 2, 3))
            for clip in clips
        ]
        return np.stack(means)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibration")
    calibrate(folder, clips=8, evaluator=KnownEvaluator)
    return folder


def response(folder: Path, metric: str, corruption: str, group: str = "glyph") -> dict[str, Any]:
    content = json.loads((folder / "calibration.json").read_text())
    [entry] = [e for e in content["metrics"] if (e["metric"], e["group"]) == (metric, group)]
    found: dict[str, Any] = entry["responses"][corruption]
    return found


@pytest.mark.parametrize(
    ("metric", "corruption", "verdict"),
    [
        (IDENTITY, "identity swap", "responds"),
        (IDENTITY, "frame shuffle", "cannot see"),  # a mean over frames does not know their order
        (IDENTITY, "wrong prompt", "cannot see"),
        (IDENTITY, "noise", "also sees"),
        (MOTION, "slower", "responds"),
        (TEXT, "wrong prompt", "FAILS"),
        (TEXT, "blur", "cannot see"),
    ],
)
def test_what_is_built_in_is_found(
    metric: str, corruption: str, verdict: str, folder: Path
) -> None:
    found = response(folder, metric, corruption)
    assert found["verdict"] == verdict
    assert abs(found["spearman"]) == pytest.approx(
        0.0 if verdict in ("FAILS", "cannot see") else 1.0
    )
    assert (found["seen_from"] is None) == (verdict in ("FAILS", "cannot see"))


def test_the_changes_are_those_of_the_records(folder: Path) -> None:
    with (folder / "records.csv").open() as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["metric"] == IDENTITY and row["group"] == "camera"
        ]
    means = {
        cell: np.mean([float(row["value"]) for row in rows if row["cell"] == cell])
        for cell in ("undisturbed", "noise[strength=8]", "noise[strength=32]")
    }
    found = response(folder, IDENTITY, "noise", "camera")
    assert found["strengths"] == [0, 4, 8, 16, 32]
    assert found["means"][2] == pytest.approx(means["noise[strength=8]"])
    assert found["change"] == pytest.approx(means["noise[strength=32]"] - means["undisturbed"])
    assert found["change_low"] <= found["change"] <= found["change_high"] < 0


def test_set_metrics_are_zero_on_the_true_clips_and_have_the_floor_of_another_draw(
    folder: Path,
) -> None:
    content = json.loads((folder / "calibration.json").read_text())
    for entry in (e for e in content["metrics"] if e["metric"].startswith("fvd")):
        assert entry["undisturbed"] == pytest.approx(0.0, abs=1e-9)
        assert entry["noise_floor"] == entry["unrelated"] > 0


def test_motion_is_compared_with_the_exact_flow(folder: Path) -> None:
    content = json.loads((folder / "calibration.json").read_text())
    known = {(entry["metric"], entry["group"]): entry for entry in content["known_motion"]}
    for group, clips in (("glyph", 8), ("camera", 4)):
        assert known[MOTION, group]["clips"] == 7 * clips  # true, three slower, three faster
        assert known[MOTION, group]["still_highest"] == 0
    assert known[MOTION, "camera"]["spearman"] > 0.5


def test_the_same_call_again_measures_nothing(folder: Path) -> None:
    before, measured = (folder / "calibration.csv").read_bytes(), KnownEvaluator.measured
    calibrate(folder, clips=8, evaluator=KnownEvaluator)
    assert KnownEvaluator.measured == measured == 34 * 12 + 4 * 8
    assert (folder / "calibration.csv").read_bytes() == before


def test_metrics_of_longer_clips_are_left_out_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rest is measured: here it ends at the weights, which no test has."""
    with pytest.raises(WeightsMissingError):
        calibrate(tmp_path, encoders=["pips2"])
    said = " ".join(capsys.readouterr().out.split())
    assert "left out fvmd.pips2.v1, " in said
    assert "needs 16 frames, and the calibration's clips have 8" in said
    assert "camera_motion" not in said


def test_too_few_clips() -> None:
    with pytest.raises(EvalError, match="7 clips; 8 or more"):
        calibrate(Path("unused"), clips=7, evaluator=KnownEvaluator)


def test_a_failed_clip_ends_it_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def undisturbed(metrics: list[Metric], clips: int) -> Plan:
        plan = calibration_plan(metrics, clips)
        failing.append(plan.samples[3].id)
        return replace(plan, cells=plan.cells[:1])

    class Blind(KnownEvaluator):
        def _values(self, sample: Sample, clip: Clip) -> dict[str, float]:
            values = super()._values(sample, clip)
            return dict.fromkeys(values, math.nan) if sample.id in failing else values

    failing: list[str] = []
    monkeypatch.setattr("eval.calibration.calibrate.calibration_plan", undisturbed)
    with pytest.raises(
        ClipError, match=r"\(measure\): motion.flow_dis.v1 is nan .*; 1 failed, listed in"
    ) as raised:
        calibrate(tmp_path, encoders=["flow_dis"], clips=8, evaluator=Blind)
    assert str(raised.value).startswith(f"cell undisturbed, sample/seed {failing[0]}/0 ")
    assert not (tmp_path / "calibration.json").exists()


def test_rank_correlation() -> None:
    assert spearman([0, 1, 2, 3], [1, 10, 100, 1000]) == pytest.approx(1.0)
    assert spearman([0, 1, 2, 3], [3, 2, 2.5, 1]) == pytest.approx(1 - 6 * 18 / (4 * 15))
    assert spearman([0, 1, 2], [5, 5, 5]) == 0.0
    assert math.isfinite(spearman([0, 1], [1, 1]))
