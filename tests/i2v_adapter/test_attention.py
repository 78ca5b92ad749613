"""Equations 5 and 6 against plain matrix products, frame by frame, in float64."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import UNetMotionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor

from i2v_adapter import I2VAdapter
from i2v_adapter.attention import CrossFrameAttnProcessor, CrossFrameProjections, CrossFrameState


def plain_attention(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """softmax(Q K^T / sqrt(d)) V of one frame, (tokens, inner), one head after the other, softmax by hand."""
    width = query.shape[1] // heads
    outputs = []
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        scores = query[:, part] @ key[:, part].T / width**0.5
        weights = torch.exp(scores - scores.max(dim=1, keepdim=True).values)
        outputs.append(weights / weights.sum(dim=1, keepdim=True) @ value[:, part])
    return torch.cat(outputs, dim=1)


def equation_5(tokens: Tensor, layer: dict[str, Tensor], new: dict[str, Tensor], heads: int, frames: int) -> Tensor:
    """out_i for tokens (B * F, HW, C), with the layer's state dict and the adapter's."""
    outputs = []
    for index, x in enumerate(tokens):
        first = tokens[index - index % frames]
        own = plain_attention(x @ layer["to_q.weight"].T, x @ layer["to_k.weight"].T, x @ layer["to_v.weight"].T, heads)
        cross = plain_attention(
            x @ new["to_q_ff.weight"].T, first @ layer["to_k.weight"].T, first @ layer["to_v.weight"].T, heads
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


def test_whole_unet_follows_equation_5(
    unet_factory: Callable[..., UNetMotionModel], trained: Callable[..., I2VAdapter], inputs: dict[str, Any]
) -> None:
    inputs = {name: value.double() if isinstance(value, Tensor) else value for name, value in inputs.items()}
    unet = unet_factory().double()
    adapter = trained(unet)
    plain = unet_factory().double()
    weights = adapter.state_dict()
    for path in adapter.config["layers"]:
        new = {name: weights[f"{path}.{name}"] for name in ("to_q_ff.weight", "to_out_ff.weight", "to_out_ff.bias")}
        plain.get_submodule(path).set_processor(Oracle(new, frames=5))
    adapter.attach(unet)
    with torch.no_grad():
        expected = plain(**inputs).sample
        torch.testing.assert_close(unet(**inputs).sample, expected, rtol=0, atol=1e-10)
        adapter.scale = 0
        assert (unet(**inputs).sample - expected).abs().max() > 1e-2


def test_scale_multiplies_the_new_term() -> None:
    torch.manual_seed(0)
    attn, projections = Attention(query_dim=8, heads=1, dim_head=8).double(), CrossFrameProjections(8, 8).double()
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
    attn.set_processor(CrossFrameAttnProcessor(CrossFrameProjections(8, 8), CrossFrameState(num_frames=3)))
    with pytest.raises(RuntimeError, match="4 images, which is no whole number of videos of 3 frames"):
        attn(torch.randn(4, 3, 8))
