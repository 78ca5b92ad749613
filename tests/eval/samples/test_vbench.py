"""VBench's suite as samples, and a folder of its videos: read, scored and written back."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from eval.cli import app
from eval.encoders.tracks import KltEncoder
from eval.errors import EvalError
from eval.samples import load_samples
from eval.samples.vbench import read_info
from eval.samples.vbench_folder import read_vbench_folder
from eval.summary.vbench_files import read_results

SUBJECT = ["i2v_subject", "subject_consistency", "dynamic_degree", "aesthetic_quality"]
BACKGROUND = ["i2v_background", "background_consistency", "aesthetic_quality"]
LAKE = "a lake"


def entry(prompt: str, dimensions: list[str], kind: str, image: str = "") -> dict[str, Any]:
    image = image or f"{prompt}.jpg"
    fields = {"prompt_en": prompt, "dimension": dimensions}
    return fields | {"image_type": kind, "image_name": image}


ENTRIES = [
    entry("a cat, on a mat", SUBJECT, "animal"),
    entry("a cup", SUBJECT, "food"),
    entry(LAKE, BACKGROUND, "scenery"),
    entry(f"{LAKE}, camera pans left", ["camera_motion"], "scenery", f"{LAKE}.jpg"),
    entry(f"{LAKE}, camera static", ["camera_motion"], "scenery", f"{LAKE}.jpg"),
]


def video(path: Path, seed: int, step: int = 0) -> None:
    import av

    wide = np.random.default_rng(seed).integers(0, 256, (8, 24, 3)).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8, options={"crf": "10", "threads": "1"})
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        for index in range(4):
            start = 48 - step * index
            frame = np.ascontiguousarray(wide[:, start : start + 96].astype(np.uint8))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """``info.json``, ``crop/16-9``, and ``toy-model`` with all 25 videos but two of the cup."""
    (tmp_path / "info.json").write_text(json.dumps(ENTRIES))
    crops, videos = tmp_path / "crop" / "16-9", tmp_path / "toy-model"
    crops.mkdir(parents=True)
    videos.mkdir()
    for number, one in enumerate(ENTRIES):
        picture = np.random.default_rng(number).integers(0, 256, (36, 64, 3), dtype=np.uint8)
        Image.fromarray(picture).save(crops / one["image_name"])
        for index in range(5):
            if (one["prompt_en"], index) not in (("a cup", 1), ("a cup", 4)):
                step = 3 if "pans left" in one["prompt_en"] else 0
                video(videos / f"{one['prompt_en']}-{index}.mp4", 10 * number + index, step)
    return tmp_path


def test_an_entry_is_a_sample(suite: Path) -> None:
    settings = {"source": "vbench", "info": "info.json", "images": "crop", "ratio": "16-9"}
    samples = load_samples(settings, folder=suite)
    assert [sample.prompt for sample in samples] == [one["prompt_en"] for one in ENTRIES]
    groups = ["animal", "food", "scenery", "camera pans left", "camera static"]
    assert [sample.group for sample in samples] == groups
    assert samples[0].truth["vbench_dimensions"] == " ".join(SUBJECT)
    assert np.array_equal(samples[2].image, samples[4].image)
    assert len({sample.id for sample in samples}) == 5
    some = load_samples(settings | {"dimensions": ["camera_motion"]}, folder=suite)
    assert [sample.group for sample in some] == groups[3:]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ratio": "1-1"}, "has no folder '1-1'; it has 16-9"),
        ({"ratio": None}, "5 of 5 are not in .*name the folder of the crops with ratio"),
        ({"dimensions": ["i2v_subjct"]}, "did you mean 'i2v_subject'"),
        ({"info": "none.json"}, "cannot be read"),
    ],
)
def test_wrong_settings_are_named(suite: Path, changes: dict[str, Any], message: str) -> None:
    settings = {"source": "vbench", "info": "info.json", "images": "crop", "ratio": "16-9"}
    with pytest.raises(EvalError, match=f"(?i){message}"):
        load_samples(settings | changes, folder=suite)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "must be a list of entries"),
        ("[", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('[{"prompt_en": "a"}]', "entry 0: dimension: Field required"),
        (
            json.dumps([ENTRIES[0], ENTRIES[0]]),
            "entry 1: the prompt 'a cat, on a mat' stands twice",
        ),
        (json.dumps([entry("a", [], "x", "../a.jpg")]), "'../a.jpg' is no file name"),
    ],
)
def test_a_malformed_list_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "info.json").write_text(content)
    with pytest.raises(EvalError, match=message):
        read_info(tmp_path / "info.json")


def test_videos_are_matched_by_their_whole_name(suite: Path) -> None:
    """ "a lake" is the beginning of both camera prompts."""
    videos = suite / "toy-model"
    (videos / f"{LAKE}-7.mp4").write_bytes(b"")  # no index of the suite
    (videos / "a cat, on a mat-0.gif").write_bytes(b"")
    found = read_vbench_folder(videos, suite / "info.json", suite / "crop", "16-9")
    rows = {(row.prompt, row.seed): row.clip.name for row in found.entries.entries}
    assert rows[LAKE, 0] == f"{LAKE}-0.mp4"
    assert rows[f"{LAKE}, camera static", 4] == f"{LAKE}, camera static-4.mp4"
    assert len(rows) == 22
    [failure] = found.entries.failures
    assert "two videos of one name" in failure.reason
    assert found.missing == ["a cup-1.mp4", "a cup-4.mp4"]
    incomplete, others = found.entries.notes
    assert "the set is incomplete: 2 of 25 videos are missing, such as 'a cup-1.mp4'" in incomplete
    assert "i2v_subject 2 of 10" in incomplete
    assert "i2v_background" not in incomplete
    assert "1 videos are of no entry" in others
    assert [len(one["video_list"]) for one in found.record] == [4, 3, 5, 5, 5]


def test_videos_of_one_s_own_find_their_image_by_name(suite: Path) -> None:
    videos, images = suite / "own", suite / "images"
    videos.mkdir()
    images.mkdir()
    for name in ("a boat", "a tree-12"):
        Image.new("RGB", (64, 48)).save(images / f"{name.removesuffix('-12')}.png")
    for name in ("a boat.mp4", "a tree-12.mp4", "a fish-0.mp4"):
        (videos / name).write_bytes(b"")
    found = read_vbench_folder(videos, None, images)
    assert [(row.prompt, row.seed) for row in found.entries.entries] == [
        ("a boat", 0),
        ("a tree", 12),
    ]
    [failure] = found.entries.failures
    assert "no image a fish.jpg, .jpeg or .png" in failure.reason


def command(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    return result.exit_code, " ".join(result.output.split())


class Klt:
    """Stands in for CoTracker2, which its user brings."""

    def __init__(self, *, device: str) -> None:
        self.tracks = KltEncoder()

    @staticmethod
    def fingerprint() -> str:
        return "klt in the place of CoTracker2"

    def track(self, frames: np.ndarray, points: np.ndarray) -> np.ndarray:
        return self.tracks.encode_tracks(frames, points)


def test_a_folder_is_scored_and_written_back(
    suite: Path, make_dino: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("I2V_EVAL_COTRACKER2", f"{__name__}:Klt")
    run = suite / "run"
    layout = ("--layout", "vbench", "--info", suite / "info.json", "--images", suite / "crop")
    code, output = command(
        *("clips", suite / "toy-model", *layout, "--ratio", "16-9", "--out", run),
        *("--encoders", "dino_vitb16,tracks_klt,cotracker2,pixels", "--device", "cpu"),
    )
    assert code == 0, output
    assert "the set is incomplete: 2 of 25 videos are missing" in output
    with (run / "summary.csv").open(newline="") as file:
        summary = {(row["metric"], row["group"]): row for row in csv.DictReader(file)}
    subject = "vbench.i2v_subject.dino_vitb16.noaa.v1"
    counts = {group: summary[subject, group]["n"] for group in ("all", "animal", "food")}
    assert counts == {"all": "8", "animal": "5", "food": "3"}
    assert (subject, "scenery") not in summary
    camera = summary["vbench.camera_motion.tracks_klt.v1", "all"]
    assert (camera["n"], float(camera["mean"])) == ("10", 1.0)
    assert (camera["clusters"], camera["low"]) == ("1", "")  # two prompts, one image
    assert summary["first_frame.psnr.pixels.v1", "all"]["n"] == "23"

    code, output = command("export", run, "--format", "vbench")
    assert code == 0, output
    assert "i2v_subject lacks 2 of its clips" in output
    results = read_results(run / "vbench" / "toy-model_eval_results.json")
    assert list(results) == ["i2v_subject", "camera_motion", "subject_consistency"]
    camera_rows = results.pop("camera_motion").rows
    assert {(row["prompt_type"], *row["predict_type"]) for row in camera_rows} == {
        ("pan_left", "pan_left"),
        ("static", "static"),
    }
    names = {row["video_path"] for row in results["i2v_subject"].rows}
    expected = {f"a cat, on a mat-{k}.mp4" for k in range(5)} | {
        f"a cup-{k}.mp4" for k in (0, 2, 3)
    }
    assert names == expected
    for name in results:
        rows = results[name].rows
        mean = np.mean([row["video_results"] for row in rows])
        assert results[name].aggregate == pytest.approx(mean, rel=1e-12)
        assert {row["video_path"] for row in rows} == expected

    code, output = command(
        *("clips", suite / "toy-model", *layout, "--ratio", "16-9", "--out", run),
        *("--encoders", "dino_vitb16,tracks_klt,cotracker2,pixels", "--device", "cpu"),
    )
    assert code == 0, output
    assert "0 decoded to measure" in output


@pytest.fixture
def make_dino(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny network with random weights in the place of DINO ViT-B/16."""
    from transformers import ViTConfig, ViTModel

    sizes = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = ViTConfig(**sizes, intermediate_size=48, image_size=64, patch_size=16)
    ViTModel(config, add_pooling_layer=False).save_pretrained(tmp_path / "weights" / "dino_vitb16")
    monkeypatch.setenv("I2V_EVAL_WEIGHTS", str(tmp_path / "weights"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--ratio", "1-1"), "--ratio goes with --layout vbench"),
        (("--layout", "vbnch"), "--layout vbnch: unknown"),
        (("--layout", "vbench"), "give --images"),
        (("--layout", "vbench", "--images", ".", "--samples", "a.csv"), "does not go with"),
    ],
)
def test_options_that_do_not_go_together(
    tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    code, output = command("clips", tmp_path, "--out", tmp_path / "run", *options)
    assert code == 2
    assert message in output
