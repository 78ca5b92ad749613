"""`clips`: which metrics are paid for, on how many processes, and what is said before."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from eval.cli import app
from eval.execute.choice import EXACT, FAST, flow_of_clips
from eval.execute.finished import score
from eval.execute.options import Options
from eval.execute.pool import Pool


def clip(path: Path, size: tuple[int, int] = (32, 48), frames: int = 5, seed: int = 0) -> None:
    import cv2

    coarse = np.random.default_rng(seed).normal(size=(8, 10, 3)).astype(np.float32)
    picture = cv2.resize(coarse, (size[1] + 2 * frames, size[0] + frames)) * 40 + 128
    moved = [picture[i : i + size[0], 2 * i : 2 * i + size[1]] for i in range(frames)]
    np.save(path, np.clip(np.stack(moved), 0, 255).astype(np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    clips = tmp_path / "clips"
    clips.mkdir()
    for index in range(4):
        clip(clips / f"c{index}.npy", seed=index)
    return clips


def call(*arguments: Any) -> Any:
    return CliRunner().invoke(app, ["clips", *map(str, arguments), "--fps", "8"])


def test_any_number_of_workers_gives_the_same_files(folder: Path, tmp_path: Path) -> None:
    (folder / "broken.npy").write_bytes(b"no array")
    outputs = []
    for name, pool in (("here", None), ("two", Pool(2, kind="processes"))):
        out = tmp_path / name
        scored = score(
            folder,
            None,
            out,
            encoders=["flow_dis_fast", "flow_dis", "pixels"],
            fps=8.0,
            options=Options(pool=pool),
        )
        assert (scored.clips, len(scored.failures)) == (4, 1)
        tables = ("records.csv", "summary.csv", "comparisons.csv", "failures.csv")
        outputs.append([(out / table).read_bytes() for table in tables])
    assert outputs[0] == outputs[1]


def test_only_named_metrics_are_measured(folder: Path, tmp_path: Path) -> None:
    done = call(folder, "--out", tmp_path / "out", "--metrics", "motion,flicker.pixels.v1")
    assert done.exit_code == 0, done.output
    measured = set(pd.read_csv(tmp_path / "out" / "records.csv")["metric"])
    assert measured == {"motion.flow_dis.v1", "flicker.pixels.v1"}
    wrong = call(folder, "--out", tmp_path / "other", "--metrics", "motoin")
    assert wrong.exit_code == 2
    assert "--metrics motoin: no metric of this name can be measured here" in wrong.output
    assert "Did you mean 'motion'?" in wrong.output


def test_a_metric_without_weights_says_how_to_get_them(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("I2V_EVAL_WEIGHTS", str(tmp_path / "none"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "none"))
    done = call(folder, "--out", tmp_path / "out", "--metrics", "identity")
    assert done.exit_code == 2, done.output
    assert "--metrics identity: the weights of its encoders (dino_vits16, " in done.output
    assert "`i2v-eval weights get dino_vits16`, then run this again" in done.output


def test_large_frames_are_measured_by_the_fast_flow_which_is_said(
    folder: Path, tmp_path: Path
) -> None:
    small = sorted(folder.iterdir())
    assert flow_of_clips(small, tmp_path / "none") == EXACT
    clip(folder / "large.npy", (520, 522), frames=2)
    clips = sorted(folder.iterdir())
    assert flow_of_clips(clips, tmp_path / "none") == FAST
    done = call(folder, "--out", tmp_path / "out", "--metrics", "motion")
    assert done.exit_code == 0, done.output
    assert f"motion is measured by {FAST}" in done.output
    assert set(pd.read_csv(tmp_path / "out" / "records.csv")["metric"]) == {f"motion.{FAST}.v1"}
    assert flow_of_clips(small, tmp_path / "out") == FAST  # a run folder keeps its flow
    named = call(folder, "--out", tmp_path / "named", "--metrics", f"motion.{EXACT}.v1")
    assert named.exit_code == 0, named.output
    assert f"motion is measured by {FAST}" not in named.output


def test_a_dry_run_tells_the_time_and_writes_nothing(folder: Path, tmp_path: Path) -> None:
    (folder / "broken.npy").write_bytes(b"no array")
    told = call(folder, "--out", tmp_path / "out", "--dry-run", "--workers", "2")
    assert told.exit_code == 0, told.output
    assert "4 clips, 20 frames, 1 more cannot be opened: about " in told.output
    assert "or more on 2 processes" in told.output
    assert not (tmp_path / "out").exists()
    for encoder in ("reading", "flow_dis", "pixels"):
        assert any(line.startswith(encoder) for line in told.stdout.splitlines()), told.stdout
