"""Families of the glyph world: against diffusers' own pipelines, closed forms, and what each says
of frame 0.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from eval.errors import WeightsMissingError
from eval.methods import first_frame, load_method
from eval.samples.seeds import derive_seed
from eval.world.pipelines import Extras, baseline, image_to_video, text_to_video

FIRST_FRAMES = {
    "i2v-adapter": "input",
    "i2v-adapter-alone": "input",
    "content-adapter": "reconstruction",
    "channel-concatenation": "reconstruction",
    "image-prior": "reconstruction",
    "text-to-video": "free",
    "concatenation-text": "free",
}


def difference(one, other) -> int:
    return int(np.abs(one.frames.astype(int) - other.frames.astype(int)).max())


@pytest.mark.parametrize(("name", "stated"), FIRST_FRAMES.items())
def test_a_family_states_its_first_frame_and_makes_clips_that_their_batch_does_not_change(
    make, samples, name, stated
):
    method = make(name)
    assert first_frame(method) == stated
    seeds = [derive_seed(sample.id, 0) for sample in samples]
    together = method.generate(samples, seeds)
    alone = method.generate(samples[1:], seeds[1:])[0]
    assert together[1].frames.shape == (3, 64, 64, 3)
    assert (
        difference(alone, together[1]) <= 1
    )  # float noise may move a value across a rounding border
    assert difference(method.generate(samples[1:], [1])[0], alone) > 1


@pytest.mark.parametrize(
    "name", ["i2v-adapter", "i2v-adapter-alone", "image-prior", "content-adapter"]
)
def test_a_sweep_over_p_in_one_call_gives_the_clips_of_its_calls(make, samples, name):
    each = [0.1, 0.5, 0.9]
    swept = [samples[1], samples[0], samples[1]]
    together = make(name, t0=0.8, p=0.3).generate(swept, [5, 6, 5], p=each)
    for clip, sample, seed, p in zip(together, swept, [5, 6, 5], each, strict=True):
        assert difference(make(name, t0=0.8, p=p).generate([sample], [seed])[0], clip) <= 1
    assert difference(together[0], together[2]) > 1  # p is all that they differ in


def test_a_sweep_over_p_with_control_is_made_one_at_a_time(make, samples):
    one, other = make("i2v-adapter", controlnet="control_strong").generate(
        [samples[0]] * 2, [5, 5], p=[0.1, 0.9]
    )
    assert (
        difference(
            make("i2v-adapter", controlnet="control_strong", p=0.9).generate(samples[:1], [5])[0],
            other,
        )
        == 0
    )
    assert difference(one, other) > 1


@pytest.mark.parametrize("name", ["i2v-adapter", "i2v-adapter-alone"])
def test_frame_0_is_the_input_whatever_the_prompt_and_guidance(make, samples, name):
    clip = make(name, guidance_scale=7.0).generate(samples[:1], [5])[0]
    error = np.square(clip.frames[0].astype(float) - samples[0].image).mean()
    assert 10 * np.log10(255**2 / error) > 25.0  # dB; what is left is the VAE's round trip
    assert difference(make(name, guidance_scale=1.0).generate(samples[:1], [5])[0], clip) > 1


def test_alone_is_without_the_content_adapter(make, weights, samples):
    alone, full = make("i2v-adapter-alone"), make("i2v-adapter")
    assert difference(alone.generate(samples[:1], [5])[0], full.generate(samples[:1], [5])[0]) > 5
    kinds = {
        type(value).__name__
        for value in image_to_video(weights, content=False).unet.attn_processors.values()
    }
    assert not any("IPAdapter" in kind for kind in kinds)


def test_fingerprints_tell_families_apart(make):
    cases = [make(name) for name in FIRST_FRAMES]
    cases += [make("text-to-video", lora="lora_zero"), make("text-to-video", lora="lora_strong")]
    cases += [make("text-to-video", controlnet="control_zero")]
    prints = [method.fingerprint() for method in cases]
    assert len(set(prints)) == len(prints)
    with pytest.raises(WeightsMissingError, match="part 'no_such' is missing"):
        make("text-to-video", lora="no_such").fingerprint()


def options(samples, seeds, **more):
    return {
        "prompt": [sample.prompt for sample in samples],
        "num_frames": 3,
        "num_inference_steps": 3,
        "guidance_scale": 3.0,
        "generator": [torch.Generator().manual_seed(seed) for seed in seeds],
        "output_type": "np",
        **more,
    }


def test_without_an_image_the_sampler_is_diffusers_own(weights, samples):
    images = [sample.image for sample in samples]
    ours = baseline(weights)(image=images, **options(samples, [1, 2])).frames
    theirs = text_to_video(weights)(**options(samples, [1, 2])).frames
    assert np.allclose(ours, theirs, atol=1e-4)


def test_with_the_content_adapter_the_sampler_is_diffusers_own(weights, samples):
    from diffusers import AnimateDiffPipeline
    from PIL import Image

    pipeline = baseline(weights, content=True)
    ours = pipeline(image=[samples[0].image], **options(samples[:1], [1])).frames
    parts = {name: part for name, part in pipeline.components.items() if name != "controlnet"}
    stock = AnimateDiffPipeline(**parts)
    stock.set_progress_bar_config(disable=True)
    image = Image.fromarray(samples[0].image)
    theirs = stock(ip_adapter_image=image, height=64, width=64, **options(samples[:1], [1])).frames
    assert np.allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("name", ["image-prior", "content-adapter"])
def test_the_prior_starts_every_frame_as_equation_7_says(make, weights, samples, name):
    """With p = 1 nothing is blurred: x = sqrt(abar) z + sqrt(1 - abar) noise, z from the image's
    posterior.
    """
    content = name == "content-adapter"
    pipeline = baseline(weights, content=content)
    seen: list[tuple[torch.Tensor, int]] = []
    hook = pipeline.unet.register_forward_pre_hook(
        lambda _, inputs: seen.append((inputs[0].clone(), int(inputs[1])))
    )
    try:
        make(name, steps=10, t0=0.7, p=1.0, guidance_scale=1.0).generate(samples[:1], [11])
    finally:
        hook.remove()
    assert [moment for _, moment in seen] == [
        601,
        501,
        401,
        301,
        201,
        101,
        1,
    ]  # leading spacing, offset 1

    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        pixels = torch.from_numpy(samples[0].image).permute(2, 0, 1)[None].float() / 127.5 - 1
        posterior = pipeline.vae.encode(pixels).latent_dist
        drawn = torch.randn((1, 8, 8, 8), generator=generator)
        z = (posterior.mean + posterior.std * drawn) * pipeline.vae.config.scaling_factor
    torch.rand((1, 8, 3, 8, 8), generator=generator)  # the mask, of which p = 1 keeps all
    noise = torch.randn((1, 8, 3, 8, 8), generator=generator)
    kept = np.prod(1 - np.linspace(0.00085, 0.012, 1000)[: 601 + 1])
    assert torch.allclose(
        seen[0][0], kept**0.5 * z[:, :, None] + (1 - kept) ** 0.5 * noise, atol=1e-4
    )


def test_half_a_prior_is_refused():
    settings = load_method("content-adapter").Settings
    with pytest.raises(ValidationError, match="t0 and p make the prior together"):
        settings.model_validate({"t0": 0.6})
    assert settings.model_validate({"t0": 0.6, "p": 0.5}).t0 == 0.6


def test_concatenation_sees_the_image_through_its_columns_alone(make, weights, samples):
    one, other = (samples[0], samples[1])
    swapped = type(one)(one.id, other.image, one.prompt)
    method = make("channel-concatenation")
    assert difference(method.generate([one], [3])[0], method.generate([swapped], [3])[0]) == 0
    columns = baseline(weights, concat=True).unet.conv_in.weight[:, 8:]
    with torch.no_grad():
        columns.fill_(0.05)
        try:
            assert (
                difference(method.generate([one], [3])[0], method.generate([swapped], [3])[0]) > 5
            )
            blind = make("concatenation-text")
            assert difference(blind.generate([one], [3])[0], blind.generate([swapped], [3])[0]) == 0
        finally:
            columns.zero_()


def test_before_any_training_concatenation_without_the_image_is_text_to_video(make, samples):
    seeds = [derive_seed(sample.id, 0) for sample in samples]
    pairs = zip(
        make("concatenation-text").generate(samples, seeds),
        make("text-to-video").generate(samples, seeds),
        strict=True,
    )
    assert all(difference(one, other) == 0 for one, other in pairs)


@pytest.mark.parametrize("name", ["i2v-adapter", "text-to-video", "channel-concatenation"])
def test_a_lora_acts_by_its_scale(make, samples, name):
    def clip(**settings):
        return make(name, **settings).generate(samples[:1], [7])[0]

    plain = clip()
    assert difference(clip(lora="lora_zero"), plain) <= 1
    assert difference(clip(lora="lora_strong", lora_scale=0.0), plain) <= 1
    strong = clip(lora="lora_strong")
    assert difference(strong, plain) > 5
    assert difference(clip(lora="lora_strong", lora_scale=0.5), strong) > 1
    assert difference(clip(), plain) == 0


@pytest.mark.parametrize("family", ["i2v-adapter", "text-to-video", "concat"])
def test_a_controlnet_acts_on_every_family(weights, samples, family):
    maps = np.zeros((3, 64, 64, 3), np.uint8)
    maps[:, 10:30, 10:30] = 255

    def clip(net: str | None):
        extras = Extras(controlnet=net)
        shown = {} if net is None else {"conditioning_frames": list(maps)}
        if family == "i2v-adapter":
            pipeline = image_to_video(weights, extras)
        else:
            pipeline = baseline(weights, extras, concat=family == "concat")
        return pipeline(image=[samples[0].image], **options(samples[:1], [1]), **shown).frames

    assert np.allclose(clip("control_zero"), clip(None), atol=1e-4)
    assert np.abs(clip("control_strong") - clip(None)).max() > 0.02


def test_what_does_not_go_together_is_named(weights, samples):
    with pytest.raises(ValueError, match="1 images, 2 prompts and 2 generators"):
        baseline(weights)(image=[samples[0].image], **options(samples, [1, 2]))
    with pytest.raises(ValueError, match="a ControlNet and conditioning_frames go together"):
        baseline(weights)(
            image=[samples[0].image], conditioning_frames=[], **options(samples[:1], [1])
        )
