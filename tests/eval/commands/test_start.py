"""A start for everyone: what `init` writes passes `--dry-run`; the table of results; weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from eval.cli import app
from eval.clips.lossless import Clip, write_clip
from eval.commands.results import best_cell, main_metrics
from eval.measure.selection import metrics_of


def invoke(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model's folder as far as a plan looks into it."""
    folder = tmp_path / "model"
    parts = {
        "vae": ["diffusers", "AutoencoderKL"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNetMotionModel"],
        "scheduler": ["diffusers", "DDIMScheduler"],
    }
    for name in (*parts, "adapter"):
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text("{}")
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "AnimateDiff", **parts}))
    return folder


@pytest.mark.parametrize("with_adapter", [False, True])
def test_a_suite_for_a_base_passes_a_dry_run_as_it_stands(model, monkeypatch, with_adapter):
    monkeypatch.chdir(model.parent)
    more = ["--adapter", "model/adapter"] if with_adapter else []
    assert invoke("init", "mine.yaml", "--base", "model", *more).exit_code == 0
    said = invoke("run", "mine.yaml", "--dry-run")
    assert said.exit_code == 0, said.output
    name = "i2v-adapter-alone" if with_adapter else "image-prior"
    assert f"{name}[t0=0.6,p=0.5]" in said.stdout
    assert Path("mine.yaml").read_text().count("#") > 15


def test_a_suite_for_a_diffusers_pipeline_passes_a_dry_run(model, monkeypatch):
    monkeypatch.chdir(model.parent)
    said = invoke("init", "--pipeline", "I2VGenXLPipeline", "--model", "model")
    assert said.exit_code == 0, said.output
    assert invoke("run", "my-suite.yaml", "--dry-run").exit_code == 0


def test_a_manifest_of_clips_is_written_and_can_be_scored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for method in ("one", "two"):
        (tmp_path / "clips" / method).mkdir(parents=True)
        for name in ("a", "b"):
            frames = rng.integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
            write_clip(tmp_path / "clips" / method / f"{name}.mkv", Clip(frames, 8.0))
    said = invoke("init", "--clips", "clips")
    assert "4 clips; fill in the prompts" in said.stdout
    text = Path("my-suite.csv").read_text()
    assert text.splitlines()[1] == "a,one/a.mkv,,,one,0"
    filled = text.replace(",,,one", ",,a cat,one").replace(",,,two", ",,a cat,two")
    Path("my-suite.csv").write_text(filled)
    scored = invoke(
        *("clips", "clips", "--samples", "my-suite.csv", "--out", "run", "--encoders", "pixels")
    )
    assert scored.exit_code == 0, scored.output
    assert "4 clips scored" in scored.stdout
    assert "flicker.pixels" in scored.stdout  # the table
    found = invoke(
        *("clips", "clips", "--samples", "my-suite.csv", "--out", "run", "--encoders", "pixels"),
        "--json",
    )
    rows = json.loads(found.stdout)
    assert {row["cell"] for row in rows} == {"one", "two"}
    assert all(isinstance(row["mean"], float) for row in rows)


def test_what_is_not_measured_is_said_before_in_one_line_with_the_way_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    monkeypatch.setenv("I2V_EVAL_WEIGHTS", str(tmp_path / "empty"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "empty"))
    frames = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    (tmp_path / "clips").mkdir()
    write_clip(tmp_path / "clips" / "a.mkv", Clip(frames, 8.0))
    said = invoke("clips", "clips", "--out", "run")
    lines = [line for line in said.stderr.splitlines() if line.startswith("not measured: ")]
    assert len(lines) == 1, said.output
    assert "identity" in lines[0]
    assert "`i2v-eval weights get dino_vits16 clip_vitb32_openai`" in lines[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--base", "x", "--clips", "y"], "--clips and --base: give one of them"),
        (["--pipeline", "X"], "--pipeline NAME and --model FOLDER_OR_ID go together"),
        (["--adapter", "x"], "go with --base"),
        (["--clips", "no-such"], "--clips no-such: no such folder"),
    ],
)
def test_init_says_what_does_not_go_together(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    said = invoke("init", *arguments)
    assert (said.exit_code, message in said.stderr) == (2, True), said.stderr


def row(cell: str, mean: float, low: float, high: float, **more: str) -> dict[str, str]:
    numbers = {"mean": mean, "low": low, "high": high}
    values = {key: repr(value) for key, value in numbers.items()}
    base = {"cell": cell, "method": "x", "metric": "m.v1", "higher_is_better": "true"}
    return base | values | more


def test_the_best_is_marked_only_where_its_interval_lies_apart_from_all_others():
    apart = [row("a", 0.9, 0.8, 1.0), row("b", 0.5, 0.4, 0.6), row("c", 0.2, 0.1, 0.79)]
    assert best_cell(apart, "m.v1") == "a"
    assert best_cell([*apart, row("d", 0.7, 0.6, 0.81)], "m.v1") is None
    lower = [dict(entry, higher_is_better="false") for entry in apart]
    assert best_cell(lower, "m.v1") is None  # c reaches to 0.79
    assert best_cell([lower[0], lower[1]], "m.v1") == "b"
    assert best_cell([dict(entry, higher_is_better="") for entry in apart], "m.v1") is None
    anchor = row("still", 1.0, 1.0, 1.0, method="still-image")
    assert best_cell([*apart, anchor], "m.v1") == "a"
    assert best_cell(apart[:1], "m.v1") is None


def test_the_table_shows_the_main_metrics_in_the_runs_order():
    names = ["identity_min.d.v1", "identity.d.v1", "motion.f.v1", "fvd.v.v1", "text.c.v1"]
    names += [f"other{number}.x.v1" for number in range(4)]
    rows = [{"metric": name} for name in names]
    assert main_metrics(rows) == [
        *("identity_min.d.v1", "identity.d.v1", "motion.f.v1", "fvd.v.v1", "text.c.v1"),
        "other0.x.v1",
    ]


def test_weights_are_listed_with_what_gets_them(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("I2V_EVAL_WEIGHTS", raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    suite = tmp_path / "suite.yaml"
    suite.write_text(
        "name: x\nsamples: {source: glyph-world}\nmethods: [{method: still-image}]\n"
        f"metrics: [{metrics_of(['dino_vits16'])[0].id}, {metrics_of(['flow_dis'])[0].id}]\n"
    )
    rows = json.loads(invoke("weights", "--for", suite, "--json").stdout)
    assert [(entry["encoder"], entry["found"]) for entry in rows] == [
        ("dino_vits16", None),
        ("flow_dis", "no weights needed"),
    ]
    assert rows[0]["get"].startswith("hf download facebook/dino-vits16 config.json")
    assert "identity" in rows[0]["unlocks"]
    table = invoke("weights").stdout
    assert "clip_vitb32_openai" in table
    assert "curl -L" in table
