"""Equations 5 and 6 against plain matrix products, frame by frame, in float64."""

import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import UNetMotionModel
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor

from i2v_adapter import I2VAdapter
from i2v_adapter.attention import CrossFrameAttnProcessor, CrossFrameProjections, CrossFrameState


def plain_attention(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """softmax(Q K^T / sqrt(d)) V of one frame, (tokens, inner), one head after the other, softmax
    by hand.
    """
    width = query.shape[1] // heads
    outputs = []
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        scores = query[:, part] @ key[:, part].T / width**0.5
        weights = torch.exp(scores - scores.max(dim=1, keepdim=True).values)
        outputs.append(weights / weights.sum(dim=1, keepdim=True) @ value[:, part])
    return torch.cat(outputs, dim=1)


def equation_5(
    tokens: Tensor, layer: dict[str, Tensor], new: dict[str, Tensor], heads: int, frames: int
) -> Tensor:
    """out_i for tokens (B * F, HW, C), with the layer's state dict and the adapter's."""
    outputs = []
    for index, x in enumerate(tokens):
        first = tokens[index - index % frames]
        own = plain_attention(
            x @ layer["to_q.weight"].T,
            x @ layer["to_k.weight"].T,
            x @ layer["to_v.weight"].T,
            heads,
        )
        cross = plain_attention(
            x @ new["to_q_ff.weight"].T,
            first @ layer["to_k.weight"].T,
            first @ layer["to_v.weight"].T,
            heads,
        )
        out = own @ layer["to_out.0.weight"].T + layer["to_out.0.bias"]
        outputs.append(out + cross @ new["to_out_ff.weight"].T + new["to_out_ff.bias"])
    return torch.stack(outputs)


class Oracle:
    """Processor that runs `equation_5`."""

    def __init__(self, new: dict[str, Tensor], frames: int) -> None:
        self.new, self.frames = new, frames

    def __call__(self, attn: Attention, hidden_states: Tensor, **unused: Any) -> Tensor:
        return equation_5(hidden_states, attn.state_dict(), self.new, attn.heads, self.frames)


@pytest.mark.parametrize(("videos", "frames"), [(1, 2), (3, 4), (2, 1)])
def test_one_layer_follows_equation_5(videos: int, frames: int) -> None:
    torch.manual_seed(0)
    attn = Attention(query_dim=24, heads=3, dim_head=8).double()
    projections = CrossFrameProjections(24, 24).double()
    for parameter in projections.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    tokens = torch.randn(videos * frames, 6, 24, dtype=torch.float64)
    expected = equation_5(tokens, attn.state_dict(), projections.state_dict(), 3, frames)

    attn.set_processor(CrossFrameAttnProcessor(projections, CrossFrameState(num_frames=frames)))
    torch.testing.assert_close(attn(tokens), expected, rtol=0, atol=1e-12)


class PooledNorm(torch.nn.Module):
    """Group norm whose statistics come from all frames of a video, group by group."""

    def __init__(self, norm: torch.nn.GroupNorm, frames: int) -> None:
        super().__init__()
        self.norm, self.frames = norm, frames

    def forward(self, images: Tensor) -> Tensor:
        videos = []
        for video in images.split(self.frames):
            groups = []
            for group in video.chunk(self.norm.num_groups, dim=1):
                centred = group - group.mean()
                groups.append(centred / (centred.square().mean() + self.norm.eps).sqrt())
            videos.append(torch.cat(groups, dim=1))
        return torch.cat(videos) * self.norm.weight[:, None, None] + self.norm.bias[:, None, None]


class FrameNorm(torch.nn.Module):
    """Group norm of a motion module, (B, C, F, H, W), whose statistics come from each frame."""

    def __init__(self, norm: torch.nn.GroupNorm) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, videos: Tensor) -> Tensor:
        result = torch.empty_like(videos)
        size = videos.shape[1] // self.norm.num_groups
        for video, frame, group in itertools.product(
            range(videos.shape[0]), range(videos.shape[2]), range(self.norm.num_groups)
        ):
            channels = slice(group * size, (group + 1) * size)
            values = videos[video, channels, frame]
            deviation = ((values - values.mean()).square().mean() + self.norm.eps).sqrt()
            result[video, channels, frame] = (values - values.mean()) / deviation
        weight, bias = (p[:, None, None, None] for p in (self.norm.weight, self.norm.bias))
        return result * weight + bias


