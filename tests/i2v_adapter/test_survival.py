"""What other tools do to a UNet with an adapter on it, in any order: the adapter stays on, or an
error says why not.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import cpu_offload_with_hook
from diffusers import UNet2DConditionModel, UNetMotionModel
from diffusers.models.attention_processor import (
    AttnProcessor,
    AttnProcessor2_0,
    XFormersAttnProcessor,
)
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from i2v_adapter import I2VAdapter, I2VAdapterPipeline
from i2v_adapter.attention import spatial_self_attentions

Trained = Callable[..., I2VAdapter]
Load = Callable[[I2VAdapterPipeline], None]


def output(unet: Any, inputs: dict[str, Any]) -> Tensor:
    with torch.no_grad():
        return unet(**inputs).sample


@pytest.fixture
def attached(unet: UNetMotionModel, trained: Trained) -> I2VAdapter:
    return trained(unet).attach(unet)


def close(result: Tensor, expected: Tensor) -> bool:
    """Equal but for rounding, of which merging LoRA weights brings the most."""
    return torch.allclose(result, expected, rtol=0, atol=1e-4)


def use_xformers_processors(unet: UNetMotionModel) -> None:
    """What enable_xformers_memory_efficient_attention does where xformers is installed."""
    for layer in spatial_self_attentions(unet).values():
        layer.set_processor(XFormersAttnProcessor())


@pytest.mark.parametrize(
    "change",
    [
        lambda unet: unet.set_attn_processor(AttnProcessor()),
        lambda unet: unet.set_attn_processor(
            {name: AttnProcessor2_0() for name in unet.attn_processors}
        ),
        lambda unet: unet.set_attn_processor(
            {name: type(value)() for name, value in unet.attn_processors.items()}
        ),
        lambda unet: (
            unet.set_attention_slice("max") if hasattr(unet, "set_attention_slice") else None
        ),
        use_xformers_processors,
        lambda unet: unet.fuse_qkv_projections(),
        lambda unet: (unet.fuse_qkv_projections(), unet.unfuse_qkv_projections()),
        lambda unet: unet.enable_forward_chunking(),
    ],
)
def test_processors_replaced(
    unet: UNetMotionModel,
    attached: I2VAdapter,
    inputs: dict[str, Any],
    change: Callable[[Any], Any],
) -> None:
    expected = output(unet, inputs)
    with torch.no_grad():
        change(unet)
    assert close(output(unet, inputs), expected)


def test_tools_that_refuse_leave_the_adapter_on(
    unet: UNetMotionModel, attached: I2VAdapter, inputs: dict[str, Any]
) -> None:
    expected = output(unet, inputs)
    with pytest.raises(ValueError, match="Cannot call `set_default_attn_processor`"):
        unet.set_default_attn_processor()
    with pytest.raises((ModuleNotFoundError, ValueError), match=r"xformers|cuda"):
        unet.enable_xformers_memory_efficient_attention()
    assert torch.equal(output(unet, inputs), expected)


def test_processors_kept_by_others_after_detaching(
    unet: UNetMotionModel, trained: Trained, inputs: dict[str, Any]
) -> None:
    """fuse_qkv_projections remembers the processors at hand; unfusing brings them back when the
    adapter is gone.
    """
    base = output(unet, inputs)
    adapter = trained(unet).attach(unet)
    with torch.no_grad():
        unet.fuse_qkv_projections()
    adapter.detach()
    unet.unfuse_qkv_projections()
    assert close(output(unet, inputs), base)
    adapter.attach(unet)
    assert not close(output(unet, inputs), base)
    adapter.detach()
    assert close(output(unet, inputs), base)


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


def run(pipe: I2VAdapterPipeline, image: Image.Image, **options: Any) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    pipe.set_progress_bar_config(disable=True)
    return pipe(
        image,
        "a cat",
        num_frames=3,
        num_inference_steps=2,
        generator=generator,
        output_type="pt",
        **options,
    ).frames


def test_pipeline_precision_slicing_and_offload(
    pipeline: I2VAdapterPipeline, pictures: list[Image.Image]
) -> None:
    expected = run(pipeline, pictures[0])
    pipeline.vae.enable_slicing()
    torch.testing.assert_close(run(pipeline, pictures[0]), expected, rtol=0, atol=1e-5)
    # What enable_model_cpu_offload installs; diffusers itself refuses it on a machine without an
    # accelerator.
    _, hook = cpu_offload_with_hook(pipeline.unet, execution_device="cpu")
    torch.testing.assert_close(run(pipeline, pictures[0]), expected, rtol=0, atol=1e-5)
    hook.remove()
    pipeline.to(torch.bfloat16)
    assert pipeline.i2v_adapter.dtype == torch.bfloat16
    half = run(pipeline, pictures[0])
    pipeline.i2v_adapter.scale = 0
    off = run(pipeline, pictures[0])
    error, effect = (half - expected).abs().mean(), (half - off).abs().mean()
    assert error < effect, "closer to the float32 result with the adapter than to none"
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="accelerator"):
            pipeline.enable_model_cpu_offload()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("in_place", [False, True])
def test_compiled(
    unet_factory: Callable[..., UNetMotionModel],
    trained: Trained,
    inputs: dict[str, Any],
    in_place: bool,
) -> None:
    """Code that was compiled without the adapter must not run once it is attached, nor after
    something replaced the processors.
    """
    torch._dynamo.reset()
    blocks: dict[str, Any] = {
        "down_block_types": ("DownBlockMotion",),
        "up_block_types": ("UpBlockMotion",),
    }
    unet = unet_factory(block_out_channels=(16,), **blocks)
    base = output(unet, inputs)
    adapter = trained(unet)
    with adapter.attached(unet):
        expected = output(unet, inputs)
    if in_place:
        unet.compile(backend="eager")
    compiled = unet if in_place else torch.compile(unet, backend="eager")
    assert close(output(compiled, inputs), base)
    adapter.attach(compiled)
    assert close(output(compiled, inputs), expected)
    unet.set_attn_processor(AttnProcessor2_0())
    assert close(output(compiled, inputs), expected)
    adapter.detach()
    assert close(output(compiled, inputs), base)
