"""The tiny models are the real classes, and the content adapter's file is the released layout."""

from __future__ import annotations

import pytest
import torch

from eval.world import models
from eval.world_training.stages.content import Content, released_state


def test_the_content_adapter_goes_through_diffusers_loader_and_back():
    torch.manual_seed(0)
    unet = models.spatial_unet()
    content = Content(unet)
    with torch.no_grad():
        for value in content.parameters():
            value.add_(0.01 * torch.randn_like(value))
    torch.manual_seed(0)
    again = models.spatial_unet()
    again._load_ip_adapter_weights([released_state(content)], low_cpu_mem_usage=False)
    inputs = (
        torch.randn(2, 8, 8, 8),
        torch.tensor([3, 700]),
        torch.randn(2, 16, models.TEXT_WIDTH),
    )
    images = {"image_embeds": [torch.randn(2, 1, 65, 96)]}
    with torch.no_grad():
        assert torch.equal(
            unet(*inputs, added_cond_kwargs=images).sample,
            again(*inputs, added_cond_kwargs=images).sample,
        )


def test_sixteen_image_tokens():
    unet = models.spatial_unet()
    Content(unet)
    tokens = unet.encoder_hid_proj([torch.randn(1, 1, 65, 96)])[0]
    assert tokens.shape == (1, 1, models.IMAGE_TOKENS, models.TEXT_WIDTH)


def test_an_untrained_motion_module_leaves_the_image_base_alone():
    torch.manual_seed(0)
    spatial = models.spatial_unet().eval()
    video = models.motion_unet(spatial, models.motion_adapter()).eval()
    for name, value in video.named_parameters():
        if "motion_modules" in name and "proj_out" in name:
            torch.nn.init.zeros_(value)
    latents, text = torch.randn(1, 8, 3, 8, 8), torch.randn(1, 16, models.TEXT_WIDTH)
    with torch.no_grad():
        together = video(latents, torch.tensor(10), text.repeat_interleave(3, dim=0)).sample
        single = torch.stack(
            [spatial(latents[:, :, k], torch.tensor(10), text).sample for k in range(3)], dim=2
        )
    assert together.numpy() == pytest.approx(single.numpy(), abs=1e-5)


def test_the_image_base_is_the_motion_unet_without_its_motion():
    torch.manual_seed(0)
    unet = models.motion_unet(models.spatial_unet((16, 32)), models.motion_adapter((16, 32))).eval()
    images = models.image_base(unet).eval()
    noisy, moments, states = (
        torch.randn(2, 8, 8, 8),
        torch.tensor([10, 700]),
        torch.randn(2, 16, models.TEXT_WIDTH),
    )
    with torch.no_grad():
        for name, value in unet.named_parameters():
            if "motion_modules" in name and ".proj_out." in name:
                value.zero_()  # what a motion module adds
        expected = unet(noisy[:, :, None], moments, states).sample[:, :, 0]
        assert torch.allclose(images(noisy, moments, states).sample, expected, atol=1e-5)
        next(unet.conv_in.parameters()).zero_()
        assert next(images.conv_in.parameters()).abs().sum() == 0.0
