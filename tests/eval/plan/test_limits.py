"""What a suite may ask for: sizes, texts, and encoders that know its samples."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from eval.cli import app
from eval.clips.lossless import Clip
from eval.commands.init import _metrics
from eval.errors import EvalError
from eval.execute.finished import score
from eval.measure.catalogue import applies, catalogue, parse_metric, registered
from eval.measure.evaluator import Evaluator
from eval.measure.selection import GLYPH, foreign_encoders
from eval.plan.planning import make_plan
from eval.plan.suite import load_suite
from eval.samples import Sample
from eval.samples.glyph_world import GlyphWorldSettings, load

GLYPH_METRICS = (
    "identity.dino_glyph.v1",
    "text.clip_glyph.v1",
    "fvd.videomae_glyph.v1",
    "vbench.subject_consistency.dino_glyph.v1",
)


def test_a_sweep_beyond_the_cap_is_refused_before_it_is_made(
    write_suite: Any, suite_content: dict[str, Any]
) -> None:
    many = [index / 900 for index in range(1, 901)]
    suite_content["methods"][0]["sweep"] = {"t0": many, "p": many}
    path = write_suite(suite_content)
    start = time.process_time()
    with pytest.raises(
        EvalError,
        match=r"methods\[0\]\.sweep: 900 values of t0 x 900 values of p make 810,002 cells .* "
        r"at most 10,000 are allowed.*--max-cells 810002",
    ):
        make_plan(path)
    assert time.process_time() - start < 10  # far from the hours that 810,000 cells would take
    suite_content["methods"][0]["sweep"] = {"t0": [0.5, 1.0], "p": [0.0, 0.5]}
    path = write_suite(suite_content)
    with pytest.raises(EvalError, match="make 6 cells"):
        make_plan(path, max_cells=5)
    assert len(make_plan(path, max_cells=6).cells) == 6
    refused = CliRunner().invoke(app, ["run", str(path), "--dry-run", "--max-cells", "5"])
    assert (refused.exit_code, "--max-cells 6" in refused.stderr) == (2, True)


def test_thirty_thousand_seeds_are_read_at_once(
    write_suite: Any, suite_content: dict[str, Any]
) -> None:
    suite_content["seeds"] = list(range(30_000))
    path = write_suite(suite_content)
    start = time.process_time()
    assert len(load_suite(path).seeds) == 30_000
    assert time.process_time() - start < 30  # comparing all pairs took minutes
    suite_content["seeds"].append(7)
    with pytest.raises(EvalError, match="'7' is listed twice"):
        load_suite(write_suite(suite_content))


def test_a_dry_run_takes_at_most_5_ms_of_processor_time_a_cell(toy_folder: Path) -> None:
    """With the adapter's own method, whose weights are looked up for every cell."""
    cells = 800
    sweep = {"t0": [(i + 1) / 40 for i in range(40)], "p": [i / 20 for i in range(20)]}
    content = {
        "name": "wide",
        "samples": {"source": "glyph-world", "seen": 2, "unseen": 0, "frames": 4},
        "methods": [{"method": "i2v-adapter", "sweep": sweep}],
        "metrics": ["flicker.pixels.v1"],
    }
    path = toy_folder / "wide.yaml"
    path.write_text(yaml.safe_dump(content))
    taken = []
    for _ in range(2):  # the first call of a process imports
        start = time.process_time()
        result = CliRunner().invoke(app, ["run", str(path), "--dry-run", "--out", "none"])
        taken.append(time.process_time() - start)
        assert result.exit_code == 0, result.output
        assert f"{2 * cells} of {2 * cells} clips to make" in result.output
    assert min(taken) < 0.005 * cells


BAD: dict[str, tuple[tuple[Any, ...], Any, str]] = {
    "half a character in a label": (
        ("methods", 0, "label"),
        "a\ud800",
        "label: the text holds half",
    ),
    "half a character in a setting": (("samples", "path"), "\udfff.csv", "samples.path: the text"),
    "escape in a label": (("methods", 0, "label"), "a\x07", "characters that can be printed"),
    "escape in a swept value": (
        ("methods", 0, "sweep"),
        {"fail_on": ["\x1b[2J"]},
        "must be printable",
    ),
    "nan": (("methods", 0, "sweep"), {"t0": [float("nan")]}, "sweep.t0[0]: nan is not allowed"),
    "infinity": (("methods", 0, "settings"), {"x": float("inf")}, "x: inf is not allowed"),
}


@pytest.mark.parametrize("case", BAD)
def test_texts_and_numbers_are_checked_once_on_entry(
    case: str, toy_folder: Path, suite_content: dict[str, Any]
) -> None:
    place, value, expected = BAD[case]
    container: Any = suite_content
    for key in place[:-1]:
        container = container[key]
    container[place[-1]] = value
    path = toy_folder / "suite.yaml"
    path.write_text(yaml.safe_dump(suite_content))  # ASCII: halves become escapes
    with pytest.raises(EvalError) as refused:
        make_plan(path)
    assert expected in str(refused.value)


