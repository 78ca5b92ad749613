"""Weights stored in eight bits compute as their rounded values do."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

EIGHT = torch.float8_e4m3fn
NORMS = (nn.GroupNorm, nn.LayerNorm)


def video(pipeline: Any, image: Any, **options: Any) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    given = {"num_inference_steps": 2, "output_type": "latent", **options}
    return pipeline(image, "a cat", 4, generator=generator, **given).frames


def rounded(model: nn.Module) -> None:
    """The oracle: weights and biases of linear layers and convolutions through eight bits."""
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            for parameter in module.parameters(recurse=False):
                parameter.data = parameter.data.to(EIGHT).to(parameter.dtype)


@pytest.mark.parametrize("adapter", [True, False])
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("content", [True, False])
def test_the_video_is_that_of_rounded_weights(
    pipeline: Any,
    pictures: list[Any],
    load_content_adapter: Callable[[Any], None],
    adapter: bool,
    fused: bool,
    content: bool,
) -> None:
    options = {}
    if content:
        load_content_adapter(pipeline)
        embeds = torch.randn(2, 1, 5, 32, generator=torch.Generator().manual_seed(1))
        options["ip_adapter_image_embeds"] = [embeds]
    plain = video(pipeline, pictures[0], **options)
    twin = copy.deepcopy(pipeline)
    if fused:
        pipeline.i2v_adapter.fuse_projections()
    pipeline.enable_fp8_storage(adapter=adapter)
    found = video(pipeline, pictures[0], **options)
    rounded(twin.unet)
    if adapter:
        rounded(twin.i2v_adapter)
    torch.testing.assert_close(found, video(twin, pictures[0], **options), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(found, plain, atol=1e-3)


def test_weights_take_a_byte_each_between_calls(pipeline: Any, pictures: list[Any]) -> None:
    pipeline.enable_fp8_storage()
    video(pipeline, pictures[0])
    for model in (pipeline.unet, pipeline.i2v_adapter):
        stored = {
            parameter.dtype
            for module in model.modules()
            if not isinstance(module, NORMS)
            for parameter in module.parameters(recurse=False)
        }
        assert stored == {EIGHT}
    assert pipeline.unet.dtype == torch.float32
