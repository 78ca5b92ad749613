"""Guidance on some steps only: the others are those of the conditional half alone."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from i2v_adapter import I2VAdapterControlNetPipeline, I2VAdapterPipeline
from i2v_adapter.tiny import tiny_components, tiny_controlnet


def video(pipeline: Any, images: list[Image.Image], **options: Any) -> Tensor:
    seeds = [torch.Generator().manual_seed(index) for index in range(len(images))]
    given = {"num_inference_steps": 4, "output_type": "latent", "guidance_scale": 5.0, **options}
    return pipeline(images, ["a cat", "a dog"][: len(images)], 4, generator=seeds, **given).frames


@pytest.fixture
def batches(pipeline: I2VAdapterPipeline) -> list[int]:
    """The number of videos of every UNet call."""
    found: list[int] = []
    pipeline.unet.register_forward_pre_hook(lambda _, args: found.append(len(args[0])))
    return found


def test_all_of_the_steps_is_the_default(pipeline: Any, pictures: list[Image.Image]) -> None:
    expected = video(pipeline, pictures)
    assert torch.equal(video(pipeline, pictures, guidance_interval=(0, 1)), expected)


def test_steps_outside_run_the_conditional_half(
    pipeline: Any, pictures: list[Image.Image], batches: list[int]
) -> None:
    video(pipeline, pictures, guidance_interval=(0.25, 0.75))
    assert batches == [2, 4, 4, 2]


def test_after_the_interval_nothing_is_guided(
    pipeline: Any, pictures: list[Image.Image], load_content_adapter: Callable[[Any], None]
) -> None:
    """The oracle: the callback of diffusers' dynamic guidance, which drops halves by hand."""
    embeds = [torch.randn(4, 1, 5, 32, generator=torch.Generator().manual_seed(1))]
    load_content_adapter(pipeline)

    def stop(pipe: Any, step: int, t: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if step != 1:
            return {}
        pipe._guidance_scale = 1.0
        return {
            "prompt_embeds": tensors["prompt_embeds"].chunk(2)[1],
            "image_embeds": [tensors["image_embeds"][0].chunk(2)[1]],
        }

    pipeline._callback_tensor_inputs = [*pipeline._callback_tensor_inputs, "image_embeds"]
    by_hand = video(
        pipeline,
        pictures,
        ip_adapter_image_embeds=embeds,
        callback_on_step_end=stop,
        callback_on_step_end_tensor_inputs=["prompt_embeds", "image_embeds"],
    )
    found = video(pipeline, pictures, ip_adapter_image_embeds=embeds, guidance_interval=(0, 0.5))
    torch.testing.assert_close(found, by_hand, rtol=1e-5, atol=1e-5)
    assert pipeline.guidance_scale == 5.0


@pytest.mark.parametrize("guess_mode", [False, True])
def test_with_a_controlnet_no_guidance_is_guidance_of_no_step(guess_mode: bool) -> None:
    pipeline = I2VAdapterControlNetPipeline(**tiny_components(), controlnet=tiny_controlnet())
    pipeline.set_progress_bar_config(disable=True)
    poses = [Image.new("RGB", (16, 16), (60 * i, 0, 0)) for i in range(4)]
    options: dict[str, Any] = {"conditioning_frames": poses, "guess_mode": guess_mode}
    images = [Image.new("RGB", (16, 16), "red")]
    # round(0.1 * 4) = 0 steps
    found = video(pipeline, images, guidance_interval=(0, 0.1), **options)
    options["guidance_scale"] = 1.0
    torch.testing.assert_close(found, video(pipeline, images, **options), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("interval", [(0.5, 0.5), (-0.1, 1), (0, 1.1), (0.2,), (0, 0.5, 1)])
def test_other_intervals_are_refused(
    pipeline: Any, pictures: list[Image.Image], interval: Any
) -> None:
    with pytest.raises(ValueError, match="guidance_interval must be"):
        video(pipeline, pictures, guidance_interval=interval)
