"""A run's VBench dimensions as VBench's files, by the command."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from eval.cli import app
from eval.clips.lossless import Clip, write_clip
from eval.io.files import Files
from eval.measure.catalogue import find_definition, parse_metric
from eval.measure.feature_cache import FeatureCache, tracks_view
from eval.metrics.camera_motion import query_points
from eval.store.store import Record, Store
from eval.summary.vbench_export import IDS
from eval.summary.vbench_files import read_results

SUBJECT, DEGREE = "vbench.i2v_subject.dino_vitb16", "vbench.dynamic_degree.raft_things.v2"


def run_folder(folder: Path, values: dict[tuple[str, str, int], float]) -> Path:
    """A run of two samples and two seeds with ``values``: (metric, sample, seed) -> value."""
    cells = ["toy[t0=0.5]", "still"]
    with Store(folder) as store:
        store.add_records(
            Record(cells[0], sample, seed, metric, value, "", "0" * 64, "w" * 64)
            for (metric, sample, seed), value in values.items()
        )
    document = {"seeds": [7, 3], "cells": [{"id": cell, "method": "toy"} for cell in cells]}
    (folder / "run.json").write_text(json.dumps(document))
    (folder / "samples.csv").write_text(
        'id,group,prompt,image\ns0,all,"a boat, at sea",samples/s0/image.png\ns1,all,,x.png\n'
    )
    return folder


def export(folder: Path, *options: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["export", str(folder), "--format", "vbench", *options])
    return result.exit_code, result.output


def test_dimensions_are_written_and_what_is_missing_is_named(tmp_path: Path) -> None:
    clips = [("s0", 7), ("s0", 3), ("s1", 7), ("s1", 3)]
    values = {(f"{SUBJECT}.noaa.v1", *clip): 0.5 + k / 8 for k, clip in enumerate(clips)}
    values |= {(f"{SUBJECT}.v2", *clip): 0.25 for clip in clips}
    values |= {(DEGREE, *clip): float(k == 0) for k, clip in enumerate(clips[:3])}
    folder = run_folder(tmp_path / "run", values)
    code, output = export(folder)
    assert code == 0, output
    (path,) = (folder / "vbench").iterdir()
    results = read_results(path)
    assert list(results) == ["i2v_subject", "dynamic_degree"]
    assert results["i2v_subject"].aggregate == 0.6875
    assert {row["video_path"]: row["video_results"] for row in results["i2v_subject"].rows} == {
        "a boat, at sea-0.mp4": 0.5,
        "a boat, at sea-1.mp4": 0.625,
        "s1-0.mp4": 0.75,
        "s1-1.mp4": 0.875,
    }
    assert results["i2v_subject"].rows[0]["image_path"] == "samples/s0/image.png"
    assert {row["video_results"] for row in results["dynamic_degree"].rows} == {True, False}
    assert results["dynamic_degree"].aggregate == pytest.approx(1 / 3)
    words = " ".join(output.split())
    assert "dynamic_degree lacks 1 of its clips" in words
    assert "no camera_motion, i2v_background, subject_consistency, background_consistency" in words


def test_rows_hold_what_vbench_s_hold_and_long_clips_count_more(tmp_path: Path) -> None:
    """Aggregates as VBench adds them up: sum of video_sim / sum of cnt_per_video."""
    camera, background = IDS["camera_motion"][0], IDS["background_consistency"][0]
    subject = IDS["subject_consistency"][0]
    values = {(id, "s0", 7): 0.9 for id in (background, subject)}
    values |= {(id, "s0", 3): 0.5 for id in (background, subject)} | {(camera, "s0", 7): 1.0}
    folder = run_folder(tmp_path / "run", values)
    table = folder / "samples.csv"
    table.write_text(table.read_text().replace("at sea", "at sea, camera zooms in"))
    files, first = Files(folder), query_points(48, 64)
    clips = {seed: Clip(np.zeros((count, 48, 64, 3), np.uint8), 8.0) for seed, count in COUNTS}
    with Store(folder) as store:
        records = [r._replace(clip_key=f"{r.seed:064}") for r in store.records("toy[t0=0.5]")]
        store.add_records(records)
    for seed, clip in clips.items():
        path = files.clip(f"{seed:064}")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_clip(path, clip)
    zoom = np.stack([first, (first - (32, 24)) * 1.2 + (32, 24)]).astype(np.float32)
    encoder = ("cotracker2", "w" * 64)
    FeatureCache(files.frames).get(
        encoder, clips[7].fingerprint, tracks_view("standard", first), lambda: zoom
    )
    assert export(folder)[0] == 0
    (path,) = (folder / "vbench").iterdir()
    results = read_results(path)
    [row] = results["camera_motion"].rows
    assert row["prompt_type"] == "zoom_in"
    assert "zoom_in" in row["predict_type"]
    rows = {row["cnt_per_video"]: row for row in results["background_consistency"].rows}
    assert {count: row["video_sim"] for count, row in rows.items()} == pytest.approx(
        {9: 9 * 0.9, 2: 2 * 0.5}
    )
    assert results["background_consistency"].aggregate == pytest.approx((8.1 + 1.0) / 11)
    assert results["subject_consistency"].aggregate == pytest.approx((8.1 + 1.0) / 11)

    files.clip(f"{7:064}").unlink()
    assert export(folder)[0] == 0
    results = read_results(path)
    assert "predict_type" not in results["camera_motion"].rows[0]
    assert results["background_consistency"].aggregate == pytest.approx(0.7)


COUNTS = ((7, 10), (3, 3))
"""Seed -> frames of its clip."""


def test_values_of_other_networks_are_not_written(tmp_path: Path) -> None:
    values = {("vbench.i2v_subject.dino_glyph.v2", "s0", 7): 0.5, (f"{SUBJECT}.v1", "s0", 7): 0.5}
    code, output = export(run_folder(tmp_path / "run", values))
    assert code == 2
    assert "has no values of" in output
    assert not (tmp_path / "run" / "vbench").exists()


@pytest.mark.parametrize("id", [id for ids in IDS.values() for id in ids])
def test_the_written_ids_are_in_the_catalogue_with_the_published_network(id: str) -> None:
    metric = parse_metric(id)
    assert metric.id == id
    assert metric.encoder == find_definition(metric.family).definition.published


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", {(DEGREE, "s0", 7): 1.0})
    taken = tmp_path / "taken"
    taken.write_text("kept")
    result = CliRunner().invoke(
        app, ["export", str(folder), "--format", "vbench", "--out", str(taken)]
    )
    assert result.exit_code == 2, result.output
    assert "taken" in result.stderr
    assert isinstance(result.exception, SystemExit)
    assert taken.read_text() == "kept"
