"""The pipeline: the first frame under every scheduler, a whole run by hand, batches, files, the
content adapter.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
)
from PIL import Image
from torch import Tensor

from i2v_adapter import FrameSimilarityPrior, I2VAdapterPipeline

Load = Callable[[I2VAdapterPipeline], None]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def latents_of(pipe: I2VAdapterPipeline, image: Any, **options: Any) -> Tensor:
    defaults: dict[str, Any] = {
        "prompt": "a cat",
        "num_frames": 3,
        "num_inference_steps": 3,
        "generator": seeded(),
    }
    return pipe(image=image, output_type="latent", **{**defaults, **options}).frames


def image_latent(
    pipe: I2VAdapterPipeline, image: Image.Image, generator: torch.Generator
) -> Tensor:
    """What the first frame must be: a posterior sample, scaled."""
    pixels = (
        torch.from_numpy(np.asarray(image).astype(np.float32) / 255).permute(2, 0, 1)[None] * 2 - 1
    )
    with torch.no_grad():
        return (
            pipe.vae.encode(pixels).latent_dist.sample(generator) * pipe.vae.config.scaling_factor
        )


def watch(
    pipe: I2VAdapterPipeline, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[Tensor], list[Tensor]]:
    """Lists that fill with the UNet's inputs and with the samples that the scheduler steps."""
    inputs, stepped = [], []
    pipe.unet.register_forward_pre_hook(lambda _, args: inputs.append(args[0].clone()))
    step = pipe.scheduler.step

    # An explicit signature: pipelines look at it for eta and generator.
    def spy(model_output: Tensor, timestep: Any, sample: Tensor, **options: Any) -> Any:
        stepped.append(sample)
        assert model_output.shape == sample.shape
        return step(model_output, timestep, sample, **options)

    monkeypatch.setattr(pipe.scheduler, "step", spy)
    return inputs, stepped


COMPATIBLE = sorted(DDIMScheduler().compatibles, key=lambda kind: kind.__name__)
PART_WAY = (
    DDIMScheduler,
    EulerDiscreteScheduler,
    DPMSolverMultistepScheduler,
    HeunDiscreteScheduler,
)


@pytest.mark.filterwarnings(
    "ignore:__array_wrap__:DeprecationWarning"
)  # diffusers' KDPM2 under NumPy 2
@pytest.mark.filterwarnings(
    "ignore:Should have t[ab]:UserWarning"
)  # torchsde: the last bit of diffusers' sigmas
@pytest.mark.parametrize(
    ("kind", "t0"),
    [
        *((kind, 1.0) for kind in COMPATIBLE),
        *((kind, 0.5) for kind in PART_WAY),
    ],
)
def test_first_frame_stays_clean(
    pipeline: I2VAdapterPipeline,
    pictures: list[Image.Image],
    monkeypatch: pytest.MonkeyPatch,
    kind: type,
    t0: float,
) -> None:
    pipeline.scheduler = kind.from_config(pipeline.scheduler.config)
    inputs, stepped = watch(pipeline, monkeypatch)
    latents = latents_of(
        pipeline, pictures[0], num_inference_steps=4, prior=FrameSimilarityPrior(t0)
    )
    clean = latents[:, :, 0]
    torch.testing.assert_close(
        clean, image_latent(pipeline, pictures[0], seeded()), rtol=0, atol=1e-6
    )
    assert latents.shape == (1, 4, 3, 8, 8)
    assert latents.isfinite().all()
    assert len(inputs) == len(stepped) >= 4 * t0
    for model_input in inputs:
        assert model_input.shape == (2, 4, 3, 8, 8)
        assert torch.equal(model_input[:, :, 0], clean.expand(2, -1, -1, -1))
    assert all(sample.shape == (1, 4, 2, 8, 8) for sample in stepped)
    assert pipeline.num_timesteps == len(inputs)