@pytest.mark.parametrize("id", GLYPH_METRICS)
def test_glyph_encoders_on_other_pictures_are_refused(
    id: str, write_suite: Any, suite_content: dict[str, Any], tmp_path: Path
) -> None:
    suite_content |= {"metrics": ["motion.flow_dis.v1", id], "allow_glyph_encoders": False}
    encoder = parse_metric(id).encoder
    with pytest.raises(EvalError, match=f"'{id}': encoder {encoder} was trained on the glyph wor"):
        make_plan(write_suite(suite_content))
    plan = make_plan(write_suite(suite_content | {"allow_glyph_encoders": True}))
    assert plan.foreign_encoders == (encoder,)
    assert foreign_encoders([parse_metric(id)], load(GlyphWorldSettings(seen=1, unseen=1))) == ()


def test_allowed_glyph_encoders_are_marked_in_every_row_and_show_no_accuracy(
    run_toy: Any, suite_content: dict[str, Any]
) -> None:
    suite_content["methods"] = [suite_content["methods"][0]]
    outcome = run_toy(suite_content)
    run = json.loads((outcome.folder / "run.json").read_text())
    assert run["foreign_encoders"] == ["dino_glyph", "videomae_glyph"]
    assert run["judge_cards"] == {}
    records = pd.read_csv(outcome.folder / "records.csv", keep_default_na=False)
    marked = records["flags"].str.contains("foreign_encoder")
    assert set(records[marked]["metric"]) == {"identity.dino_glyph.v1"}
    assert set(records[~marked]["metric"]) == {"motion.flow_dis.v1"}


def test_accuracy_is_of_the_encoders_that_are_used_on_the_glyph_world(
    run_toy: Any, suite_content: dict[str, Any]
) -> None:
    suite_content |= {
        "samples": {"source": "glyph-world", "seen": 1, "unseen": 1, "frames": 4},
        "metrics": ["identity.dino_glyph.v1", "motion.flow_dis.v1"],
        "methods": [{"method": "still-image"}],
        "allow_glyph_encoders": False,
        "reference": None,
    }
    outcome = run_toy(suite_content)
    run = json.loads((outcome.folder / "run.json").read_text())
    assert sorted(run["judge_cards"]) == ["dino", "flow"]
    assert "foreign_encoders" not in run


def test_finished_clips_are_not_judged_by_glyph_encoders(
    tmp_path: Path, toy_evaluator: Any
) -> None:
    import numpy as np

    np.save(tmp_path / "a.npy", np.zeros((3, 8, 8, 3), np.uint8))
    with pytest.raises(EvalError, match=r"dino_glyph was trained on .*--allow-glyph-encoders"):
        score(tmp_path, None, tmp_path / "out", encoders=["dino_glyph"], evaluator=toy_evaluator)


def test_init_writes_no_glyph_encoder() -> None:
    metrics = yaml.safe_load(_metrics()[0])["metrics"]
    assert metrics
    assert not any(GLYPH in id for id in metrics)


@pytest.mark.parametrize("frames", [2, 3])
def test_clips_too_short_for_a_metric_are_refused_with_the_plan(
    tmp_path: Path, frames: int
) -> None:
    suite = {
        "name": "short",
        "samples": {"source": "glyph-world", "seen": 1, "unseen": 0},
        "methods": [{"method": "still-image", "settings": {"frames": frames}}],
        "metrics": ["motion.flow_dis.v1", "flicker.pixels.v1"],
    }
    path = tmp_path / "short.yaml"
    path.write_text(yaml.safe_dump(suite))
    if frames == 3:
        assert make_plan(path).cells
        return
    with pytest.raises(EvalError, match=r"2 frames, and 'flicker\.pixels\.v1' needs 3 or more"):
        make_plan(path)


def test_definitions_state_the_fewest_frames_that_have_a_value() -> None:
    """Of all metrics that need no weights."""
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for metric in catalogue(superseded=False):
        if (
            metric.truth
            or metric.scope == "set"
            or metric.encoder not in ("flow_dis", "pixels", "tracks_klt")
        ):
            continue
        least = registered(metric).definition.frames
        for count in (least - 1, least):
            frames = np.stack([np.roll(image, shift, axis=1) for shift in range(count)])
            clip = Clip(frames, 8.0)
            sample = Sample("a", image, "a room, camera pans left", clip=clip)
            if not applies(metric, sample):
                continue
            if count == least:
                assert len(Evaluator([metric]).per_clip(sample, clip)) == 1, metric.id
            elif least > 2:
                with pytest.raises(EvalError, match=f"{count} frames; {least} or more are needed"):
                    Evaluator([metric]).per_clip(sample, clip)
