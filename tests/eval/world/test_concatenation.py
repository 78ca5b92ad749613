"""Channel concatenation: the start is the base, the image is read once its columns are not zero,
the base stays.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eval.world import models
from eval.world.concatenation import concatenate, widen


@pytest.fixture(scope="module")
def base():
    torch.manual_seed(0)
    unet = models.motion_unet(models.spatial_unet((16, 32)), models.motion_adapter((16, 32))).eval()
    for module in unet.modules():  # diffusers starts the motion modules' last layer at zero
        if hasattr(module, "proj_out") and isinstance(module.proj_out, torch.nn.Linear):
            torch.nn.init.normal_(module.proj_out.weight, std=0.1)
    return unet


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(1)
    draw = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    return (
        draw(2, 8, 4, 8, 8),
        draw(2, 8, 8, 8),
        torch.tensor([300, 700]),
        draw(8, 16, models.TEXT_WIDTH),
    )


@torch.no_grad()
def test_at_first_the_widened_unet_is_the_base_bit_for_bit(base, inputs):
    noisy, image, timesteps, text = inputs
    expected = base(noisy, timesteps, text).sample
    widened = widen(base)
    assert torch.equal(widened(concatenate(noisy, image), timesteps, text).sample, expected)
    widened.conv_in.weight[:, 8:] = 0.1
    assert not torch.allclose(
        widened(concatenate(noisy, image), timesteps, text).sample, expected, atol=1e-3
    )


@torch.no_grad()
def test_the_image_is_added_to_every_frame_before_anything_else(base, inputs):
    noisy, image, _, _ = inputs
    widened = widen(base)
    torch.nn.init.normal_(widened.conv_in.weight, generator=torch.Generator().manual_seed(2))
    seen = widened.conv_in(concatenate(noisy, image).transpose(1, 2).flatten(0, 1)).unflatten(
        0, (2, 4)
    )
    conv = torch.nn.functional.conv2d
    weight, bias = widened.conv_in.weight, widened.conv_in.bias
    for frame in range(4):
        expected = conv(noisy[:, :, frame], weight[:, :8], bias, padding=1) + conv(
            image, weight[:, 8:], padding=1
        )
        assert torch.allclose(seen[:, frame], expected, atol=1e-4)


def test_the_base_keeps_its_own_weights(base):
    before = {name: value.clone() for name, value in base.state_dict().items()}
    widened = widen(base)
    with torch.no_grad():
        for parameter in widened.parameters():
            parameter.add_(1.0)
    assert all(torch.equal(value, before[name]) for name, value in base.state_dict().items())


def test_dropout_takes_each_condition_for_a_tenth_of_the_samples():
    from eval.world_training.stages.i2v import dropped

    rng = np.random.default_rng(0)
    drawn = [dropped(rng) for _ in range(2500)]
    no_text, no_image = (torch.cat(part).float() for part in zip(*drawn, strict=True))
    for share, expected in (
        (no_text.mean(), 0.1),
        (no_image.mean(), 0.1),
        ((no_text * no_image).mean(), 0.05),
    ):
        assert float(share) == pytest.approx(expected, abs=0.01)