@pytest.mark.parametrize("guidance_scale", [0.0, 1.0, 3.0])
def test_a_whole_run_by_hand(
    pipeline: I2VAdapterPipeline, pictures: list[Image.Image], guidance_scale: float
) -> None:
    """DDIM written out from its formula, with the betas as the only thing taken from the
    scheduler's settings.
    """
    noise = torch.randn(1, 4, 3, 8, 8, generator=seeded(1))
    result = latents_of(
        pipeline,
        pictures[0],
        guidance_scale=guidance_scale,
        prior=None,
        latents=noise,
        negative_prompt="dog",
    )

    def text(prompt: str) -> Tensor:
        tokens = pipeline.tokenizer(
            prompt, padding="max_length", max_length=12, return_tensors="pt"
        ).input_ids
        return pipeline.text_encoder(tokens)[0].repeat(3, 1, 1)

    alpha_bar = torch.cumprod(1 - torch.linspace(0.00085, 0.012, 1000, dtype=torch.float64), 0)
    x = torch.cat(
        [image_latent(pipeline, pictures[0], seeded())[:, :, None], noise[:, :, 1:]], dim=2
    )
    with torch.no_grad(), pipeline.i2v_adapter.attached(pipeline.unet):
        for t, previous in ((666, 333), (333, 0), (0, -333)):
            predicted = pipeline.unet(x, t, text("a cat")).sample
            if guidance_scale > 1:
                negative = pipeline.unet(x, t, text("dog")).sample
                predicted = negative + guidance_scale * (predicted - negative)
            now, then = alpha_bar[t].item(), alpha_bar[previous].item() if previous >= 0 else 1.0
            estimate = (x - (1 - now) ** 0.5 * predicted) / now**0.5
            x[:, :, 1:] = (then**0.5 * estimate + (1 - then) ** 0.5 * predicted)[:, :, 1:]
    torch.testing.assert_close(result, x, rtol=0, atol=2e-5)


def test_adapter_is_on_during_the_call_only(
    pipeline: I2VAdapterPipeline, pictures: list[Image.Image]
) -> None:
    processors = dict(pipeline.unet.attn_processors)
    with_adapter = latents_of(pipeline, pictures[0])
    assert all(pipeline.unet.attn_processors[name] is value for name, value in processors.items())
    pipeline.i2v_adapter.scale = 0
    assert (latents_of(pipeline, pictures[0]) - with_adapter)[:, :, 1:].abs().max() > 1e-3
    pipeline.i2v_adapter.scale = 1
    pipeline.i2v_adapter.attach(pipeline.unet)
    assert torch.equal(latents_of(pipeline, pictures[0]), with_adapter)
    assert pipeline.i2v_adapter.unet is pipeline.unet


@pytest.mark.parametrize("with_content", [False, True])
@pytest.mark.parametrize("guidance_scale", [1.0, 3.0])
def test_a_batch_is_its_elements(
    pipeline: I2VAdapterPipeline,
    pictures: list[Image.Image],
    load_content_adapter: Load,
    with_content: bool,
    guidance_scale: float,
) -> None:
    if with_content:
        load_content_adapter(pipeline)
    prompts, options = (
        ["a cat", "two dogs"],
        dict[str, Any](guidance_scale=guidance_scale, num_frames=4),
    )
    prior = FrameSimilarityPrior(p=(0.2, 0.9))
    together = latents_of(
        pipeline, pictures, prompt=prompts, prior=prior, generator=[seeded(1), seeded(2)], **options
    )
    for row, p in enumerate((0.2, 0.9)):
        options["prior"] = FrameSimilarityPrior(p=p)
        alone = latents_of(
            pipeline, pictures[row], prompt=prompts[row], generator=seeded(row + 1), **options
        )
        torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-5, atol=1e-5)


