"""Bases that cannot be used: which part, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eval.errors import EvalError, NotServedError, WeightsMissingError
from eval.methods.base import read_base
from tests.eval.methods.bases.test_on_base import method

BAD = [
    ({"model": "motion"}, EvalError, "no model_index.json; it is a single model"),
    ({"model": "/no/such"}, WeightsMissingError, "base.model: there is no folder or file"),
    (
        {"model": "nobody/nothing"},
        WeightsMissingError,
        "base.model: .*not in the hub's",
    ),
    ({"motion_adapter": "ours"}, EvalError, "base.motion_adapter: .*MotionAdapter is needed"),
    ({"motion_adapter": None}, EvalError, "is an image model, and there is no motion_adapter"),
    ({"i2v_adapter": None}, NotServedError, "it has no i2v_adapter, which this method needs"),
    ({"i2v_adapter": "motion"}, EvalError, "base.i2v_adapter: .*MotionAdapter; I2VAdapter is"),
    ({"i2v_adapter": "./official/none.pth"}, WeightsMissingError, "base.i2v_adapter: there is no"),
    ({"vae": "ours"}, EvalError, "base.vae: .*the class I2VAdapter; AutoencoderKL is needed"),
    ({"loras": ["content/ip.safetensors"]}, EvalError, r"base.loras\[0\]: "),
    ({"content_adapter": "control-1"}, EvalError, "holds a ControlNet, not an IP-Adapter"),
]


@pytest.mark.parametrize(("changes", "kind", "message"), BAD, ids=[str(row[0]) for row in BAD])
def test_a_base_that_cannot_be_used_says_which_part_and_why(
    base, sd15, photographs, changes, kind, message
):
    def placed(value: Any) -> Any:
        if isinstance(value, list):
            return [placed(entry) for entry in value]
        found = value is not None and (sd15 / value).exists()
        return str(sd15 / value) if found else value

    document = base(**{key: placed(value) for key, value in changes.items()})
    if None in changes.values():
        document.pop(next(iter(changes)), None)

    def use() -> None:
        found = method(document)
        found.fingerprint()
        found.generate(photographs[:1], [1])

    with pytest.raises(kind, match=message):
        use()


def test_a_part_missing_from_the_model_is_named_before_anything_is_made(base, sd15, tmp_path):
    import shutil

    copy = tmp_path / "model"
    shutil.copytree(sd15 / "model", copy)

    def refused() -> str:
        with pytest.raises(WeightsMissingError) as error:
            method(base(model=str(copy))).fingerprint()
        return str(error.value)

    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_name("diffusion_pytorch_model.fp16.safetensors"))
    assert "unet holds fp16 weights alone; add variant: fp16" in refused()
    method(base(model=str(copy), variant="fp16")).fingerprint()
    weights.with_name("diffusion_pytorch_model.fp16.safetensors").unlink()
    assert f"{copy / 'unet'} holds no weights (.safetensors, " in refused()
    shutil.rmtree(copy / "vae")
    assert "lacks the folder vae that its model_index.json lists" in refused()
    own = base(model=str(copy), vae={"model": str(sd15 / "model"), "subfolder": "vae"})
    with pytest.raises(WeightsMissingError, match="unet holds no weights"):
        method(own).fingerprint()  # its VAE comes from elsewhere


def test_a_part_of_another_kind_is_named_before_anything_is_made(base, sd15):
    for key, part in (("i2v_adapter", "motion"), ("motion_adapter", "ours"), ("vae", "control-1")):
        with pytest.raises(EvalError, match=rf"base\.{key}: .*{part} holds a model of the class "):
            method(base(**{key: str(sd15 / part)})).fingerprint()
    with pytest.raises(EvalError, match=r"base\.controlnets\[0\]: .*ControlNetModel is needed"):
        method(base(controlnets=[str(sd15 / "motion")])).fingerprint()


def test_parts_of_another_base_are_refused_with_the_layer(base, sd15, sdxl, photographs):
    with pytest.raises(EvalError, match=r"base\.i2v_adapter: .*layer down_blocks"):
        method(base(sdxl, i2v_adapter=str(sd15 / "ours"))).generate(photographs[:1], [1])
    with pytest.raises(EvalError, match=r"base\.loras\[0\]: "):
        method(base(sdxl, loras=[str(sd15 / "lora")])).generate(photographs[:1], [1])
    with pytest.raises(NotServedError, match="this is SDXL"):
        method(base(sdxl, controlnets=[str(sd15 / "control-1")])).fingerprint()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, "unknown key 'colour'. Allowed: model, "),
        ({"scheduler": {"class": "DDIMSheduler"}}, "no scheduler 'DDIMSheduler'. Did you mean"),
        ({"scheduler": {"class": "DDIMScheduler", "beta": 1}}, "DDIMScheduler has no 'beta'"),
        ({"dtype": "float8"}, "float8"),
        ({"device": "gpu"}, "gpu"),
        ({"loras": [{"model": "x", "scale": "much"}]}, "scale"),
    ],
)
def test_a_misspelled_base_names_the_key(base, change, message):
    with pytest.raises(EvalError, match=message):
        read_base(base(**change), Path(), "suite.yaml: base")
