"""diffusers' image-to-video pipelines, tiny and random, through the method: clips, seeds,
conventions, errors.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
import yaml
from pydantic import ValidationError

from eval.errors import EvalError, WeightsMissingError
from eval.methods import first_frame, load_method
from eval.methods.conventions import CONVENTIONS
from eval.methods.diffusers_pipeline import DiffusersMethod, DiffusersSettings
from eval.samples import Sample

SIZE = 32  # px of every image
_RNG = np.random.default_rng(0)
SAMPLES = [
    Sample(name, _RNG.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8), f"a {name} star moving")
    for name in ("red", "blue")
]


@pytest.mark.parametrize("name", CONVENTIONS)
def test_clips_depend_on_sample_and_seed_alone(built, name):
    method = built(name).method()
    both = method.generate(SAMPLES, [1, 2])
    assert [clip.frames.shape for clip in both] == [(built(name).frames, SIZE, SIZE, 3)] * 2
    alone = method.generate(SAMPLES[1:], [2])[0]
    assert np.array_equal(alone.frames, both[1].frames)
    other_seed = method.generate(SAMPLES[1:], [3])[0]
    assert np.abs(other_seed.frames.astype(int) - alone.frames).max() > 5
    other_image = Sample("blue", SAMPLES[0].image, SAMPLES[1].prompt)
    assert not np.array_equal(method.generate([other_image], [2])[0].frames, alone.frames)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_a_suite_starts_with_the_pipelines_own_call(name):
    """Of what the signature has defaults for."""
    parameters = inspect.signature(getattr(diffusers, name).__call__).parameters
    usual = CONVENTIONS[name].usual
    named = {"num_frames": usual.frames, "num_inference_steps": usual.steps}
    named |= {"height": usual.height, "width": usual.width}
    stated = {key: parameters[key].default for key in named if parameters[key].default is not None}
    assert stated == {key: value for key, value in named.items() if key in stated}
    assert "num_inference_steps" in stated


@pytest.mark.parametrize("name", CONVENTIONS)
def test_the_stated_first_frame_is_what_the_decoder_is_given(built, name, monkeypatch):
    """Input: the first latent frame is the encoded image's, exactly. Reconstruction: it is not the
    image's latent.
    """
    method = built(name).method()
    pipeline = method._pipeline()
    seen: list[torch.Tensor] = []
    decode = pipeline.vae.decode
    monkeypatch.setattr(
        pipeline.vae,
        "decode",
        lambda z, *rest, **named: (seen.append(z), decode(z, *rest, **named))[1],
    )
    method.generate(SAMPLES[:1], [7])
    first = seen[0][:, :, 0] if seen[0].ndim == 5 else seen[0][:1]
    pixels = torch.from_numpy(SAMPLES[0].image).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        posterior = pipeline.vae.encode(
            pixels[:, :, None] if seen[0].ndim == 5 else pixels
        ).latent_dist
    drawn = posterior.sample(torch.Generator().manual_seed(7))
    drawn = drawn[:, :, 0] if drawn.ndim == 5 else drawn
    is_input = drawn.shape == first.shape and torch.allclose(drawn, first, atol=1e-4)
    assert (first_frame(method) == "input") == is_input


@pytest.mark.parametrize(
    ("name", "file", "key", "value"),
    [
        ("WanImageToVideoPipeline", "model_index.json", "expand_timesteps", True),
        (
            "HunyuanVideoImageToVideoPipeline",
            "transformer/config.json",
            "image_condition_type",
            "token_replace",
        ),
    ],
)
def test_a_model_that_pins_its_first_frame_is_known_by_its_configuration(
    built, tmp_path, name, file, key, value
):
    folder = tmp_path / "model"
    (folder / file).parent.mkdir(parents=True)
    (folder / "model_index.json").write_text("{}")
    assert built(name).method(model=str(folder)).first_frame == "reconstruction"
    (folder / file).write_text(json.dumps({key: value}))
    assert built(name).method(model=str(folder)).first_frame == "input"


def test_settings_reach_the_pipeline_under_its_own_names(built):
    given = {"fps": 6.0, "height": 64, "width": 48}
    svd = built("StableVideoDiffusionPipeline").method(**given).arguments(SAMPLES[0])
    image = svd.pop("image")
    assert np.array_equal(np.asarray(image), SAMPLES[0].image)
    assert svd == {
        "num_frames": 3,
        "num_inference_steps": 2,
        "max_guidance_scale": 2.5,
        "fps": 6,
        "height": 64,
        "width": 48,
        "motion_bucket_id": 100,
    }
    xl = built("I2VGenXLPipeline").method(**given).arguments(SAMPLES[0])
    assert (xl["target_fps"], xl["guidance_scale"], xl["prompt"]) == (6, 3.0, "a red star moving")
    sparse = built("AnimateDiffSparseControlNetPipeline").method().arguments(SAMPLES[0])
    assert len(sparse["conditioning_frames"]) == 1
    assert (sparse["height"], sparse["width"]) == (SIZE, SIZE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"pipeline": "LTXImageToVideoPipelin"},
            "no pipeline 'LTXImageToVideoPipelin'. Did you mean 'LTXImageTo",
        ),
        (
            {"pipeline": "StableDiffusionPipeline"},
            "StableDiffusionPipeline makes no video from an image",
        ),
        ({"pipeline": "AutoencoderKL"}, "no pipeline 'AutoencoderKL'"),
        (
            {"call": {"decode_timesteps": 0.1}},
            "takes no 'decode_timesteps'. Did you mean 'decode_timestep'",
        ),
        ({"call": {"num_frames": 9}}, "call: num_frames is set by the frames"),
        ({"call": {"image": "x"}}, "call: image is set by the sample"),
        ({"call": {"generator": 1}}, "takes no 'generator'"),
        ({"components": {"transformr": "x"}}, "has no 'transformr'. Did you mean 'transformer'"),
        ({"offload": "model", "device": "cpu"}, "set device"),
        ({"device": "gpu"}, "device"),
    ],
)
def test_wrong_settings_are_named(changes, message):
    with pytest.raises(ValidationError, match=re.escape(message)):
        DiffusersSettings.model_validate(
            {"pipeline": "LTXImageToVideoPipeline", "model": "x", **changes}
        )


def test_what_is_missing_is_named_with_the_place_looked_in(built, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    tiny = built("LTXImageToVideoPipeline")
    with pytest.raises(
        WeightsMissingError, match=r"model: 'nobody/nothing' is no folder .*hub.*hf download"
    ):
        tiny.method(model="nobody/nothing").fingerprint()
    with pytest.raises(
        WeightsMissingError, match="model: there is no folder or file '/no/such/folder'"
    ):
        tiny.method(model="/no/such/folder").fingerprint()
    with pytest.raises(WeightsMissingError, match=r"has no model_index\.json"):
        tiny.method(model=str(tmp_path)).fingerprint()
    with pytest.raises(
        WeightsMissingError, match=r"components\.transformer: .* has no config\.json"
    ):
        tiny.method(components={"transformer": str(tmp_path)}).fingerprint()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: shutil.rmtree(folder / "vae"), "lacks the folder vae that its model_index"),
        (lambda folder: (folder / "scheduler/scheduler_config.json").unlink(), "has no scheduler_"),
        (lambda folder: (folder / "tokenizer/tokenizer_config.json").unlink(), "has no tokenizer_"),
        (
            lambda folder: os.truncate(next(folder.glob("transformer/*.safetensors")), 500),
            r"transformer/.*\.safetensors is torn",
        ),
        (
            lambda folder: next(folder.glob("text_encoder/*.safetensors")).unlink(),
            "text_encoder holds no weights",
        ),
    ],
    ids=["folder", "scheduler", "tokenizer", "torn weights", "no weights"],
)
def test_a_model_with_a_damaged_part_is_refused_before_it_is_loaded(
    built, tmp_path, damage, message
):
    tiny = built("LTXImageToVideoPipeline")
    folder = tmp_path / "model"
    shutil.copytree(tiny.folder / "model", folder)
    damage(folder)
    with pytest.raises(EvalError, match=f"method 'diffusers', model: .*{message}"):
        tiny.method(model=str(folder)).fingerprint()


def test_the_fingerprint_follows_the_bytes(built, tmp_path):
    tiny = built("LTXImageToVideoPipeline")
    copy = tmp_path / "elsewhere"
    shutil.copytree(tiny.folder / "model", copy)
    original = tiny.method().fingerprint()
    assert tiny.method(model=str(copy)).fingerprint() == original
    weights = next(copy.glob("transformer/*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    assert tiny.method(model=str(copy)).fingerprint() != original


def test_a_snapshot_of_the_hub_is_known_by_its_commit(built, tmp_path, monkeypatch):
    import shutil

    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--somebody--tiny"
    commit = "0123456789abcdef0123456789abcdef01234567"
    shutil.copytree(
        built("LTXImageToVideoPipeline").folder / "model", repository / "snapshots" / commit
    )
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    method = built("LTXImageToVideoPipeline").method(model="somebody/tiny")
    before = method.fingerprint()
    next((repository / "snapshots" / commit).glob("transformer/*.safetensors")).touch()
    assert built("LTXImageToVideoPipeline").method(model="somebody/tiny").fingerprint() == before
    assert method.generate(SAMPLES[:1], [1])[0].frames.shape == (9, SIZE, SIZE, 3)


def test_the_suite_says_where_and_how_precisely_unless_the_settings_do(built):
    tiny = built("LTXImageToVideoPipeline")
    plain, own = tiny.method(), tiny.method(dtype="float32", device="cpu")
    before = plain.fingerprint()
    for method in (plain, own):
        method.to("cuda:7", "bfloat16")
    assert plain.fingerprint() != before  # the precision is part of what a clip is
    assert own.fingerprint() == before
    assert "device" not in own.settings.model_dump()  # the device is not
    assert own.device == "cpu"
    with pytest.raises(EvalError, match="device 'cuda:7'"):
        plain.generate(SAMPLES[:1], [1])
    plain.to("cpu", "float32")
    clips = [method.generate(SAMPLES[:1], [1])[0].frames for method in (plain, own)]
    assert np.array_equal(*clips)


def test_a_relative_path_starts_from_the_suite(built, tmp_path):
    from eval.plan.planning import make_plan

    tiny = built("LTXImageToVideoPipeline")
    (tmp_path / "tiny").symlink_to(tiny.folder / "model")
    settings = {"pipeline": "LTXImageToVideoPipeline", "model": "tiny", "frames": 9}
    suite = {
        "name": "own",
        "samples": {"source": "glyph-world", "seen": 1, "unseen": 0},
        "methods": [{"method": "diffusers", "settings": settings}],
        "metrics": ["flicker.pixels.v1"],
    }
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(suite))
    [cell] = make_plan(tmp_path / "suite.yaml").cells
    assert cell.fingerprint == tiny.method().fingerprint()


def test_values_that_are_not_finite_are_an_error(built, monkeypatch):
    method = built("LTXImageToVideoPipeline").method()
    bias = method._pipeline().transformer.proj_out.bias
    kept = bias.detach().clone()
    try:
        with torch.no_grad():
            bias.fill_(float("nan"))
        with pytest.raises(EvalError, match="generated values are not finite"):
            method.generate(SAMPLES[:1], [1])
    finally:
        with torch.no_grad():
            bias.copy_(kept)


def test_the_documented_entries_are_valid_and_short():
    text = (Path(__file__).parents[4] / "docs" / "methods.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", text, flags=re.S)
    entries = [entry for block in blocks for entry in yaml.safe_load(block)]
    assert all(len(block.splitlines()) <= 10 for block in blocks)
    assert load_method("diffusers") is DiffusersMethod
    named = [DiffusersSettings.model_validate(entry["settings"]).pipeline for entry in entries]
    assert named == list(CONVENTIONS)
