"""What is timed beside the adapter computes what it claims to: the naive form gives the adapter's
own output.
"""

import torch
from diffusers import UNetMotionModel
from torch.testing import assert_close

from benchmarks.flops import step_flops
from benchmarks.motion_unets import CONFIGS, Shape, unet_inputs
from benchmarks.variants import Content, naive, wide_convolution, wide_input
from i2v_adapter import I2VAdapter

SHAPE = Shape("tiny", 64, 64, frames=3, batch=2)
TINY = {
    **CONFIGS["sd15/4"],
    "block_out_channels": (16, 32),
    "down_block_types": ("CrossAttnDownBlockMotion", "DownBlockMotion"),
    "up_block_types": ("UpBlockMotion", "CrossAttnUpBlockMotion"),
    "layers_per_block": 1,
    "cross_attention_dim": 32,
}


def test_variants(monkeypatch) -> None:
    monkeypatch.setitem(CONFIGS, "tiny", TINY)
    torch.manual_seed(0)
    unet = UNetMotionModel(**TINY).eval()
    adapter = I2VAdapter.from_unet(unet)
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    inputs = unet_inputs(SHAPE, torch.device("cpu"))
    with torch.no_grad():
        base = unet(**inputs).sample
        with adapter.attached(unet):
            adapted = unet(**inputs).sample
        with naive(unet, adapter, SHAPE.frames):
            assert_close(unet(**inputs).sample, adapted)
        assert (adapted - base).abs().max() > 1e-3

        # Zero new columns: concatenated channels change nothing before training.
        wide = wide_convolution(unet)
        wide.weight.zero_()[:, :4] = unet.conv_in.weight
        wide.bias.copy_(unet.conv_in.bias)
        with wide_input(unet, wide):
            nine = torch.cat([inputs["sample"], torch.randn(2, 5, 3, 8, 8)], dim=1)
            assert_close(unet(**{**inputs, "sample": nine}).sample, base)

        content = Content(unet)
        states = torch.randn(2, 1, 257, 1280)
        with content.attached(unet):
            one, other = (
                unet(**inputs, added_cond_kwargs={"image_embeds": [sign * states]}).sample
                for sign in (1, -1)
            )
            assert (one - other).abs().max() > 1e-4
        assert_close(unet(**inputs).sample, base)


def test_the_adapters_flops_are_those_of_equation_5(monkeypatch) -> None:
    monkeypatch.setitem(CONFIGS, "tiny", TINY)
    extra = step_flops(SHAPE, adapter=True) - step_flops(SHAPE, adapter=False)
    # Three self-attentions of width 16 at 8x8 tokens, none at the lower level; one of width 32 in
    # the middle at 4x4.
    images = 6
    layers = [(16, 64)] * 3 + [(32, 16)]
    assert extra == sum(images * (2 * 2 * n * c * c + 2 * 2 * n * n * c) for c, n in layers)