def test_content_adapter_sees_the_image_by_default(
    pipeline: I2VAdapterPipeline, pictures: list[Image.Image], load_content_adapter: Load
) -> None:
    bare = latents_of(pipeline, pictures[0])
    pipeline.i2v_adapter.attach(pipeline.unet)
    load_content_adapter(pipeline)
    default = latents_of(pipeline, pictures[0])
    assert (default - bare).abs().max() > 1e-3
    assert torch.equal(latents_of(pipeline, pictures[0], ip_adapter_image=pictures[0]), default)
    assert torch.equal(latents_of(pipeline, np.asarray(pictures[0])), default)
    pixels = pipeline.feature_extractor(pictures[0], return_tensors="pt").pixel_values
    with torch.no_grad():
        states = [
            pipeline.image_encoder(images, output_hidden_states=True).hidden_states[-2]
            for images in (torch.zeros_like(pixels), pixels)
        ]
    embeds = torch.stack(states)
    assert torch.equal(latents_of(pipeline, pictures[0], ip_adapter_image_embeds=[embeds]), default)
    other = latents_of(pipeline, pictures[0], ip_adapter_image=pictures[1])
    assert (other - default)[:, :, 1:].abs().max() > 1e-4

    pipeline.i2v_adapter.scale = 0
    assert (latents_of(pipeline, pictures[0]) - default)[:, :, 1:].abs().max() > 1e-3, (
        "the adapter stayed on"
    )
    pipeline.i2v_adapter.detach()
    pipeline.i2v_adapter.scale = 1
    assert torch.equal(latents_of(pipeline, pictures[0]), default)
    pipeline.unload_ip_adapter()
    assert torch.equal(latents_of(pipeline, pictures[0]), bare)


def test_saved_and_loaded(
    pipeline: I2VAdapterPipeline, pictures: list[Image.Image], tmp_path: Path
) -> None:
    expected = latents_of(pipeline, pictures[0])
    pipeline.save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    assert index["i2v_adapter"] == ["i2v_adapter.adapter", "I2VAdapter"]
    loaded = I2VAdapterPipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)
    assert torch.equal(latents_of(loaded, pictures[0]), expected)
    again = I2VAdapterPipeline(**loaded.components)
    again.set_progress_bar_config(disable=True)
    assert torch.equal(latents_of(again, pictures[0]), expected)


