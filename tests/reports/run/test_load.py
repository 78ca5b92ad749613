"""Reading a run folder: typed frames, and one-line errors that name the file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eval.clips.lossless import read_clip
from eval.errors import EvalError
from reports.run.load import load_run
from reports.run.measures import measures_of
from reports.run.notices import notices


def test_frames_are_typed_and_texts_stay_texts(run_folder: Path) -> None:
    run = load_run(run_folder)
    assert run.groups == ["all", "seen", "unseen"]
    assert run.cells[0] == "i2v-adapter[t0=0.6,p=0.1]"  # the plan's order, not the file's
    assert run.cells[-1] == "true-clip"
    assert run.metrics[0] == "identity.dino_glyph.v1"
    assert run.reference == "i2v-adapter[t0=1.0,p=0.5]"
    assert run.samples.set_index("id").at["seen-1", "prompt"] == "null"
    rows = run.summary.drop_duplicates("metric").set_index("metric")
    assert rows.at["identity.dino_glyph.v1", "higher_is_better"] is True
    assert rows.at["fvd.videomae_glyph.v1", "higher_is_better"] is False
    assert rows.at["motion.flow_dis.v1", "higher_is_better"] is None
    assert np.isnan(rows.at["fvd.videomae_glyph.v1", "low"])


def test_clips_are_found_by_cell_and_sample(run_folder: Path) -> None:
    run = load_run(run_folder)
    rows = run.records[
        (run.records["cell"] == "content-adapter") & (run.records["sample"] == "seen-0")
    ]
    key = rows["clip_key"].iloc[0]
    expected = read_clip(run_folder / "clips" / key[:2] / f"{key}.mkv")
    clip = run.cell_clip("content-adapter", "seen-0")
    assert clip is not None
    np.testing.assert_array_equal(clip.frames, expected.frames)
    assert clip.fps == 8.0
    assert run.cell_clip("content-adapter", "no such sample") is None
    assert run.true_clip("unseen-0") is None
    assert run.true_clip("seen-0") is not None


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    "name", ["records.csv", "summary.csv", "comparisons.csv", "samples.csv", "run.json"]
)
def test_missing_file_is_named(own_run_folder: Path, name: str) -> None:
    (own_run_folder / name).unlink()
    with pytest.raises(EvalError, match=f"{name}: no such file.*run its suite again"):
        load_run(own_run_folder)


def test_missing_folder_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="no such run folder; make one with `i2v-eval run"):
        load_run(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("summary.csv", "higher_is_better", "better", "column higher_is_better is missing"),
        (
            "summary.csv",
            ",cosine,true,",
            ",cosine,perhaps,",
            "higher_is_better must be True, False or empty, not 'perhaps'",
        ),
        (
            "summary.csv",
            "content-adapter,,,seen",
            "content-adapter,,,all",
            "two rows for cell 'content-adapter', group 'all'",
        ),
        ("comparisons.csv", "-0.", "minus 0.", "must hold numbers"),
        ("summary.csv", "mostly_bias", "few_images", "caution few_images lacks 'clusters'"),
        ("summary.csv", '"[{""code"": ', '"[{""kind"": ', "a caution needs a code"),
        ("comparisons.csv", "}]", "}", "column cautions: not readable as JSON"),
        ("samples.csv", '"a blue heart, growing"', "a, b, c, d, e", "not a readable CSV file"),
        ("run.json", "{", "", "not valid JSON"),
        ("run.json", '"suite"', '"suites"', "key 'suite'"),
    ],
)
def test_damage_is_named_with_its_file(
    own_run_folder: Path, name: str, old: str, new: str, message: str
) -> None:
    _edit(own_run_folder / name, old, new)
    with pytest.raises(EvalError, match=message) as caught:
        load_run(own_run_folder)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_empty_summary_is_not_a_report(own_run_folder: Path) -> None:
    path = own_run_folder / "summary.csv"
    path.write_text(path.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    with pytest.raises(EvalError, match="nothing to report"):
        load_run(own_run_folder)


@pytest.mark.parametrize("path", ["../../outside.png", "/etc/hostname"])
def test_paths_stay_inside_the_run_folder(own_run_folder: Path, path: str) -> None:
    _edit(own_run_folder / "samples.csv", "samples/seen-0/image.png", path)
    with pytest.raises(EvalError, match="leaves the run folder"):
        load_run(own_run_folder).image_path("seen-0")


def test_recorded_clip_that_is_gone_is_an_error(own_run_folder: Path) -> None:
    run = load_run(own_run_folder)
    key = run.clip_keys["content-adapter", "seen-0", 0]
    (own_run_folder / "clips" / key[:2] / f"{key}.mkv").unlink()
    with pytest.raises(EvalError, match=f"{key}.mkv: no such file, though the run lists it"):
        run.cell_clip("content-adapter", "seen-0")


def test_clip_key_cannot_be_a_path(own_run_folder: Path) -> None:
    run = load_run(own_run_folder)
    key = run.clip_keys["content-adapter", "seen-0", 0]
    _edit(own_run_folder / "records.csv", key, "../../../etc/hostname")
    _edit(own_run_folder / "records.csv", key, "../../../etc/hostname")
    with pytest.raises(EvalError, match="is not a hex digest"):
        load_run(own_run_folder).cell_clip("content-adapter", "seen-0")


def test_a_run_without_reference_or_cards_loads(own_run_folder: Path) -> None:
    path = own_run_folder / "comparisons.csv"
    path.write_text(path.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    run_json = json.loads((own_run_folder / "run.json").read_text(encoding="utf-8"))
    del run_json["judge_cards"], run_json["suite"]["reference"]
    (own_run_folder / "run.json").write_text(json.dumps(run_json), encoding="utf-8")
    assert load_run(own_run_folder).reference is None


@pytest.mark.parametrize(
    ("dirty", "said"),
    [("false", ""), ("true", "with uncommitted changes"), ("null", "is not known")],
)
def test_the_state_of_the_code_is_a_warning_where_it_is_not_clean(
    own_run_folder: Path, dirty: str, said: str
) -> None:
    path = own_run_folder / "run.json"
    content = json.loads(path.read_text(encoding="utf-8")) | {"dirty": json.loads(dirty)}
    path.write_text(json.dumps(content), encoding="utf-8")
    run = load_run(own_run_folder)
    found = [text for text in notices(run, measures_of(run)) if "uncommitted" in text]
    assert len(found) == bool(said)
    assert all(said in text for text in found)
