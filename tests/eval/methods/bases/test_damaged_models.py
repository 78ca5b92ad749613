"""A model's files as broken downloads leave them: one line with key, file and way out."""

from __future__ import annotations

import shutil

import pytest
from safetensors.torch import load_file, save_file

from eval.errors import EvalError, WeightsMissingError
from eval.methods import base_pipelines
from tests.eval.methods.bases.test_on_base import method

DAMAGED = {
    "empty": b"",
    "torn": b'{"_class_name": "UNet',
    "no UTF-8": b'{"_class_name": "\xff"}',
    "a list": b"[1, 2]",
    "a page": b"<!DOCTYPE html><html>Not Found</html>",
    "deep": b"[" * 100_000,
}


@pytest.fixture
def copies(sd15, tmp_path):
    """Name of a part -> a copy of it that may be damaged."""

    def copy(part: str) -> str:
        return str(shutil.copytree(sd15 / part, tmp_path / part, dirs_exist_ok=True))

    return copy


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize(
    ("key", "part", "file"),
    [
        ("model", "model", "model_index.json"),
        ("model", "model", "unet/config.json"),
        ("motion_adapter", "motion", "config.json"),
    ],
)
def test_a_damaged_json_file_is_named(
    base, copies, photographs, tmp_path, key, part, file, content
):
    document = base(**{key: copies(part)})
    (tmp_path / part / file).write_bytes(content)
    with pytest.raises(EvalError) as error:
        method(document).generate(photographs[:1], [1])
    message = str(error.value)
    assert message.startswith(f"base.{key}")
    assert str(tmp_path / part) in message
    assert "\n" not in message


@pytest.mark.parametrize("entry", ['"UNet"', "[]", '["diffusers"]', '["diffusers", null]', "{}"])
def test_an_index_whose_entries_are_no_classes_is_no_base(base, copies, tmp_path, entry):
    document = base(model=copies("model"))
    index = tmp_path / "model" / "model_index.json"
    kept = index.read_text().replace('"unet": [', f'"unet": {entry}, "other": [')
    index.write_text(kept)
    with pytest.raises(EvalError, match=r"base\.model: .*no unet in it"):
        method(document).fingerprint()


ABSENT = [
    ("vae", "config.json"),
    ("unet", "config.json"),
    ("text_encoder", "config.json"),
    ("text_encoder", "model.safetensors"),
    ("tokenizer", "tokenizer.json"),
    ("tokenizer", "tokenizer_config.json"),
    ("scheduler", "scheduler_config.json"),
]


@pytest.mark.parametrize(("part", "file"), ABSENT, ids=["/".join(row) for row in ABSENT])
def test_an_absent_file_is_named_before_a_model_is_loaded(base, copies, tmp_path, part, file):
    document = base(model=copies("model"))
    method(document).fingerprint()
    (tmp_path / "model" / part / file).unlink()
    with pytest.raises(WeightsMissingError) as error:
        method(document).fingerprint()
    message = str(error.value)
    assert message.startswith(f"base.model: {tmp_path / 'model' / part} h")
    assert message.endswith("; copy or download it again")
    assert {"model.safetensors": "no weights", "tokenizer.json": "no vocabulary"}.get(
        file, file
    ) in message


@pytest.mark.parametrize(
    ("key", "part", "file"),
    [
        ("model", "model", "unet/diffusion_pytorch_model.safetensors"),
        ("model", "model", "text_encoder/model.safetensors"),
        ("motion_adapter", "motion", "diffusion_pytorch_model.safetensors"),
        ("i2v_adapter", "ours", "diffusion_pytorch_model.safetensors"),
        ("content_adapter", "content", "ip.safetensors"),
    ],
)
@pytest.mark.parametrize("kept", [0, 5, 1_000, -1])
def test_weights_that_are_cut_short_are_named_before_a_model_is_loaded(
    base, copies, tmp_path, key, part, file, kept
):
    value = {"model": copies(part)}
    value |= {"weight_name": file} if key == "content_adapter" else {}
    document = base(**{key: value["model"] if len(value) == 1 else value})
    method(document).fingerprint()
    weights = tmp_path / part / file
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(EvalError) as error:
        method(document).fingerprint()
    assert str(error.value).startswith(f"base.{key}: {weights} is torn or no safetensors file (")


def test_a_model_given_for_one_of_its_parts_is_told_apart(base, copies):
    with pytest.raises(WeightsMissingError, match=r"base\.vae: .* add subfolder: vae"):
        method(base(vae=copies("model"))).fingerprint()
    method(base(vae={"model": copies("model"), "subfolder": "vae"})).fingerprint()


def test_a_load_that_failed_is_not_tried_again_until_a_file_changes(
    base, copies, photographs, monkeypatch, tmp_path
):
    """The time embedding of another width: torch's to find, while the model is loaded."""
    document = base(model=copies("model"))
    weights = tmp_path / "model/unet/diffusion_pytorch_model.safetensors"
    whole = weights.read_bytes()
    tensors = load_file(weights)
    name = "time_embedding.linear_1.weight"
    tensors[name] = tensors[name][:, :3].contiguous()
    save_file(tensors, weights)
    loads: list[int] = []
    real = base_pipelines._load
    monkeypatch.setattr(base_pipelines, "_load", lambda recipe: (loads.append(1), real(recipe))[1])
    for _ in range(3):
        with pytest.raises(EvalError, match=r"base.model \(unet\): .*: .*time_embedding"):
            method(document).generate(photographs[:1], [1])
    assert len(loads) == 1
    weights.write_bytes(whole)
    assert method(document).generate(photographs[:1], [1])
    assert len(loads) == 2
