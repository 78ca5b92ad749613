"""What cannot work is refused while the suite is read, before anything is made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import diffusers
import pytest
import torch
import yaml
from safetensors.torch import save_file

from eval.errors import EvalError
from eval.plan.planning import make_plan
from tests.eval.methods.bases.test_on_base import method


@pytest.fixture
def planned(base, photographs, write_images, tmp_path):
    """(changes of the base) -> the plan of a suite on it."""

    def plan(here=True, methods=None, **changes):
        suite = {
            "name": "mine",
            "samples": {"source": "manifest", "path": write_images(tmp_path, photographs).name},
            "base": base(**changes),
            "methods": methods or [{"method": "i2v-adapter-alone"}, {"method": "text-to-video"}],
            "metrics": ["flicker.pixels.v1"],
        }
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(suite))
        return make_plan(path, here=here)

    return plan


def test_a_setting_that_no_family_has_is_named(planned):
    planned(settings={"steps": 2, "t0": 0.8, "content_scale": 0.5})  # text-to-video has no t0
    with pytest.raises(EvalError, match=r"base\.settings: unknown key 'stpes'.*Did you mean 'step"):
        planned(settings={"stpes": 2})


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": "float16"}, "dtype float16 needs a GPU"),
        ({"device": "cuda"}, "device 'cuda': torch .* finds no CUDA GPU here; use --device cpu"),
        ({"offload": "model"}, "offload: model moves parts from the CPU to a GPU"),
        ({"device": "tpu"}, "base.device: 'tpu' is not allowed: give one of auto, cpu, cuda, "),
        ({"device": "cuda:x"}, "base.device: 'cuda:x' is not allowed"),
    ],
)
def test_a_base_that_this_machine_cannot_hold_is_refused_with_the_plan(planned, changes, message):
    with pytest.raises(EvalError, match=message):
        planned(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"beta_shedule": "linear"}, "DDIMScheduler has no 'beta_shedule'. Did you mean 'beta_s"),
        (
            {"beta_schedule": "liner"},
            "beta_schedule: there is no 'liner'; .* Did you mean 'linear'",
        ),
        (
            {"prediction_type": "eps"},
            "prediction_type: there is no 'eps'; give one of epsilon, v_p",
        ),
        ({"beta_schedule": "laplace"}, "laplace is not implemented by the DDIMScheduler$"),
        ({"timestep_spacing": 3}, "timestep_spacing: there is no '3'"),
        (
            {"num_train_timesteps": "many"},
            r"num_train_timesteps is a whole number \(default 1000\), not 'many'",
        ),
        ({"clip_sample": "no"}, r"clip_sample is true or false \(default True\), not 'no'"),
        ({"beta_start": True}, "beta_start is a number .*, not True"),
        ({"class": "FlowMatchEulerDiscreteScheduler"}, "models of another kind"),
        ({"class": 5}, "no scheduler '5'"),
    ],
)
def test_a_scheduler_that_cannot_be_made_is_refused(base, changes, message):
    with pytest.raises(EvalError, match=f"scheduler: .*{message}"):
        method(base(scheduler=changes)).fingerprint()


def test_changes_without_a_class_are_those_of_the_models_own_scheduler(base, sd15: Path):
    found = method(base(scheduler={"beta_schedule": "scaled_linear"})).prepared().scheduler
    own = diffusers.DDIMScheduler.from_pretrained(sd15 / "model", subfolder="scheduler")
    assert own.config.beta_schedule == "linear"
    wanted = diffusers.DDIMScheduler.from_config(own.config, beta_schedule="scaled_linear")
    assert type(found) is diffusers.DDIMScheduler
    assert torch.equal(found.betas, wanted.betas)
    assert not torch.equal(found.betas, own.betas)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"loras": [{"model": "lora"}]},
            r"base.loras\[0\].*cross-attention reads text of width 80",
        ),
        (
            {"content_adapter": {"model": "content", "weight_name": "ip.safetensors"}},
            "base.content_adapter.*of width 80, this base's of width 32",
        ),
    ],
)
def test_parts_trained_on_another_base_are_named(base, sdxl: Path, changes, message):
    [(key, part)] = changes.items()
    entry = part[0] if isinstance(part, list) else part
    entry = entry | {"model": str(sdxl / entry["model"])}
    with pytest.raises(EvalError, match=message):
        method(base(**{key: [entry] if isinstance(part, list) else entry})).fingerprint()


@pytest.mark.parametrize(
    ("part", "key", "value", "message"),
    [
        ("motion", "block_out_channels", [32, 96], "motion_adapter.*block_out_channels 32, 96"),
        ("control-1", "cross_attention_dim", 80, r"controlnets\[0\].*cross_attention_dim 80"),
        ("vae", "latent_channels", 16, "base.vae: the weights in .* states latent_channels 16, "),
        ("content/image_encoder", "projection_dim", 40, "of width 32, and .* projection_dim 40"),
    ],
)
def test_parts_whose_configurations_do_not_fit_are_named(
    base, sd15: Path, tmp_path: Path, part, key, value, message
):
    root = tmp_path / "sd15"
    shutil.copytree(sd15, root)
    shutil.copytree(root / "model/vae", root / "vae")
    file = root / part / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    added = {"controlnets": [{"model": str(root / "control-1")}], "vae": str(root / "vae")}
    with pytest.raises(EvalError, match=message):
        method(base(root, **added)).fingerprint()


def test_more_frames_than_the_motion_modules_reach_are_refused(planned):
    reach = r"frames: 1000 at once, and this base's motion modules reach over 32; .*free_noise"
    with pytest.raises(EvalError, match=reach):
        planned(settings={"frames": 1000})


def test_motion_loras_are_no_loras_of_another_base(base, sd15: Path, tmp_path: Path):
    name = "unet.down_blocks.0.motion_modules.0.transformer_blocks.0.attn2.to_k.lora_A.weight"
    save_file({name: torch.zeros(2, 64)}, tmp_path / "pytorch_lora_weights.safetensors")
    assert method(base(loras=[{"model": str(tmp_path)}])).fingerprint()


def test_of_several_content_adapters_one_must_be_named(base, sd15: Path, tmp_path: Path):
    shutil.copytree(sd15 / "content", tmp_path / "content")
    shutil.copy(tmp_path / "content/ip.safetensors", tmp_path / "content/ip-2.safetensors")
    with pytest.raises(EvalError, match=r"2 checkpoints \(ip-2.* name one by weight_name"):
        method(base(content_adapter={"model": str(tmp_path / "content")})).fingerprint()


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_a_plan_for_other_machines_asks_nothing_of_this_one(planned):
    with pytest.raises(EvalError, match="float16 needs a GPU"):
        planned(dtype="float16")
    assert planned(here=False, dtype="float16").cells


@pytest.mark.parametrize("factor", ["lora_scale", "control_scale"])
def test_a_factor_on_what_no_cell_uses_is_refused(planned, sd15: Path, factor):
    """Also when it is swept; of a base's settings only where its base has nothing to multiply."""
    key = {"lora_scale": "loras", "control_scale": "controlnets"}[factor]
    folder = str(sd15 / {"loras": "lora", "controlnets": "control-1"}[key])
    parts = {key: [folder]}
    for entry in ({"settings": {factor: 0.5}}, {"sweep": {factor: [0.5, 1]}}):
        methods = [{"method": "text-to-video", **entry}]
        assert planned(methods=methods, **parts).cells
        with pytest.raises(EvalError, match=rf"{factor}: 0.5 changes nothing: .*; add {key} to"):
            planned(methods=methods)
        named = {key: [{"model": folder, "name": "own"}]}
        setting = {"loras": "lora", "controlnets": "controlnet"}[key]
        with pytest.raises(EvalError, match=f"{factor}: .* set {setting} to one of own, or remove"):
            planned(methods=methods, **named)
        chosen = entry | {"settings": entry.get("settings", {}) | {setting: "own"}}
        assert planned(methods=[{"method": "text-to-video", **chosen}], **named).cells
    settings = {"steps": 2, factor: 0.5}
    assert planned(settings=settings, **parts).cells
    with pytest.raises(EvalError, match=rf"base\.settings\.{factor}: 0.5 would change nothing"):
        planned(settings=settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"height": 63}, r"base\.settings\.height: 63 is not allowed: .*multiple of 8"),
        ({"steps": 0}, r"base\.settings\.steps: 0 is not allowed"),
        ({"frames": True}, r"base\.settings\.frames: true is not allowed: a number"),
        ({"guidance_scale": None}, r"base\.settings\.guidance_scale: null is not allowed"),
    ],
)
def test_a_wrong_setting_of_the_base_is_named_as_such(planned, settings, message):
    with pytest.raises(EvalError, match=message):
        planned(settings=settings)
    if "steps" in settings:
        own = [{"method": "text-to-video", "settings": settings}]
        with pytest.raises(EvalError, match=r"methods\[0\] \(text-to-video\)\.steps: 0"):
            planned(methods=own)


@pytest.mark.parametrize(
    ("name", "setting"),
    [("num_inference_steps", "steps"), ("num_frames", "frames"), ("prior", "t0 and p")],
)
def test_an_argument_that_a_setting_gives_names_the_setting(base, name, setting):
    with pytest.raises(EvalError, match=f"call: {name} is given by the settings; use {setting} in"):
        method(base(), call={name: 3}).fingerprint()
