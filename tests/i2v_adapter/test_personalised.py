"""The adapter under LoRAs, content adapters and DreamBooth checkpoints, in any order."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel, UNetMotionModel
from diffusers.models.attention_processor import (
    AttnProcessor,
    AttnProcessor2_0,
)
from safetensors.torch import save_file
from torch import Tensor

from i2v_adapter import I2VAdapter, I2VAdapterPipeline
from tests.i2v_adapter.test_survival import Load, Trained, close, output


def lora(unet: UNetMotionModel, seed: int) -> dict[str, Tensor]:
    """Random LoRA of rank 2 on all projections of the spatial transformers, in the names that files
    have.
    """
    generator, weights = torch.Generator().manual_seed(seed), {}
    for path, module in unet.named_modules():
        if ".motion_modules." not in path and path.endswith(("to_q", "to_k", "to_v", "to_out.0")):
            rows, columns = module.weight.shape
            weights[f"unet.{path}.lora_A.weight"] = (
                torch.randn(2, columns, generator=generator) * 0.2
            )
            weights[f"unet.{path}.lora_B.weight"] = torch.randn(rows, 2, generator=generator) * 0.2
    return weights


def add_by_hand(unet: UNetMotionModel, weights: dict[str, Tensor], factor: float) -> None:
    for name in weights:
        if name.endswith("lora_A.weight"):
            path = name.removeprefix("unet.").removesuffix(".lora_A.weight")
            with torch.no_grad():
                unet.get_submodule(path).weight += (
                    factor * weights[name.replace("_A.", "_B.")] @ weights[name]
                )


@pytest.mark.filterwarnings(
    "ignore:Already found a `peft_config`:UserWarning"
)  # peft, of the second LoRA
def test_lora_loaded_weighted_fused_and_unloaded(
    pipeline: I2VAdapterPipeline,
    inputs: dict[str, Any],
    unet_factory: Callable[..., UNetMotionModel],
) -> None:
    unet, adapter = pipeline.unet, pipeline.i2v_adapter
    files = [lora(unet, seed) for seed in (1, 2)]
    plain = unet_factory()
    plain.load_state_dict(unet.state_dict())

    def by_hand(*factors: float) -> Tensor:
        """The adapter on a UNet whose weights have been changed by hand."""
        changed = unet_factory()
        changed.load_state_dict(plain.state_dict())
        for weights, factor in zip(files, factors, strict=True):
            add_by_hand(changed, weights, factor)
        with other.attached(changed):
            return output(changed, inputs)

    other = I2VAdapter(adapter.config["layers"])
    other.load_state_dict(adapter.state_dict())
    state = {name: value.clone() for name, value in adapter.state_dict().items()}
    adapter.attach(unet)
    before = output(unet, inputs)
    for weights, name in zip(files, "ab", strict=True):
        pipeline.load_lora_weights(dict(weights), adapter_name=name)
    pipeline.set_adapters(["a", "b"], [0.7, 0.4])
    assert close(output(unet, inputs), by_hand(0.7, 0.4))
    assert (output(unet, inputs) - before).abs().max() > 1e-2
    pipeline.set_adapters("b")
    assert close(output(unet, inputs), by_hand(0, 1))
    pipeline.fuse_lora(adapter_names=["b"])
    assert close(output(unet, inputs), by_hand(0, 1))
    pipeline.unfuse_lora()
    pipeline.unload_lora_weights()
    assert close(output(unet, inputs), before)
    adapter.detach()
    assert close(output(unet, inputs), output(plain, inputs))
    assert all(torch.equal(adapter.state_dict()[name], value) for name, value in state.items())


def test_content_adapter_loaded_scaled_and_unloaded(
    pipeline: I2VAdapterPipeline, inputs: dict[str, Any], load_content_adapter: Load
) -> None:
    adapter = pipeline.i2v_adapter.attach(pipeline.unet)
    before = output(pipeline.unet, inputs)
    load_content_adapter(pipeline)
    content = {**inputs, "added_cond_kwargs": {"image_embeds": [torch.randn(2, 1, 5, 32)]}}
    loaded = output(pipeline.unet, content)
    assert not close(loaded, before)
    pipeline.set_ip_adapter_scale(0.0)
    assert close(output(pipeline.unet, content), before)
    pipeline.set_ip_adapter_scale(1.0)
    assert torch.equal(output(pipeline.unet, content), loaded)
    pipeline.unload_ip_adapter()
    assert torch.equal(output(pipeline.unet, inputs), before)
    adapter.scale = 0
    assert not close(output(pipeline.unet, inputs), before)


def test_any_order(
    pipeline: I2VAdapterPipeline, inputs: dict[str, Any], load_content_adapter: Load
) -> None:
    """Changes that leave the function as it is, in shuffled orders."""
    unet, adapter = pipeline.unet, pipeline.i2v_adapter.attach(pipeline.unet)
    expected, weights = output(unet, inputs), lora(unet, 1)
    encoder, extractor = pipeline.image_encoder, pipeline.feature_extractor

    def content() -> None:
        pipeline.register_modules(image_encoder=encoder, feature_extractor=extractor)
        load_content_adapter(pipeline)
        pipeline.unload_ip_adapter()

    def loaded_lora() -> None:
        pipeline.load_lora_weights(dict(weights))
        pipeline.unload_lora_weights()

    changes: list[Callable[[], Any]] = [
        content,
        loaded_lora,
        unet.fuse_qkv_projections,
        # diffusers unfuses only once what was fused.
        lambda: unet.unfuse_qkv_projections() if unet.original_attn_processors else None,
        lambda: unet.set_attn_processor(AttnProcessor2_0()),
        lambda: unet.set_attn_processor(AttnProcessor()),
        lambda: (adapter.detach(), adapter.attach(unet)),
        lambda: unet.to(torch.float64).to(torch.float32),
        pipeline.vae.enable_slicing,
    ]
    unet.original_attn_processors = None
    for seed in range(3):
        random.Random(seed).shuffle(changes)
        for change in changes:
            with torch.no_grad():
                change()
        assert close(output(unet, inputs), expected), seed


def test_another_checkpoint_under_the_same_adapter(
    unet_factory: Callable[..., UNetMotionModel], trained: Trained, inputs: dict[str, Any]
) -> None:
    unet, personal = unet_factory(), unet_factory(seed=9)
    adapter = trained(unet)
    with adapter.attached(personal):
        expected = output(personal, inputs)
    adapter.attach(unet)
    unet.load_state_dict(personal.state_dict())
    assert torch.equal(output(unet, inputs), expected)


def as_single_file(unet: UNet2DConditionModel) -> dict[str, Tensor]:
    """A UNet's weights under the names of the original Stable Diffusion code."""
    resnet = {
        "norm1": "in_layers.0",
        "conv1": "in_layers.2",
        "norm2": "out_layers.0",
        "conv2": "out_layers.3",
    }
    resnet |= {"time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection"}
    starts = {"conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2"}
    starts |= {f"time_embedding.linear_{i}": f"time_embed.{2 * i - 2}" for i in (1, 2)}
    starts |= {"mid_block.resnets.0": "middle_block.0", "mid_block.attentions.0": "middle_block.1"}
    starts |= {
        "mid_block.resnets.1": "middle_block.2",
        "down_blocks.0.downsamplers.0.conv": "input_blocks.2.0.op",
    }
    starts |= {
        "down_blocks.0.resnets.0": "input_blocks.1.0",
        "down_blocks.0.attentions.0": "input_blocks.1.1",
    }
    starts |= {
        "down_blocks.1.resnets.0": "input_blocks.3.0",
        "up_blocks.0.upsamplers.0.conv": "output_blocks.1.1.conv",
    }
    for block in (0, 1):
        for i in (0, 1):
            starts[f"up_blocks.{block}.resnets.{i}"] = f"output_blocks.{2 * block + i}.0"
            starts[f"up_blocks.{block}.attentions.{i}"] = f"output_blocks.{2 * block + i}.1"
    renamed = {}
    for name, value in unet.state_dict().items():
        [start] = [start for start in starts if name.startswith(f"{start}.")]
        rest = name.removeprefix(f"{start}.")
        if ".resnets." in name:
            part, _, kind = rest.partition(".")
            rest = f"{resnet[part]}.{kind}"
        renamed[f"model.diffusion_model.{starts[start]}.{rest}"] = value.contiguous()
    return renamed


def test_dreambooth_folder_and_single_file(
    trained: Trained, inputs: dict[str, Any], tmp_path: Path
) -> None:
    from diffusers import MotionAdapter

    torch.manual_seed(8)
    spatial = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(32, 64),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=32,
        attention_head_dim=2,
    )
    motion = MotionAdapter(
        block_out_channels=(32, 64),
        motion_layers_per_block=1,
        motion_num_attention_heads=2,
        motion_norm_num_groups=8,
    )
    spatial.save_pretrained(tmp_path / "unet")
    save_file(as_single_file(spatial), tmp_path / "personal.safetensors")
    loaded = [
        UNet2DConditionModel.from_pretrained(tmp_path / "unet"),
        UNet2DConditionModel.from_single_file(
            str(tmp_path / "personal.safetensors"), config=str(tmp_path), subfolder="unet"
        ),
    ]
    unets = [UNetMotionModel.from_unet2d(each, motion) for each in (spatial, *loaded)]
    adapter = trained(unets[0])
    outputs = []
    for unet in unets:
        with adapter.attached(unet):
            outputs.append(output(unet, inputs))
    assert torch.equal(outputs[1], outputs[0])
    assert torch.equal(outputs[2], outputs[0])