def motion_blocks(unet: UNetMotionModel) -> list[torch.nn.Module]:
    """The blocks of a UNet that have motion modules."""
    return [module for module in unet.modules() if hasattr(module, "motion_modules")]


def add_lora(unet: UNetMotionModel, plain: UNetMotionModel) -> None:
    """The same random LoRA: loaded into one UNet with peft, added to the weights of the other by
    hand.
    """
    generator, weights = torch.Generator().manual_seed(7), {}
    for path, module in plain.named_modules():
        if ".motion_modules." not in path and path.endswith(("to_q", "to_k", "to_v", "to_out.0")):
            rows, columns = module.weight.shape
            down, up = (
                torch.randn(shape, generator=generator) * 0.2 for shape in ((2, columns), (rows, 2))
            )
            weights |= {f"{path}.lora_A.weight": down, f"{path}.lora_B.weight": up}
            module.weight.data += up.double() @ down.double()
    unet.load_lora_adapter(weights, prefix=None)
    unet.double()


@pytest.mark.parametrize(
    "extra", ["nothing", "content adapter", "lora", "controlnet", "pooled norm", "everything"]
)
def test_whole_unet_follows_equation_5(
    unet_factory: Callable[..., UNetMotionModel],
    trained: Callable[..., I2VAdapter],
    inputs: dict[str, Any],
    content_adapter: Callable[..., Any],
    extra: str,
) -> None:
    def wanted(name: str) -> bool:
        return extra in (name, "everything")

    inputs = {
        name: value.double() if isinstance(value, Tensor) else value
        for name, value in inputs.items()
    }
    unet, plain, generator = (
        unet_factory().double(),
        unet_factory().double(),
        torch.Generator().manual_seed(3),
    )
    adapter = I2VAdapter.from_unet(unet, pooled_group_norm=wanted("pooled norm"))
    adapter.load_state_dict(trained(unet).state_dict())
    if wanted("content adapter"):
        weights = content_adapter(unet)
        for each in (unet, plain):
            each._load_ip_adapter_weights([weights])
            each.double()
        embeds = torch.randn(2, 1, 5, 32, generator=generator).double()
        inputs["added_cond_kwargs"] = {"image_embeds": [embeds]}
    if wanted("lora"):
        add_lora(unet, plain)
    if wanted("controlnet"):
        shapes = [(10, 32, 8, 8), (10, 32, 8, 8), (10, 32, 4, 4), (10, 64, 4, 4), (10, 64, 4, 4)]
        *down, mid = (torch.randn(shape, generator=generator).double() for shape in shapes)
        inputs |= {
            "down_block_additional_residuals": tuple(down),
            "mid_block_additional_residual": mid,
        }
    if wanted("pooled norm"):
        for block in [module for module in plain.modules() if isinstance(module, ResnetBlock2D)]:
            block.norm1, block.norm2 = PooledNorm(block.norm1, 5), PooledNorm(block.norm2, 5)
        plain.conv_norm_out = PooledNorm(plain.conv_norm_out, 5)
        motion = [path for path, _ in plain.named_modules() if path.endswith(".norm")]
        motion = [path for path in motion if re.search(r"motion_modules\.\d+\.norm$", path)]
        assert len(motion) == sum(len(block.motion_modules) for block in motion_blocks(plain))
        for path in motion:
            plain.set_submodule(path, FrameNorm(plain.get_submodule(path)))
    state = adapter.state_dict()
    for path in adapter.config["layers"]:
        new = {
            name: state[f"{path}.{name}"]
            for name in ("to_q_ff.weight", "to_out_ff.weight", "to_out_ff.bias")
        }
        plain.get_submodule(path).set_processor(Oracle(new, frames=5))
    with torch.no_grad():
        base = unet(**inputs).sample
        adapter.attach(unet)
        expected = plain(**inputs).sample
        torch.testing.assert_close(unet(**inputs).sample, expected, rtol=0, atol=1e-9)
        assert (base - expected).abs().max() > 1e-2
        adapter.detach()
        assert torch.equal(unet(**inputs).sample, base)


