"""Reused deep features: the same as a whole step where nothing changed, written out by hand where
something did.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import UNetMotionModel
from torch import Tensor

from i2v_adapter import I2VAdapter
from i2v_adapter.feature_reuse import FeatureReuse

LAYERS = 2  # of each block of these UNets, so that an up block has three
Unets = Callable[..., UNetMotionModel]
Trained = Callable[..., I2VAdapter]


@pytest.fixture
def pair(unet_factory: Unets, trained: Trained) -> tuple[UNetMotionModel, I2VAdapter]:
    unet = unet_factory(layers_per_block=LAYERS)
    return unet, trained(unet).attach(unet)


def called(unet: Any, inputs: dict[str, Any], step: int = 0) -> Tensor:
    sample = inputs["sample"] + step * torch.linspace(-1, 1, 8)
    with torch.no_grad():
        arguments = {"encoder_hidden_states": inputs["encoder_hidden_states"]}
        return unet(sample, 600 - 100 * step, **arguments).sample


def by_hand(unet: Any, inputs: dict[str, Any], layers: int) -> Tensor:
    """Step 1 of :func:`called` on the deep features of step 0, from the UNet's own parts."""
    last = unet.up_blocks[-1]
    deep: list[Tensor] = []
    if layers > LAYERS:
        handle = unet.up_blocks[-2].register_forward_hook(lambda *a: deep.append(a[-1]))
    else:
        unit = last.motion_modules[LAYERS - layers]
        handle = unit.register_forward_hook(lambda *a: deep.append(a[-1]))
    called(unet, inputs)
    handle.remove()
    sample = inputs["sample"] + torch.linspace(-1, 1, 8)
    text, frames = inputs["encoder_hidden_states"], sample.shape[2]
    with torch.no_grad():
        time = unet.time_embedding(unet.time_proj(torch.full((len(sample),), 500)))
        time = time.repeat_interleave(frames, 0)
        hidden = unet.conv_in(sample.transpose(1, 2).flatten(0, 1))
        skips = [hidden]
        first = unet.down_blocks[0]
        parts = zip(first.resnets, first.attentions, first.motion_modules, strict=True)
        for resnet, attention, motion in list(parts)[: layers - 1]:
            hidden = attention(resnet(hidden, time), encoder_hidden_states=text).sample
            hidden = motion(hidden, num_frames=frames)
            skips.append(hidden)
        hidden = deep[0]
        parts = zip(last.resnets, last.attentions, last.motion_modules, strict=True)
        for resnet, attention, motion in list(parts)[-layers:]:
            hidden = resnet(torch.cat([hidden, skips.pop()], dim=1), time)
            hidden = attention(hidden, encoder_hidden_states=text).sample
            hidden = motion(hidden, num_frames=frames)
        hidden = unet.conv_out(unet.conv_act(unet.conv_norm_out(hidden)))
        return hidden.unflatten(0, (len(sample), frames)).transpose(1, 2)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_steps_between_are_the_last_layers_on_deep_features(
    pair: Any, inputs: dict[str, Any], layers: int
) -> None:
    unet, _ = pair
    expected = by_hand(unet, inputs, layers)
    whole = [called(unet, inputs, step) for step in range(3)]
    assert not torch.allclose(expected, whole[1], atol=1e-3)
    with FeatureReuse(2, layers).active(unet):
        found = [called(unet, inputs, step) for step in range(3)]
    torch.testing.assert_close(found[0], whole[0], rtol=0, atol=0)
    torch.testing.assert_close(found[1], expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found[2], whole[2], rtol=0, atol=0)
    assert torch.equal(called(unet, inputs, 1), whole[1])  # nothing is left behind


def test_more_layers_come_nearer_to_the_whole_step(pair: Any, inputs: dict[str, Any]) -> None:
    unet, _ = pair
    whole = called(unet, inputs, 1)
    errors = []
    for layers in (1, 3):
        with FeatureReuse(2, layers).active(unet):
            called(unet, inputs)
            errors.append(float((called(unet, inputs, 1) - whole).square().mean()))
    assert errors[1] < errors[0]


def test_every_step_is_nothing_reused(pair: Any, inputs: dict[str, Any]) -> None:
    unet, _ = pair
    with FeatureReuse(1).active(unet):
        for step in range(3):
            found = called(unet, inputs, step)
    assert torch.equal(found, called(unet, inputs, 2))


def test_another_shape_runs_the_whole_unet(pair: Any, inputs: dict[str, Any]) -> None:
    unet, _ = pair
    one = {"sample": inputs["sample"][:1], "encoder_hidden_states": inputs["encoder_hidden_states"]}
    one["encoder_hidden_states"] = one["encoder_hidden_states"][:5]
    expected = called(unet, one, 1)
    with FeatureReuse(4).active(unet):
        called(unet, inputs)
        assert torch.equal(called(unet, one, 1), expected)


def test_a_base_without_attention_in_its_first_block(
    unet_factory: Unets, inputs: dict[str, Any]
) -> None:
    """As SDXL's."""
    unet = unet_factory(
        down_block_types=("DownBlockMotion", "CrossAttnDownBlockMotion"),
        up_block_types=("CrossAttnUpBlockMotion", "UpBlockMotion"),
    )
    with FeatureReuse(2, 2).active(unet):
        first, second = called(unet, inputs), called(unet, inputs)
    torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-5)


def test_settings_that_do_not_fit_are_refused(pair: Any) -> None:
    unet, _ = pair
    with (
        pytest.raises(ValueError, match="layers must be at most 3"),
        FeatureReuse(2, 4).active(unet),
    ):
        pass
    with pytest.raises(ValueError, match="every must be at least 1"):
        FeatureReuse(0)
    compiled = torch.compile(unet)
    with (
        pytest.raises(ValueError, match="compile_repeated_blocks"),
        FeatureReuse().active(compiled),
    ):
        pass


def test_a_pipeline_reuses_within_a_call(pipeline: Any, pictures: list[Any]) -> None:
    def video(**options: Any) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        given = {"num_inference_steps": 4, "output_type": "latent", **options}
        return pipeline(pictures[0], "a cat", 4, generator=generator, **given).frames

    expected = video()
    runs: list[int] = []
    pipeline.unet.mid_block.resnets[0].register_forward_hook(lambda *_: runs.append(1))
    pipeline.enable_feature_reuse(every=3)
    first, second = video(), video()
    assert len(runs) == 4  # steps 0 and 3 of each call
    assert torch.equal(first, second)
    assert torch.equal(first[:, :, 0], expected[:, :, 0])
    assert not torch.allclose(first, expected, atol=1e-3)
    video(guidance_interval=(0, 0.5))
    assert len(runs) == 6  # another batch begins a new count
    pipeline.enable_feature_reuse(every=1)
    assert torch.equal(video(), expected)
    pipeline.enable_step_graph()
    with pytest.raises(ValueError, match=r"disable_step_graph\(\) or disable_feature_reuse\(\)"):
        video()
    pipeline.disable_step_graph()
    pipeline.disable_feature_reuse()
    assert torch.equal(video(), expected)
    assert not pipeline.feature_reuse_enabled
