"""Whole runs through the command line, on tiny random models in the hub's layout and mp4 files."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from accelerate.state import AcceleratorState, GradientState
from diffusers import MotionAdapter, StableDiffusionPipeline, UNet2DConditionModel, UNetMotionModel
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from i2v_adapter import I2VAdapter
from i2v_adapter.training import STATE_NAME
from i2v_adapter.training.__main__ import main

WIDTH = 32


@pytest.fixture(autouse=True)
def _fresh_accelerator() -> None:
    """Each test is a process of its own to accelerate."""
    AcceleratorState._reset_state(True)
    GradientState._reset_state()


@pytest.fixture(scope="module")
def hub(
    tmp_path_factory: pytest.TempPathFactory,
    shared_components: dict[str, Any],
    content_adapter: Callable[[UNetMotionModel], dict[str, dict[str, Tensor]]],
) -> Path:
    """Folders laid out as on the hub: a Stable Diffusion 1.x model, a motion adapter, a content
    adapter.
    """
    root = tmp_path_factory.mktemp("hub")
    torch.manual_seed(7)
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(WIDTH, 2 * WIDTH),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        norm_num_groups=8,
        attention_head_dim=2,
    )
    base = StableDiffusionPipeline(
        **{
            name: shared_components[name]
            for name in ("vae", "text_encoder", "tokenizer", "scheduler")
        },
        unet=unet,
        feature_extractor=None,
        safety_checker=None,
        requires_safety_checker=False,
    )
    base.save_pretrained(root / "base")
    motion = MotionAdapter(
        block_out_channels=(WIDTH, 2 * WIDTH),
        motion_layers_per_block=1,
        motion_mid_block_layers_per_block=1,
        motion_num_attention_heads=2,
        motion_norm_num_groups=8,
        motion_max_seq_length=16,
    )
    motion.save_pretrained(root / "motion")
    weights = content_adapter(UNetMotionModel.from_unet2d(unet, motion))
    (root / "content/models").mkdir(parents=True)
    flat = {
        f"{part}.{key}": value for part, values in weights.items() for key, value in values.items()
    }
    save_file(flat, root / "content/models/plus.safetensors")
    shared_components["image_encoder"].save_pretrained(root / "content/models/image_encoder")
    return root


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, write_video: Callable[..., None]) -> Path:
    """Three usable videos in WebVid's layout, one too short, one cut off."""
    root = tmp_path_factory.mktemp("videos")
    for number, frames in enumerate([9, 9, 9, 4, 9]):
        write_video(root / f"videos/p/{number}.mp4", frames=frames, base=25 * number)
    cut = root / "videos/p/4.mp4"
    cut.write_bytes(cut.read_bytes()[:300])
    rows = "".join(f"{number},p,a grey ramp {number}\n" for number in range(5))
    (root / "captions.csv").write_text("videoid,page_dir,name\n" + rows)
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(root / "start.png")
    return root