def test_scale_by_layer_group(
    unet_factory: Callable[..., UNetMotionModel],
    trained: Callable[..., I2VAdapter],
    inputs: dict[str, Any],
) -> None:
    """A factor on a layer's branch is a factor on its W_O'; the longest start of the path
    counts."""
    unet = unet_factory()
    adapter, scaled = trained(unet), trained(unet)
    adapter.scale = {"up_blocks": 0.0, "up_blocks.1.attentions.0": 0.5, "mid_block": [2.0] * 5}
    factors = {"mid_block": 2.0, "up_blocks.1.attentions.0": 0.5, "up_blocks.1.attentions.1": 0.0}
    for name, parameter in scaled.named_parameters():
        for start, factor in factors.items():
            if name.startswith(start) and "to_out_ff" in name:
                parameter.data *= factor
    with torch.no_grad():
        with scaled.attached(unet):
            expected = unet(**inputs).sample
        with adapter.attached(unet):
            torch.testing.assert_close(unet(**inputs).sample, expected, rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="scale names up_block, but no layer's path starts so"):
        adapter.scale = {"up_block": 1.0}


def test_scale_by_frame() -> None:
    torch.manual_seed(0)
    attn, projections = (
        Attention(query_dim=8, heads=1, dim_head=8).double(),
        CrossFrameProjections(8, 8).double(),
    )
    for parameter in projections.parameters():
        torch.nn.init.normal_(parameter)
    tokens, state = torch.randn(6, 3, 8, dtype=torch.float64), CrossFrameState(num_frames=3)
    attn.set_processor(CrossFrameAttnProcessor(projections, state))
    on = attn(tokens)
    state.scale = 0.0
    off = attn(tokens)
    state.scale = [1.0, 0.0, 0.25]
    expected = torch.stack(
        [on[0], off[1], off[2] + (on[2] - off[2]) / 4, on[3], off[4], off[5] + (on[5] - off[5]) / 4]
    )
    torch.testing.assert_close(attn(tokens), expected)
    state.scale = [1.0, 0.0]
    with pytest.raises(ValueError, match="scale has 2 values for the 3 frames of a video"):
        attn(tokens)


def test_scale_multiplies_the_new_term() -> None:
    torch.manual_seed(0)
    attn, projections = (
        Attention(query_dim=8, heads=1, dim_head=8).double(),
        CrossFrameProjections(8, 8).double(),
    )
    for parameter in projections.parameters():
        torch.nn.init.normal_(parameter)
    tokens, state = torch.randn(4, 3, 8, dtype=torch.float64), CrossFrameState(num_frames=2)
    outputs = {}
    attn.set_processor(CrossFrameAttnProcessor(projections, state))
    for scale in (0.0, 0.5, 1.0):
        state.scale = scale
        outputs[scale] = attn(tokens)
    torch.testing.assert_close(outputs[0.5], (outputs[0.0] + outputs[1.0]) / 2)


def test_first_frame_keys_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = torch.nn.functional.scaled_dot_product_attention

    def spy(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
        calls.append((query.shape, key))
        return original(query, key, value, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", spy)
    attn, projections = Attention(query_dim=8, heads=2, dim_head=4), CrossFrameProjections(8, 8)
    attn.set_processor(CrossFrameAttnProcessor(projections, CrossFrameState(num_frames=3)))
    attn(torch.randn(6, 5, 8))
    (_, all_keys), (query_shape, first_keys) = calls
    assert query_shape == (2, 2, 15, 4)
    assert first_keys.shape == (2, 2, 5, 4)
    assert first_keys.untyped_storage().data_ptr() == all_keys.untyped_storage().data_ptr()


def test_unconnected_processor_refuses() -> None:
    attn = Attention(query_dim=8, heads=1, dim_head=8, processor=CrossFrameAttnProcessor())
    with pytest.raises(RuntimeError, match="not connected to its adapter"):
        attn(torch.randn(2, 3, 8))


def test_no_whole_number_of_videos() -> None:
    attn = Attention(query_dim=8, heads=1, dim_head=8)
    attn.set_processor(
        CrossFrameAttnProcessor(CrossFrameProjections(8, 8), CrossFrameState(num_frames=3))
    )
    with pytest.raises(
        RuntimeError, match="4 images, which is no whole number of videos of 3 frames"
    ):
        attn(torch.randn(4, 3, 8))
