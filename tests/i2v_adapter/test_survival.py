"""What other tools do to a UNet with an adapter on it, in any order: the adapter stays on, or an
error says why not.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from accelerate import cpu_offload_with_hook
from diffusers import UNetMotionModel
from diffusers.models.attention_processor import (
    AttnProcessor,
    AttnProcessor2_0,
    XFormersAttnProcessor,
)
from PIL import Image
from torch import Tensor

from i2v_adapter import I2VAdapter, I2VAdapterPipeline
from i2v_adapter.attention import spatial_self_attentions

Trained = Callable[..., I2VAdapter]
Load = Callable[[I2VAdapterPipeline], None]


def output(unet: Any, inputs: dict[str, Any]) -> Tensor:
    with torch.no_grad():
        return unet(**inputs).sample


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
