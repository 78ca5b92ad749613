"""A part of another kind than its key says is refused with the plan, whatever its layout."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file

from eval.errors import EvalError
from eval.methods.pipeline_fit import check_pipeline_fit
from tests.eval.methods.bases.test_on_base import method

MOTION = "motion/diffusion_pytorch_model.safetensors"
OURS = "ours/diffusion_pytorch_model.safetensors"
WRONG = [
    ("i2v_adapter", "model", "is a whole pipeline .StableDiffusionPipeline., and a single I2VA"),
    ("i2v_adapter", MOTION, "holds motion modules, not an I2V adapter"),
    ("i2v_adapter", "content/ip.safetensors", "holds an IP-Adapter, not an I2V adapter"),
    ("i2v_adapter", "lora/pytorch_lora_weights.safetensors", "holds a LoRA, not an I2V adapter"),
    ("i2v_adapter", "unofficial", "no config.json and no i2v_module.pth.*adapter.safetensors: n"),
    ("motion_adapter", "model", "is a whole pipeline .* and a single MotionAdapter is needed"),
    ("motion_adapter", OURS, "holds an I2V adapter, not motion modules"),
    ("motion_adapter", "model/vae/diffusion_pytorch_model.safetensors", "holds a VAE, not motion"),
    ("vae", "control-1/diffusion_pytorch_model.safetensors", "holds a ControlNet, not a VAE"),
    ("content_adapter", "ours", "holds an I2V adapter, not an IP-Adapter"),
    ("content_adapter", "official/i2v_module.pth", "holds an I2V adapter, not an IP-Adapter"),
    ("loras", "ours", "holds an I2V adapter, not a LoRA"),
    ("loras", MOTION, "holds motion modules, not a LoRA"),
    ("loras", "model", "is a whole pipeline; a LoRA is a .safetensors file"),
    ("loras", "official", "holds none; a LoRA is a .safetensors file"),
    ("loras", "model/text_encoder/model.safetensors", "holds a text encoder, not a LoRA"),
    ("controlnets", MOTION, "holds motion modules, not a ControlNet"),
]


@pytest.mark.parametrize(("key", "part", "message"), WRONG, ids=[f"{r[0]}-{r[1]}" for r in WRONG])
def test_a_part_of_another_kind_is_refused(base, sd15: Path, key, part, message):
    value = str(sd15 / part)
    many = key in ("loras", "controlnets")
    with pytest.raises(EvalError, match=message) as refused:
        method(base(**{key: [value] if many else value})).fingerprint()
    assert str(refused.value).startswith(f"base.{key}")


@pytest.mark.parametrize("layout", ["ours", "official", "unofficial/adapter.safetensors"])
def test_every_layout_of_an_adapter_is_told_from_one_of_another_base(
    base, sd15: Path, sdxl: Path, layout
):
    assert method(base(i2v_adapter=str(sd15 / layout))).fingerprint()
    message = "base.i2v_adapter: .* layer down_blocks.1.* no such layer; .* of another base"
    with pytest.raises(EvalError, match=message):
        method(base(i2v_adapter=str(sdxl / layout))).fingerprint()


def test_a_part_that_no_method_uses_may_be_missing_but_not_wrong(base, sd15: Path):
    def alone(content: object) -> str:
        changes = {"content_adapter": str(content)}
        return method(base(**changes), "i2v-adapter-alone").fingerprint()

    assert alone("/no/such/file.safetensors")
    with pytest.raises(EvalError, match=r"base\.content_adapter: .*holds an I2V adapter"):
        alone(sd15 / "ours")


def test_an_adapter_without_weights_or_with_those_of_another_is_refused(base, sd15, tmp_path):
    def refused(message: str) -> None:
        with pytest.raises(EvalError, match=message):
            method(base(i2v_adapter=str(folder))).fingerprint()

    folder = shutil.copytree(sd15 / "ours", tmp_path / "ours")
    weights, config = folder / Path(OURS).name, folder / "config.json"
    tensors, stated = load_file(weights), json.loads(config.read_text())
    name = next(iter(tensors))
    save_file({key: value for key, value in tensors.items() if key != name}, weights)
    refused(f"do not fit its config.json: missing is {name}")
    save_file(tensors | {"more": torch.zeros(1)}, weights)
    refused("unexpected is more")
    save_file(tensors, weights)
    next(iter(stated["layers"].values()))["channels"] = 24
    config.write_text(json.dumps(stated))
    refused("of another shape is .*x32 in the file, .*x24 by config.json")
    config.write_text(json.dumps(stated | {"layers": {"a": 1}}))
    refused("states no layers")
    weights.unlink()
    refused(r"ours holds no weights \(")


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("motion", "block_out_channels", [32, 96]),
        ("motion", "motion_max_seq_length", 24),
        ("control-1", "block_out_channels", [32]),
        ("model/unet", "cross_attention_dim", 48),
        ("model/unet", "in_channels", 8),
        ("model/vae", "latent_channels", 8),
        ("model/text_encoder", "hidden_size", 48),
    ],
)
def test_a_configuration_of_another_model_is_named(base, sd15, tmp_path, part, key, value):
    root = Path(shutil.copytree(sd15, tmp_path / "sd15"))
    document = base(root, controlnets=[str(root / "control-1")])
    assert method(document).fingerprint()
    file = root / part / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    with pytest.raises(EvalError, match=f"{part} do not fit its config.json: it states {key} "):
        method(document).fingerprint()


def test_whole_parts_of_another_size_are_named_with_both_sizes(base, tmp_path):
    diffusers.AutoencoderKL(
        block_out_channels=(8, 8),
        norm_num_groups=2,
        latent_channels=16,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    ).save_pretrained(tmp_path / "vae")
    with pytest.raises(EvalError, match=r"base\.vae: the UNet takes 4 channels.*latents have 16"):
        method(base(vae=str(tmp_path / "vae"))).fingerprint()
    diffusers.MotionAdapter(
        block_out_channels=(32, 96),
        motion_layers_per_block=1,
        motion_norm_num_groups=8,
        motion_num_attention_heads=2,
        use_motion_mid_block=False,
    ).save_pretrained(tmp_path / "motion")
    message = r"motion_adapter: it is for a UNet with block_out_channels 32, 96, and .* has 32, 64"
    with pytest.raises(EvalError, match=message):
        method(base(motion_adapter=str(tmp_path / "motion"))).fingerprint()


def test_torn_files_of_torch_are_refused_as_torn(base, sd15, tmp_path):
    whole = (sd15 / "official/i2v_module.pth").read_bytes()
    for size in (0, 100, len(whole) - 40):
        (tmp_path / "i2v_module.pth").write_bytes(whole[:size])
        with pytest.raises(EvalError, match=r"base\.i2v_adapter: .*pth is torn or no file"):
            method(base(i2v_adapter=str(tmp_path))).fingerprint()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_class_name": "StableDiffusionXLPipeline"}, "XLPipeline and lists no text_encoder_2"),
        ({"unet": ["diffusers", "UNet3DConditionModel"]}, "whose unet is a UNet3DConditionModel"),
        ({"vae": ["diffusers", "AutoencoderKLTemporalDecoder"]}, "whose vae is a AutoencoderKLT"),
        ({"unet": ["diffusers", "UNetMotionModel"]}, "class UNet2DConditionModel; UNetMotionModel"),
    ],
)
def test_an_index_of_another_pipeline_is_no_base(base, sd15, tmp_path, changes, message):
    folder = shutil.copytree(sd15 / "model", tmp_path / "model")
    index = folder / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | changes))
    with pytest.raises(EvalError, match=message):
        method(base(model=str(folder))).fingerprint()


def test_an_sdxl_model_without_its_second_encoder_is_no_base(base, sdxl, tmp_path):
    folder = shutil.copytree(sdxl / "model", tmp_path / "model")
    index = folder / "model_index.json"
    stated = json.loads(index.read_text())
    for part in ("text_encoder_2", "tokenizer_2"):
        del stated[part]
    index.write_text(json.dumps(stated | {"_class_name": "StableDiffusionPipeline"}))
    with pytest.raises(EvalError, match="reads text of width 80, and its text encoder gives 32"):
        method(base(sdxl, model=str(folder))).fingerprint()


def test_a_pipeline_runs_on_the_parts_of_another_where_they_serve(sd15: Path):
    model, motion = sd15 / "model", {"motion_adapter": sd15 / "motion"}
    check = check_pipeline_fit
    check("m", diffusers.StableDiffusionPipeline, model, {})
    check("m", diffusers.PIAPipeline, model, motion)
    with pytest.raises(EvalError, match="PIAPipeline needs a motion_adapter, and the model has no"):
        check("m", diffusers.PIAPipeline, model, {})
    sparse = diffusers.AnimateDiffSparseControlNetPipeline
    with pytest.raises(EvalError, match=r"needs a controlnet, .* of the StableDiffusionPipeline; "):
        check("m", sparse, model, motion)
    wrong = "m, components.controlnet: .* takes a SparseControlNetModel .* is a ControlNetModel"
    with pytest.raises(EvalError, match=wrong):
        check("m", sparse, model, motion | {"controlnet": sd15 / "control-1"})
    with pytest.raises(EvalError, match="StableVideoDiffusionPipeline needs a image_encoder"):
        check("m", diffusers.StableVideoDiffusionPipeline, model, {})
    with pytest.raises(EvalError, match="takes a UMT5EncoderModel as its text_encoder, and this"):
        check("m", diffusers.WanImageToVideoPipeline, model, {})
