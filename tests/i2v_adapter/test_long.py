"""FreeInit, FreeNoise and chained clips: frame 0 stays, and reaches every frame; what callers may
vary by frame.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from diffusers import MotionAdapter
from PIL import Image
from torch import Tensor

from i2v_adapter import FrameSimilarityPrior, I2VAdapterPipeline
from i2v_adapter.pipelines.chaining import chain_clips
from i2v_adapter.pipelines.color import match_chroma


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def run(pipe: I2VAdapterPipeline, image: Any, **options: Any) -> Tensor:
    defaults: dict[str, Any] = {
        "prompt": "a cat",
        "num_frames": 3,
        "num_inference_steps": 2,
        "generator": seeded(),
    }
    return pipe(image, output_type="latent", **{**defaults, **options}).frames


def first_frames_of_inputs(pipe: I2VAdapterPipeline) -> list[Tensor]:
    """Fills with what the UNet is shown as frame 0."""
    seen: list[Tensor] = []
    pipe.unet.register_forward_pre_hook(lambda _, args: seen.append(args[0][:1, :, 0].clone()))
    return seen


def reach(pipe: I2VAdapterPipeline, pictures: list[Image.Image], **options: Any) -> Tensor:
    """How much each frame changes with the image alone: no prior, motion modules silenced."""
    for name, parameter in pipe.unet.named_parameters():
        if "motion_modules" in name and "proj_out" in name:
            torch.nn.init.zeros_(parameter)
    first, second = (run(pipe, picture, prior=None, **options) for picture in pictures)
    return (first - second).abs().amax(dim=(0, 1, 3, 4))


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("prior", [None, FrameSimilarityPrior()])
def test_free_init_keeps_the_first_frame(
    pipeline: I2VAdapterPipeline,
    pictures: list[Image.Image],
    prior: FrameSimilarityPrior | None,
    fast: bool,
) -> None:
    once = run(pipeline, pictures[0], prior=prior, num_inference_steps=4)
    seen = first_frames_of_inputs(pipeline)
    pipeline.enable_free_init(num_iters=2, use_fast_sampling=fast)
    twice = run(pipeline, pictures[0], prior=prior, num_inference_steps=4)
    assert len(seen) == (2 + 4 if fast else 4 + 4)
    assert all(torch.equal(frame, once[:, :, 0]) for frame in seen)
    assert torch.equal(twice[:, :, 0], once[:, :, 0])
    assert (twice - once)[:, :, 1:].abs().max() > 1e-3
    assert twice.isfinite().all()


def test_free_init_with_an_all_pass_filter_renoises_what_it_made(
    pipeline: I2VAdapterPipeline, pictures: list[Image.Image]
) -> None:
    """With every frequency kept, round two starts at sqrt(abar) x + sqrt(1 - abar) noise, by
    hand."""
    noise = torch.randn(1, 4, 3, 8, 8, generator=seeded(5))
    made = run(pipeline, pictures[0], prior=None, latents=noise)
    starts: list[Tensor] = []
    pipeline.unet.register_forward_pre_hook(lambda _, args: starts.append(args[0][:1].clone()))
    pipeline.enable_free_init(
        num_iters=2, method="ideal", spatial_stop_frequency=4, temporal_stop_frequency=4
    )
    run(pipeline, pictures[0], prior=None, latents=noise)
    alpha_bar = torch.cumprod(1 - torch.linspace(0.00085, 0.012, 1000), 0)[500]
    expected = alpha_bar.sqrt() * made[:, :, 1:] + (1 - alpha_bar).sqrt() * noise[:, :, 1:]
    torch.testing.assert_close(starts[2][:, :, 1:], expected, rtol=0, atol=1e-4)


def test_free_init_refuses_a_later_start(
    pipeline: I2VAdapterPipeline, pictures: list[Image.Image]
) -> None:
    pipeline.enable_free_init()
    with pytest.raises(ValueError, match=r"needs t0 = 1, not 0\.5"):
        run(pipeline, pictures[0], prior=FrameSimilarityPrior(t0=0.5))


@pytest.fixture
def windowed(components: dict[str, Any]) -> I2VAdapterPipeline:
    """With FreeNoise windows of four frames."""
    motion = MotionAdapter(
        block_out_channels=(32, 64),
        motion_layers_per_block=1,
        motion_num_attention_heads=2,
        motion_norm_num_groups=8,
    )
    pipe = I2VAdapterPipeline(**{**components, "motion_adapter": motion})
    pipe.set_progress_bar_config(disable=True)
    pipe.enable_free_noise(context_length=4, context_stride=2)
    return pipe


@pytest.mark.parametrize("noise_type", ["shuffle_context", "repeat_context", "random"])
def test_free_noise_windows_beyond_the_motion_modules(
    windowed: I2VAdapterPipeline, pictures: list[Image.Image], noise_type: str
) -> None:
    windowed.enable_free_noise(context_length=4, context_stride=2, noise_type=noise_type)
    seen = first_frames_of_inputs(windowed)
    latents = run(windowed, pictures[0], num_frames=18, num_inference_steps=1)
    assert latents.shape == (1, 4, 18, 8, 8)
    assert all(torch.equal(frame, latents[:, :, 0]) for frame in seen)
    assert (reach(windowed, pictures, num_frames=18, num_inference_steps=1) > 1e-5).all()


def test_free_noise_prompts_by_frame(
    windowed: I2VAdapterPipeline, pictures: list[Image.Image]
) -> None:
    one = run(windowed, pictures[0], num_frames=6, prompt="a cat")
    same = run(windowed, pictures[0], num_frames=6, prompt={0: "a cat"})
    torch.testing.assert_close(same, one, rtol=0, atol=1e-4)
    assert (
        run(windowed, pictures[0], num_frames=6, prompt={0: "a cat", 5: "dogs"}) - one
    ).abs().max() > 1e-3
    with pytest.raises(ValueError, match="at least FreeNoise's window of 4, but is 3"):
        run(windowed, pictures[0])
    with pytest.raises(ValueError, match="one generator"):
        run(windowed, pictures[0], num_frames=6, generator=[seeded()])
    windowed.disable_free_noise()
    with pytest.raises(ValueError, match="prompt is a mapping"):
        run(windowed, pictures[0], num_frames=6, prompt={0: "a cat"})
    windowed.motion_adapter = None
    with pytest.raises(ValueError, match="build the pipeline with one"):
        windowed.enable_free_noise()


def test_chained_clips(pipeline: I2VAdapterPipeline, pictures: list[Image.Image]) -> None:
    options: dict[str, Any] = {"num_inference_steps": 2, "prior": None}
    prompts = ["a", "b", "c"]
    video = chain_clips(pipeline, pictures[0], prompts, 3, generator=seeded(), **options)
    assert video.shape == (1, 4, 7, 8, 8)
    generator = seeded()
    clip = run(pipeline, pictures[0], prompt="a", generator=generator, **options)
    assert torch.equal(video[:, :, :3], clip)
    following = run(
        pipeline, None, image_latents=clip[:, :, -1], prompt="b", generator=generator, **options
    )
    assert torch.equal(video[:, :, 2:5], following)
    for name, parameter in pipeline.unet.named_parameters():
        if "motion_modules" in name and "proj_out" in name:
            torch.nn.init.zeros_(parameter)
    ends = [
        chain_clips(pipeline, image, prompts, 3, generator=seeded(), **options)
        for image in pictures
    ]
    assert ((ends[0] - ends[1]).abs().amax(dim=(0, 1, 3, 4)) > 1e-6).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_latents": torch.zeros(1, 3, 8, 8)}, r"must have shape \(B, 4, h, w\)"),
        (
            {"image_latents": torch.zeros(1, 4, 8, 8), "height": 32},
            "are those of 16x16 pixels, not of 32x",
        ),
        ({"image_latents": torch.zeros(2, 4, 8, 8)}, "1 images and 2 image_latents"),
        ({"ip_adapter_frame_scale": [1.0, 1.0, 1.0]}, "no content adapter is loaded"),
        ({"ip_adapter_frame_scale": [1.0]}, "has 1 values for 3 frames"),
    ],
)
def test_one_line_for_what_does_not_fit(
    pipeline: I2VAdapterPipeline, pictures: list[Image.Image], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run(pipeline, pictures[0], **options)


def test_content_adapter_weighted_by_frame(
    pipeline: I2VAdapterPipeline,
    pictures: list[Image.Image],
    load_content_adapter: Callable[..., None],
) -> None:
    load_content_adapter(pipeline)
    with pytest.raises(ValueError, match="give ip_adapter_image"):
        run(pipeline, None, image_latents=torch.zeros(1, 4, 8, 8))
    full = run(pipeline, pictures[0])
    torch.testing.assert_close(
        run(pipeline, pictures[0], ip_adapter_frame_scale=[1, 1, 1]), full, rtol=0, atol=1e-6
    )
    pipeline.set_ip_adapter_scale(0.5)
    half = run(pipeline, pictures[0])
    pipeline.set_ip_adapter_scale(1.0)
    torch.testing.assert_close(
        run(pipeline, pictures[0], ip_adapter_frame_scale=[0.5] * 3), half, rtol=0, atol=1e-5
    )

    pipeline.i2v_adapter.scale = 0
    options: dict[str, Any] = {"num_inference_steps": 1, "guidance_scale": 1, "prior": None}
    for name, parameter in pipeline.unet.named_parameters():
        if "motion_modules" in name and "proj_out" in name:
            torch.nn.init.zeros_(parameter)
    full = run(pipeline, pictures[0], **options)
    last_without = run(pipeline, pictures[0], ip_adapter_frame_scale=[1, 1, 0], **options)
    torch.testing.assert_close(last_without[:, :, :2], full[:, :, :2], rtol=0, atol=1e-6)
    assert (last_without - full)[:, :, 2].abs().max() > 1e-4
    assert all(
        processor.scale == [1.0]
        for processor in pipeline.unet.attn_processors.values()
        if hasattr(processor, "scale")
    )


def test_colour_matching() -> None:
    """Chroma of a tinted frame becomes that of the first one; lightness stays. OpenCV's 8-bit Lab
    measures it.
    """
    base = torch.rand(3, 1, 24, 24, generator=seeded()) * 0.6 + 0.2
    tinted = base + torch.tensor([0.1, -0.05, 0.0])[:, None, None, None]
    video = torch.cat([base, tinted], dim=1)[None] * 2 - 1
    matched = match_chroma(video)
    assert torch.equal(matched[:, :, 0], video[:, :, 0])

    def lab(frame: Tensor) -> np.ndarray:
        pixels = ((frame / 2 + 0.5).permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        return cv2.cvtColor(pixels, cv2.COLOR_RGB2Lab).astype(float)

    first, second, result = lab(video[0, :, 0]), lab(video[0, :, 1]), lab(matched[0, :, 1])
    assert np.abs(second[..., 1:].mean((0, 1)) - first[..., 1:].mean((0, 1))).max() > 5
    np.testing.assert_allclose(result[..., 1:].mean((0, 1)), first[..., 1:].mean((0, 1)), atol=1.5)
    np.testing.assert_allclose(
        np.sort(result[..., 1].ravel()), np.sort(first[..., 1].ravel()), atol=4
    )
    np.testing.assert_allclose(result[..., 0].mean(), second[..., 0].mean(), atol=2)