@pytest.fixture
def configure(hub: Path, videos: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes a configuration; keywords change the default one."""

    def write(output: str, **changes: Any) -> Path:
        document: dict[str, Any] = {
            "base": str(hub / "base"),
            "motion_adapter": str(hub / "motion"),
            "output": str(tmp_path / output),
            "data": {
                "videos": str(videos / "videos"),
                "captions": str(videos / "captions.csv"),
                "height": 16,
                "width": 16,
                "frames": 3,
                "stride": 2,
                "workers": 2,
            },
            "steps": 2,
            "batch_size": 2,
            "learning_rate": 1e-2,
            **changes,
        }
        path = tmp_path / f"{output}.yaml"
        path.write_text(yaml.safe_dump(document))
        return path

    return write


def logged(folder: Path, name: str = "loss") -> list[float]:
    lines = (json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines())
    return [line[name] for line in lines if name in line]


def weights(folder: Path) -> dict[str, Tensor]:
    return dict(I2VAdapter.from_pretrained(folder).state_dict())


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(value, second[name]) for name, value in first.items()
    )


def test_a_run_with_everything_on(
    configure: Callable[..., Path],
    hub: Path,
    videos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "my_measures.py").write_text(
        "def brightness(clips):\n"
        "    (clip,) = clips\n"
        "    assert clip.frames.shape == (3, 16, 16, 3)\n"
        "    return {'brightness': clip.frames.mean(), 'image': clip.image.mean()}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    sample = {"image": str(videos / "start.png"), "prompt": "a grey ramp"}
    path = configure(
        "all",
        steps=3,
        accumulation=2,
        content_adapter={
            "path": str(hub / "content"),
            "subfolder": "models",
            "weight_name": "plus.safetensors",
        },
        mixed_precision="bf16",
        gradient_checkpointing=True,
        ema_decay=0.9,
        snr_gamma=5.0,
        save_every=2,
        samples={"every": 2, "inputs": [sample], "steps": 2, "measure": "my_measures:brightness"},
    )
    assert main([str(path)]) == 0
    output = tmp_path / "all"

    losses = logged(output)
    assert len(losses) == 3
    assert np.isfinite(losses).all()
    assert logged(output, "image") == [90.0]
    assert 0 <= logged(output, "brightness")[0] <= 255
    with Image.open(output / "samples/000002/000.gif") as gif:
        assert (gif.size, gif.n_frames) == ((16, 16), 3)

    with (output / "skipped.csv").open(newline="") as file:
        skipped = {row["video"]: row["reason"] for row in csv.DictReader(file)}
    assert set(skipped) == {"p/3.mp4", "p/4.mp4"}
    assert skipped["p/3.mp4"] == "has 4 frames with a time stamp, but 3 at stride 2 need 5"
    printed = capsys.readouterr().err
    assert "skipped 2 unusable videos" in printed
    assert "p/3.mp4 has 4 frames" in printed

    state = torch.load(output / STATE_NAME, weights_only=True)
    assert state["step"] == 3
    average = list(weights(output / "adapter").values())
    assert all(
        torch.equal(value, kept)
        for value, kept in zip(average, state["ema"]["shadow_params"], strict=True)
    )
    assert not equal(weights(output / "adapter"), state["adapter"])
    assert not equal(weights(output / "adapter"), weights(output / "step-000002"))


def test_resumed_run_is_the_same_run(configure: Callable[..., Path], tmp_path: Path) -> None:
    settings = {"accumulation": 2, "ema_decay": 0.9, "save_every": 2}
    assert main([str(configure("whole", steps=4, **settings))]) == 0
    for steps in (2, 4):
        assert main([str(configure("parts", steps=steps, **settings))]) == 0
    assert logged(tmp_path / "parts") == logged(tmp_path / "whole")
    assert equal(weights(tmp_path / "parts/adapter"), weights(tmp_path / "whole/adapter"))
    first, second = (
        torch.load(tmp_path / name / STATE_NAME, weights_only=True) for name in ("parts", "whole")
    )
    assert equal(first["adapter"], second["adapter"])


def test_another_configuration_does_not_go_on(
    configure: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(configure("run", steps=1))]) == 0
    capsys.readouterr()
    assert main([str(configure("run", steps=2, seed=5, batch_size=1))]) == 2
    assert (
        "holds a run with another batch_size, seed: choose another folder"
        in capsys.readouterr().err
    )
    started = configure(
        "next", steps=1, seed=5, adapter=str(tmp_path / "run/adapter"), learning_rate=1e-12
    )
    assert main([str(started)]) == 0
    for name, value in weights(tmp_path / "next/adapter").items():
        torch.testing.assert_close(
            value, weights(tmp_path / "run/adapter")[name], rtol=0, atol=1e-9
        )


def test_overfits_one_batch(configure: Callable[..., Path], videos: Path, tmp_path: Path) -> None:
    """A single clip: start, caption and latents vary little, so the loss falls well below its
    start.
    """
    one = tmp_path / "one"
    shutil.copytree(videos / "videos/p", one)
    (tmp_path / "one.csv").write_text("videoid,name\n0,a grey ramp\n")
    data = {"videos": str(one), "captions": str(tmp_path / "one.csv"), "height": 16, "width": 16}
    data |= {"frames": 3, "stride": 4, "workers": 1}
    nothing = {"text": 0, "image": 0, "both": 0}
    path = configure("fit", data=data, dropout=nothing, steps=30, batch_size=4, save_every=1000)
    assert main([str(path)]) == 0
    losses = logged(tmp_path / "fit")
    assert np.mean(losses[-8:]) < 0.9 * np.mean(losses[:4])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": "absent/folder/x"}, "base: 'absent/folder/x' cannot be used"),
        ({"adapter": "absent/folder/x"}, "adapter: 'absent/folder/x' cannot be used"),
        (
            {"samples": {"every": 1, "inputs": [{"image": "no.png", "prompt": ""}]}},
            "samples.inputs: 'no.png' not found",
        ),
        (
            {
                "samples": {
                    "every": 1,
                    "inputs": [{"image": "no.png", "prompt": ""}],
                    "measure": "json:absent",
                }
            },
            "samples.measure: 'json:absent' cannot be imported",
        ),
    ],
)
def test_things_that_are_not_there(
    changes: dict[str, Any],
    message: str,
    configure: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([str(configure("run", **changes))]) == 2
    *_, line = capsys.readouterr().err.splitlines()  # libraries may have warned before
    assert line.startswith(f"error: {message}")
