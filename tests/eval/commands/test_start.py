"""A start for everyone: what `init` writes passes `--dry-run`; the table of results; weights."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from safetensors.numpy import save_file
from typer.testing import CliRunner

from eval.cli import app
from eval.clips.lossless import Clip, write_clip
from eval.commands.results_table import best_cell, main_metrics, show_results
from eval.io.documents import write_csv
from eval.measure.selection import metrics_of
from eval.summary.cautions import few_images, to_json
from eval.summary.tables import SUMMARY


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
        save_file({}, folder / name / "model.safetensors")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / "tokenizer" / name).write_text("{}")
    (folder / "scheduler" / "scheduler_config.json").write_text("{}")
    (folder / "unet" / "config.json").write_text('{"sample_size": 8}')
    (folder / "vae" / "config.json").write_text('{"block_out_channels": [8, 8, 8, 8]}')
    layer = {"channels": 4, "inner": 4, "heads": 1}
    adapter = {"_class_name": "I2VAdapter", "layers": {"mid_block": layer}}
    (folder / "adapter" / "config.json").write_text(json.dumps(adapter))
    tensors = {"to_q_ff.weight": (4, 4), "to_out_ff.weight": (4, 4), "to_out_ff.bias": (4,)}
    save_file(
        {f"mid_block.{name}": np.zeros(shape) for name, shape in tensors.items()},
        folder / "adapter" / "model.safetensors",
    )
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "AnimateDiff", **parts}))
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of two photographs, named by their prompts."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a cat, sitting", "rain"):
        pixels = rng.integers(0, 256, (16, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.jpg")
    return folder


@pytest.mark.parametrize("with_adapter", [False, True])
def test_a_suite_for_a_base_passes_a_dry_run_as_it_stands(model, photos, monkeypatch, with_adapter):
    monkeypatch.chdir(model.parent)
    more = ["--adapter", "model/adapter"] if with_adapter else []
    # The suite lies elsewhere than here, where the paths on the command line start.
    written = invoke("init", "suites/mine.yaml", "--base", "model", "--samples", "photos", *more)
    assert written.exit_code == 0, written.output
    assert written.stdout == "suites/mine.yaml: now: i2v-eval run suites/mine.yaml --dry-run\n"
    said = invoke("run", "suites/mine.yaml", "--dry-run")
    assert said.exit_code == 0, said.output
    name = "i2v-adapter-alone" if with_adapter else "image-prior"
    assert f"{name}[t0=0.6,p=0.5]" in said.stdout
    assert "2 samples" in said.stdout
    text = Path("suites/mine.yaml").read_text()
    assert text.count("#") > 15
    assert "height: 64, width: 64" in text  # what the model was made for


def test_images_may_bring_their_prompts_in_a_table(photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    table = "image,prompt\nrain.jpg,rain falls\n'a cat, sitting.jpg',a cat\n".replace("'", '"')
    Path("captions.csv").write_text(table)
    arguments = ("init", "--samples", "photos", "--prompts", "captions.csv")
    assert invoke(*arguments).exit_code == 0
    suite = yaml.safe_load(Path("my-suite.yaml").read_text())
    assert suite["samples"] == {"source": "images", "folder": "photos", "prompts": "captions.csv"}
    assert invoke("run", "my-suite.yaml", "--dry-run").exit_code == 0


def test_a_suite_of_nothing_but_a_name_runs_on_the_glyph_world(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert invoke("init").exit_code == 0
    said = invoke("run", "my-suite.yaml", "--dry-run")
    assert said.exit_code == 0, said.output
    assert "i2v-adapter[t0=0.6]" in said.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--base", "no/where"], "first: base.model: 'no/where' is no folder and not in the hub's"),
        (["--base", "model/vae"], "first: base.model: "),
        (["--base", "image"], "first: base: image is an image model, and there is no motion_ada"),
        (["--base", "model", "--adapter", "none"], "first: base.i2v_adapter: there is no folder"),
        (["--pipeline", "I2VGenXLPipeline", "--model", "vae"], "first: --model: there is no fold"),
        (["--base", "model", "--samples", "later.csv"], "first: write later.csv; then: i2v-eval"),
    ],
)
def test_init_says_what_a_suite_still_lacks(model, monkeypatch, arguments, message):
    monkeypatch.chdir(model.parent)
    shutil.copytree("model", "image")
    index = json.loads(Path("image/model_index.json").read_text())
    index["unet"] = ["diffusers", "UNet2DConditionModel"]
    Path("image/model_index.json").write_text(json.dumps(index))
    said = invoke("init", "mine.yaml", *arguments)
    assert said.exit_code == 0, said.output
    assert said.stdout.startswith(f"mine.yaml: {message}")
    lacking = "not measured yet: identity, text, motion by raft_large; `i2v-eval weights get dino"
    assert said.stderr.startswith(lacking) == ("--samples" in arguments)
    assert Path("mine.yaml").is_file()


def test_a_suite_for_a_diffusers_pipeline_passes_a_dry_run(model, monkeypatch):
    monkeypatch.chdir(model.parent)
    said = invoke("init", "--pipeline", "PIAPipeline", "--model", "model")
    assert said.exit_code == 0, said.output
    assert invoke("run", "my-suite.yaml", "--dry-run").exit_code == 0
    other = Path("my-suite.yaml").read_text().replace("PIAPipeline", "I2VGenXLPipeline")
    Path("other.yaml").write_text(other)
    refused = invoke("run", "other.yaml", "--dry-run")
    assert refused.exit_code == 2
    assert "I2VGenXLPipeline needs a " in refused.stderr


def test_the_next_command_can_be_pasted_whatever_the_folder_is_called(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clips = tmp_path / "my clips; $(all)"
    clips.mkdir()
    write_clip(clips / "a.mkv", Clip(np.zeros((2, 16, 16, 3), np.uint8), 8.0))
    said = invoke("init", "a suite.csv", "--clips", clips.name).stdout
    command = shlex.split(said.partition(", then: ")[2])
    assert command[:3] == ["i2v-eval", "clips", clips.name]
    assert command[3:] == ["--samples", "a suite.csv", "--out", "runs/a suite"]


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


def test_init_knows_the_pipelines_of_diffusers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = invoke("init", "mine.yaml", "--pipeline", "LTXImageToVidoPipeline", "--model", "ltx")
    assert said.exit_code == 2
    assert "--pipeline LTXImageToVidoPipeline: diffusers" in said.stderr
    assert "Did you mean 'LTXImageToVideoPipeline'?" in said.stderr
    assert not Path("mine.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--base", "x", "--clips", "y"], "--clips and --base: give one of them"),
        (["--pipeline", "X"], "--pipeline NAME and --model FOLDER_OR_ID go together"),
        (["--adapter", "x"], "go with --base"),
        (["--clips", "no-such"], "--clips no-such: no such folder"),
        (["--method", "mine"], "--method mine: write module:Class"),
        (["--base", "x", "--method", "a:B"], "--base and --method: give one of them"),
        (["--prompts", "x.csv"], "--prompts goes with --samples FOLDER"),
    ],
)
def test_init_says_what_does_not_go_together(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    said = invoke("init", *arguments)
    assert (said.exit_code, message in said.stderr) == (2, True), said.stderr


def _summary(folder: Path, images: int) -> None:
    """A run of two cells and an anchor with so many input images."""
    cautions = to_json(few_images(images))
    rows = []
    for cell, method, mean in (("a", "x", 0.2), ("b", "x", 0.5), ("still", "still-image", 0.0)):
        numbers = (mean, mean - 0.01, mean + 0.01, images, images, 0, "")
        about = ("share of range", "false", cautions)
        rows.append([cell, method, "", "", "all", "flicker.pixels.v1", *numbers, *about])
    write_csv(folder / "summary.csv", SUMMARY, rows)


def row(cell: str, mean: float, low: float, high: float, **more: str) -> dict[str, str]:
    numbers = {"mean": mean, "low": low, "high": high}
    values = {key: repr(value) for key, value in numbers.items()}
    base = {"cell": cell, "method": "x", "metric": "m.v1", "higher_is_better": "true"}
    return base | values | more


def test_the_best_is_marked_only_where_its_interval_lies_apart_from_all_others(tmp_path):
    def best(rows):
        return best_cell(rows, "m.v1", tmp_path)

    apart = [row("a", 0.9, 0.8, 1.0), row("b", 0.5, 0.4, 0.6), row("c", 0.2, 0.1, 0.79)]
    assert best(apart) == "a"
    assert best([*apart, row("d", 0.7, 0.6, 0.81)]) is None
    lower = [dict(entry, higher_is_better="false") for entry in apart]
    assert best(lower) is None  # c reaches to 0.79
    assert best(lower[:2]) == "b"
    assert best([dict(entry, higher_is_better="") for entry in apart]) is None
    anchor = row("still", 1.0, 1.0, 1.0, method="still-image")
    assert best([*apart, anchor]) == "a"
    assert best(apart[:1]) is None


@pytest.mark.parametrize("images", [5, 10])
def test_the_table_marks_the_best_only_where_n_is_large_enough(tmp_path, capsys, images):
    """`a` lies apart from `b`; the anchor lies below both, and does not count."""
    _summary(tmp_path, images)
    show_results(tmp_path, as_json=False)
    said = capsys.readouterr().out.replace("\n", "")
    assert said.count("*") == (0 if images == 5 else 2)  # a value, and what it means
    assert ("0.2 [0.19, 0.21]*" in said) == (images == 10)
    assert ("* best, its interval apart from all others" in said) == (images == 10)
    assert "still (anchor)" in said
    assert ("n too small to call a cell better" in said) == (images == 5)
    assert ("5 input images: the interval is too narrow" in said) == (images == 5)
    assert (f"`i2v-eval report {tmp_path}`" in said) == (images == 10)


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
