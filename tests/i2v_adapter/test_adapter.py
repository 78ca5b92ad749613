"""The adapter as a module: bit-equality, sizes, files, and what other tools do to its UNet."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNetMotionModel
from diffusers.models.attention_processor import AttnProcessor2_0
from safetensors import safe_open
from torch import Tensor

from i2v_adapter import I2VAdapter

Weights = dict[str, Tensor]


def output(unet: UNetMotionModel, inputs: dict[str, Any]) -> Tensor:
    with torch.no_grad():
        return unet(**inputs).sample


def snapshot(module: torch.nn.Module) -> Weights:
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(first: Weights, second: Weights) -> bool:
    return list(first) == list(second) and all(
        torch.equal(first[name], second[name]) for name in first
    )


def test_untrained_adapter_changes_no_bit(unet: UNetMotionModel, inputs: dict[str, Any]) -> None:
    before, weights = output(unet, inputs), snapshot(unet)
    I2VAdapter.from_unet(unet).attach(unet)
    assert torch.equal(output(unet, inputs), before)
    assert same(snapshot(unet), weights)


def test_detached_unet_is_the_base_again(
    unet: UNetMotionModel, inputs: dict[str, Any], trained: Callable[..., I2VAdapter]
) -> None:
    before, processors = output(unet, inputs), dict(unet.attn_processors)
    adapter = trained(unet).attach(unet)
    attached = output(unet, inputs)
    assert (attached - before).abs().max() > 1e-3
    adapter.detach()
    assert torch.equal(output(unet, inputs), before)
    assert all(unet.attn_processors[name] is processor for name, processor in processors.items())
    with adapter.attached(unet):
        assert torch.equal(output(unet, inputs), attached)
    assert torch.equal(output(unet, inputs), before)


def test_first_frame_reaches_the_others_without_motion_modules(
    unet_factory: Callable[..., UNetMotionModel],
    inputs: dict[str, Any],
    trained: Callable[..., I2VAdapter],
) -> None:
    unet = unet_factory()
    for name, parameter in unet.named_parameters():
        if "motion_modules" in name and "proj_out" in name:
            torch.nn.init.zeros_(parameter)
    changed = {**inputs, "sample": inputs["sample"].clone()}
    changed["sample"][0, :, 0] += 1
    assert torch.equal(output(unet, changed)[:, :, 1:], output(unet, inputs)[:, :, 1:])
    trained(unet).attach(unet)
    difference = (output(unet, changed) - output(unet, inputs)).abs().amax(dim=(1, 3, 4))
    assert (difference[0] > 1e-4).all(), "every frame of the video whose first frame changed"
    assert (difference[1] == 0).all(), "the other video of the batch"


def test_new_queries_start_as_copies(unet: UNetMotionModel) -> None:
    adapter = I2VAdapter.from_unet(unet)
    for path in adapter.config["layers"]:
        layer, new = unet.get_submodule(path), adapter.projections(path)
        assert torch.equal(new.to_q_ff.weight, layer.to_q.weight)
        assert new.to_q_ff.weight is not layer.to_q.weight
        assert new.to_q_ff.bias is None
        assert not new.to_out_ff.weight.any()
        assert not new.to_out_ff.bias.any()


def test_sizes_on_the_stable_diffusion_1_5_shape() -> None:
    with torch.device("meta"):
        unet = UNetMotionModel(
            cross_attention_dim=768, num_attention_heads=8, use_motion_mid_block=False
        )
    parameters = dict(I2VAdapter.from_unet(unet).named_parameters())
    assert (
        sum(value.numel() for name, value in parameters.items() if name.endswith("weight"))
        == 24_780_800
    )
    assert (
        sum(value.numel() for name, value in parameters.items() if name.endswith("bias")) == 12_480
    )
    blocks = [f"down_blocks.{i}.attentions.{j}" for i in range(3) for j in range(2)]
    blocks += ["mid_block.attentions.0"]
    blocks += [f"up_blocks.{i}.attentions.{j}" for i in (1, 2, 3) for j in range(3)]
    names = ("to_q_ff.weight", "to_out_ff.weight", "to_out_ff.bias")
    assert set(parameters) == {
        f"{block}.transformer_blocks.0.attn1.{name}" for block in blocks for name in names
    }


def test_files_hold_the_official_names(
    unet: UNetMotionModel,
    inputs: dict[str, Any],
    trained: Callable[..., I2VAdapter],
    tmp_path: Path,
) -> None:
    adapter = trained(unet)
    adapter.save_pretrained(tmp_path)
    [weights] = tmp_path.glob("*.safetensors")
    with safe_open(weights, framework="pt") as stored:
        keys = set(stored.keys())
    layer = "mid_block.attentions.0.transformer_blocks.0.attn1"
    assert {key for key in keys if key.startswith(layer)} == {
        f"{layer}.{name}" for name in ("to_q_ff.weight", "to_out_ff.weight", "to_out_ff.bias")
    }
    assert json.loads((tmp_path / "config.json").read_text())["layers"][layer] == {
        "channels": 64,
        "inner": 64,
        "heads": 2,
    }
    loaded = I2VAdapter.from_pretrained(tmp_path)
    assert same(snapshot(loaded), snapshot(adapter))
    with adapter.attached(unet):
        expected = output(unet, inputs)
    with loaded.attached(unet):
        assert torch.equal(output(unet, inputs), expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"num_attention_heads": 4},
            r"layer down_blocks\.0\.\S+: expected channels 32, inner 32, heads 2, found channels "
            r"32, inner 32, heads 4",
        ),
        (
            {"block_out_channels": (32, 96)},
            r"layer mid_block\S+: expected channels 64.* found channels 96",
        ),
        (
            {"layers_per_block": 2},
            r"layer down_blocks\.0\.attentions\.1\S+: expected no such layer, found channels 32",
        ),
    ],
)
def test_wrong_base_is_named(
    unet: UNetMotionModel,
    unet_factory: Callable[..., UNetMotionModel],
    changes: dict[str, Any],
    message: str,
) -> None:
    other = unet_factory(**changes)
    adapter = I2VAdapter.from_unet(unet)
    with pytest.raises(ValueError, match=message):
        adapter.attach(other)
    assert all(isinstance(layer, AttnProcessor2_0) for layer in other.attn_processors.values())


def test_layers_may_have_any_digits_in_their_names() -> None:
    shape = {"channels": 8, "inner": 8, "heads": 1}
    adapter = I2VAdapter({"down.\u00b2": shape, "down.10": shape, "down.9": shape})
    names = [name.rsplit(".", 2)[0] for name, _ in adapter.named_parameters()]
    assert list(dict.fromkeys(names)) == ["down.\u00b2", "down.9", "down.10"]


def test_one_adapter_one_unet(
    unet: UNetMotionModel, unet_factory: Callable[..., UNetMotionModel]
) -> None:
    adapter = I2VAdapter.from_unet(unet).attach(unet)
    assert adapter.attach(unet) is adapter
    with pytest.raises(RuntimeError, match="attached to another UNet"):
        adapter.attach(unet_factory())
    with pytest.raises(ValueError, match="another adapter is attached"):
        I2VAdapter.from_unet(unet).attach(unet)
    with pytest.raises(ValueError, match="sample"):
        unet(torch.zeros(1, 4, 8, 8), 1, torch.zeros(1, 2, 32))


def test_replaced_processors_come_back(
    unet: UNetMotionModel, inputs: dict[str, Any], trained: Callable[..., I2VAdapter]
) -> None:
    adapter = trained(unet).attach(unet)
    expected = output(unet, inputs)
    unet.set_attn_processor(AttnProcessor2_0())
    assert torch.equal(output(unet, inputs), expected)
    adapter.detach()
    assert all(type(processor) is AttnProcessor2_0 for processor in unet.attn_processors.values())


def test_content_adapter_loaded_on_top(
    unet_factory: Callable[..., UNetMotionModel],
    inputs: dict[str, Any],
    trained: Callable[..., I2VAdapter],
    content_adapter: Callable[[UNetMotionModel], dict[str, Weights]],
) -> None:
    inputs["added_cond_kwargs"] = {"image_embeds": [torch.randn(2, 1, 5, 32)]}
    content_first, adapter_first = unet_factory(), unet_factory()
    weights = content_adapter(content_first)
    content_first._load_ip_adapter_weights([weights])
    content_alone = output(content_first, inputs)
    trained(content_first).attach(content_first)
    adapter = trained(adapter_first).attach(adapter_first)
    adapter_first._load_ip_adapter_weights([weights])
    assert torch.equal(output(adapter_first, inputs), output(content_first, inputs))
    adapter.detach()
    assert torch.equal(output(adapter_first, inputs), content_alone)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_with_and_without_checkpointing(
    unet_factory: Callable[..., UNetMotionModel],
    inputs: dict[str, Any],
    trained: Callable[..., I2VAdapter],
    checkpointing: bool,
) -> None:
    unet = unet_factory().requires_grad_(False).train()
    reference = trained(unet).attach(unet)
    unet(**inputs).sample.square().mean().backward()
    expected = {name: parameter.grad for name, parameter in reference.named_parameters()}
    reference.detach()
    if checkpointing:
        unet.enable_gradient_checkpointing()
    adapter = trained(unet).attach(unet)
    unet(**inputs).sample.square().mean().backward()
    for name, parameter in adapter.named_parameters():
        assert parameter.grad is not None, name
        torch.testing.assert_close(parameter.grad, expected[name])
    assert all(parameter.grad is None for parameter in unet.parameters())


def test_float32_adapter_on_a_bfloat16_base(
    unet_factory: Callable[..., UNetMotionModel],
    inputs: dict[str, Any],
    trained: Callable[..., I2VAdapter],
) -> None:
    unet = unet_factory()
    adapter = trained(unet)
    with adapter.attached(unet):
        expected = output(unet, inputs)
    unet.to(torch.bfloat16)
    half = {
        name: value.bfloat16() if isinstance(value, Tensor) else value
        for name, value in inputs.items()
    }
    with adapter.attached(unet):
        result = output(unet, half)
    assert result.dtype == torch.bfloat16
    assert next(adapter.parameters()).dtype == torch.float32
    torch.testing.assert_close(result.float(), expected, rtol=0, atol=0.1)