def test_outputs(pipeline: I2VAdapterPipeline, pictures: list[Image.Image]) -> None:
    options = {"prompt": "a cat", "num_frames": 2, "num_inference_steps": 1}
    latents = latents_of(pipeline, pictures[0], num_frames=2, num_inference_steps=1)
    frames = {
        kind: pipeline(pictures[0], generator=seeded(), output_type=kind, **options).frames
        for kind in ("pil", "np", "pt")
    }
    with torch.no_grad():
        decoded = pipeline.vae.decode(latents[:, :, 0] / pipeline.vae.config.scaling_factor).sample
    expected = (decoded / 2 + 0.5).clamp(0, 1)
    assert frames["pt"].shape == (1, 2, 3, 16, 16)
    torch.testing.assert_close(frames["pt"][:, 0], expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(frames["np"], frames["pt"].permute(0, 1, 3, 4, 2).numpy(), atol=1e-6)
    assert [[image.size for image in video] for video in frames["pil"]] == [[(16, 16)] * 2]
    as_tuple = pipeline(
        pictures[0], generator=seeded(), output_type="pt", return_dict=False, **options
    )
    assert torch.equal(as_tuple[0], frames["pt"])


def test_one_image_for_many_prompts_and_one_prompt_for_many_images(
    pipeline: I2VAdapterPipeline, pictures: list[Image.Image]
) -> None:
    generators = lambda: [seeded(1), seeded(1)]  # noqa: E731
    same_image = latents_of(
        pipeline, pictures[0], prompt=["a", "b"], negative_prompt="c", generator=generators()
    )
    assert torch.equal(same_image[0, :, 0], same_image[1, :, 0])
    assert not torch.equal(same_image[0], same_image[1])
    same_prompt = latents_of(
        pipeline, pictures, prompt="a", negative_prompt=["c"], generator=generators()
    )
    torch.testing.assert_close(same_prompt[:1], same_image[:1], rtol=0, atol=1e-5)


def test_size_follows_the_image_or_the_arguments(pipeline: I2VAdapterPipeline) -> None:
    image = Image.new("RGB", (25, 16), "red")
    with pytest.raises(ValueError, match="divisible by 8"):
        latents_of(pipeline, Image.new("RGB", (20, 16)))
    assert latents_of(pipeline, image, num_inference_steps=1).shape[-2:] == (8, 12)
    assert latents_of(pipeline, image, num_inference_steps=1, height=24, width=16).shape[-2:] == (
        12,
        8,
    )


def test_callback_cannot_touch_the_first_frame(
    pipeline: I2VAdapterPipeline, pictures: list[Image.Image]
) -> None:
    def zero(pipe: Any, step: int, timestep: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"latents": torch.zeros_like(tensors["latents"])}

    latents = latents_of(pipeline, pictures[0], callback_on_step_end=zero)
    assert torch.equal(latents[:, :, 0], latents_of(pipeline, pictures[0])[:, :, 0])
    assert not latents[:, :, 1:].any()


PIXELS = np.zeros((16, 16, 3), np.uint8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image": None}, "image is missing"),
        ({"image": []}, "image is an empty list"),
        ({"image": "cat.png"}, "image must be a PIL image.* but is str"),
        ({"image": PIXELS[..., 0]}, r"but is ndarray of shape \(16, 16\)"),
        ({"image": [PIXELS, torch.zeros(3, 16, 16)]}, "image mixes Image and Tensor"),
        ({"prompt": None}, "Provide either `prompt` or `prompt_embeds`"),
        ({"prompt": []}, "prompt is an empty list"),
        ({"prompt": ["a", "b"], "image": [PIXELS] * 3}, "3 images and 2 prompts do not match"),
        (
            {"prompt": "a", "negative_prompt": ["a", "b"]},
            "2 negative prompts were given for 1 videos",
        ),
        ({"num_frames": 1}, r"num_frames must lie in 2\.\.16 for this motion UNet, but is 1"),
        ({"num_frames": 17}, "but is 17"),
        ({"ip_adapter_image": PIXELS}, "no content adapter is loaded"),
        ({"generator": [seeded(), seeded()]}, "2 generators were given for 1 videos"),
        ({"latents": torch.zeros(1, 4, 2, 8, 8)}, r"must have shape \(1, 4, 3, 8, 8\)"),
        (
            {"latents": torch.zeros(1, 4, 2, 8, 8), "prior": None},
            r"must have shape \(1, 4, 3, 8, 8\)",
        ),
    ],
)
def test_one_line_for_what_does_not_fit(
    pipeline: I2VAdapterPipeline, arguments: dict[str, Any], message: str
) -> None:
    defaults: dict[str, Any] = {
        "image": PIXELS,
        "prompt": "a cat",
        "num_frames": 3,
        "num_inference_steps": 1,
    }
    with pytest.raises(ValueError, match=message) as raised:
        pipeline(**{**defaults, **arguments})
    assert "\n" not in str(raised.value)


def test_an_adapter_is_required(
    components: dict[str, Any], pictures: list[Image.Image], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="i2v_adapter must be an I2VAdapter, but is str"):
        I2VAdapterPipeline(**{**components, "i2v_adapter": "adapter"})
    adapter = components["i2v_adapter"]
    expected = latents_of(I2VAdapterPipeline(**components), pictures[0])
    bare = I2VAdapterPipeline(**{**components, "i2v_adapter": None})
    with pytest.raises(ValueError, match=r"no adapter: call load_i2v_adapter\(\)"):
        latents_of(bare, pictures[0])
    torch.save({"state_dict": adapter.state_dict()}, tmp_path / "i2v_module.pth")
    bare.load_i2v_adapter(tmp_path, pooled_group_norm=False)
    assert torch.equal(latents_of(bare, pictures[0]), expected)
    adapter.save_pretrained(tmp_path / "own")
    bare.load_i2v_adapter(tmp_path / "own")
    assert torch.equal(latents_of(bare, pictures[0]), expected)
