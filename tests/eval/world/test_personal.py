"""What is trained on top of the glyph world's base: style LoRA and position ControlNet, on a tiny
base.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from eval.errors import EvalError
from eval.samples.glyph_world import GlyphWorldSettings, load
from eval.world import models
from eval.world.control import AGAINST, discs, places, position_maps, scene_of
from eval.world.glyphs import SEEN, UNSEEN, mask
from eval.world.scenes import Scene, render, render_frame, sample_scene
from eval.world.styles import STYLES, inverted
from eval.world.tokenizer import build_clip_tokenizer
from eval.world_training.latents import LatentSet
from eval.world_training.stages import controlnet, i2v, lora, style

TURNED = ("left", "right", "up", "down", "still", "grow", "rotate")


def scene_with(motion: str, seed: int = 0) -> Scene:
    return sample_scene(np.random.default_rng(seed), motions=[motion])


@pytest.mark.parametrize("glyph", ["square", "heart", "star", "telephone"])
def test_an_inverted_glyph_is_the_plate_without_the_glyph(glyph):
    filled, drawn = mask(SEEN[glyph]), inverted(SEEN[glyph])
    assert (filled + drawn)[4:-4, 4:-4] == pytest.approx(1.0, abs=1e-6)
    assert drawn.sum() + filled.sum() == pytest.approx(184.0**2, rel=1e-6)


def test_a_style_moves_with_the_glyph_and_leaves_the_background():
    scene = replace(scene_with("left"), glyph="heart", character=SEEN["heart"])
    plain, styled = render(scene), render(scene, draw=STYLES["inverted"])
    far = (plain.masks == 0.0) & (styled.masks == 0.0)
    assert far.mean() > 0.3
    assert np.array_equal(plain.frames[far], styled.frames[far])
    assert np.array_equal(render_frame(scene, 3, STYLES["inverted"])[0], styled.frames[3])
    columns = np.arange(64) + 0.5
    centres = (styled.masks.sum(axis=1) * columns).sum(axis=1) / styled.masks.sum(axis=(1, 2))
    assert np.diff(centres)[:3] == pytest.approx(-scene.speed, abs=0.05)


def test_all_named_glyphs_are_told_apart_when_inverted():
    drawn = np.stack([inverted(character).reshape(-1) for character in (SEEN | UNSEEN).values()])
    likeness = (drawn @ drawn.T) / np.outer(*[np.linalg.norm(drawn, axis=1)] * 2)
    assert (likeness - np.eye(len(drawn))).max() < 0.985


@pytest.mark.parametrize("motion", TURNED)
def test_a_position_map_covers_the_glyph_and_moves_with_it(motion):
    scene = scene_with(motion, seed=3)
    maps = position_maps(scene.truth(), 8)
    assert maps.shape == (8, 64, 64, 3)
    assert maps.dtype == np.uint8
    rows, columns = np.mgrid[0:64, 0:64] + 0.5
    for frame, (x, y, size) in enumerate(places(scene, 8)):
        inside = maps[frame, ..., 0] / 255.0
        if max(abs(x - 32), abs(y - 32)) + size / 2 < 32:
            assert inside.sum() == pytest.approx(np.pi * size**2 / 4, rel=0.02)
            assert (inside * columns).sum() / inside.sum() == pytest.approx(x, abs=0.05)
            assert (inside * rows).sum() / inside.sum() == pytest.approx(y, abs=0.05)
    assert np.array_equal(maps, position_maps(scene, 8))


@pytest.mark.parametrize("motion", TURNED)
def test_a_contradicting_control_starts_alike_and_moves_otherwise(motion):
    scene = scene_with(motion)
    turned = scene_of({**scene.truth(), "control": AGAINST[motion]})
    assert np.array_equal(position_maps(turned, 1), position_maps(scene, 1))
    ways = [places(one, 8)[-1, :2] - places(one, 8)[0, :2] for one in (scene, turned)]
    assert float(ways[0] @ ways[1]) <= 0.0
    assert np.linalg.norm(ways[1]) == pytest.approx(14.0)


def test_a_truth_without_a_scene_is_refused():
    with pytest.raises(EvalError, match="lacks character, colour"):
        position_maps({"glyph": "star"}, 8)
    with pytest.raises(EvalError, match="at least 1, got 0"):
        position_maps(scene_with("left"), 0)


def test_a_control_against_the_prompt_is_in_the_samples_truth():
    plain = load(GlyphWorldSettings(seen=0, unseen=7))
    turned = load(GlyphWorldSettings(seen=0, unseen=7, control="against-prompt"))
    for one, other in zip(plain, turned, strict=True):
        assert other.id == f"{one.id}-against"
        assert other.prompt == one.prompt
        assert np.array_equal(other.image, one.image)
        assert other.truth["control"] == AGAINST[str(one.truth["motion"])]
        assert np.array_equal(position_maps(other.truth, 1), position_maps(one.truth, 1))
        assert not np.array_equal(position_maps(other.truth, 8), position_maps(one.truth, 8))


def test_only_the_controlled_group_has_maps_against_its_prompts():
    samples = load(GlyphWorldSettings(seen=1, unseen=1, styled=1, controlled=7))
    assert [sample.group for sample in samples[3:]] == ["controlled"] * 7
    assert not any("control" in sample.truth for sample in samples[:3])
    assert all(
        sample.truth["control"] == AGAINST[str(sample.truth["motion"])] for sample in samples[3:]
    )
    assert not any(np.array_equal(sample.image, samples[0].image) for sample in samples[3:])


def test_styled_samples_are_drawn_so_and_say_so():
    from eval.measure.catalogue import parse_metric
    from eval.measure.evaluator import Evaluator

    samples = load(GlyphWorldSettings(seen=0, unseen=2, styled=7, seed=9))
    plain, styled = samples[:2], samples[2:]
    assert [sample.group for sample in styled] == ["styled"] * 7
    evaluator = Evaluator([parse_metric("style.style_glyph.v1")])
    for sample in samples:
        scene = scene_of(sample.truth)
        draw = STYLES["inverted" if sample in styled else "plain"]
        assert np.array_equal(sample.image, render_frame(scene, 0, draw)[0])
        assert np.array_equal(sample.clip.frames, render(scene, draw=draw).frames)
    values = [evaluator.per_clip(sample, sample.clip)["style.style_glyph.v1"] for sample in samples]
    assert np.mean(values) >= 0.95
    other = evaluator.per_clip(styled[0], replace(plain[0].clip))["style.style_glyph.v1"]
    assert other <= 0.05


def test_a_true_clip_does_not_go_where_a_control_against_its_prompt_says():
    from eval.measure.catalogue import parse_metric
    from eval.measure.evaluator import Evaluator

    evaluator = Evaluator(
        [parse_metric("exact.direction.flow_dis.v1"), parse_metric("exact.position.pixels.v1")]
    )
    plain = load(GlyphWorldSettings(seen=0, unseen=7, seed=5))
    turned = load(GlyphWorldSettings(seen=0, unseen=7, seed=5, control="against-prompt"))
    for one, other in zip(plain, turned, strict=True):
        if one.truth["motion"] in ("left", "up"):
            right, wrong = evaluator.per_clip(one, one.clip), evaluator.per_clip(other, other.clip)
            assert right["exact.direction.flow_dis.v1"] > 0.9
            assert wrong["exact.direction.flow_dis.v1"] < -0.9
            away = np.mean([(2.0 + float(one.truth["speed"])) * frame for frame in range(1, 8)])
            assert wrong["exact.position.pixels.v1"] == pytest.approx(away, rel=0.15)
            assert right["exact.position.pixels.v1"] < 0.5


@pytest.fixture
def base():
    torch.manual_seed(0)
    tokenizer = build_clip_tokenizer()
    unet = models.motion_unet(models.spatial_unet((16, 32)), models.motion_adapter((16, 32))).eval()
    data = LatentSet(
        torch.randn(6, 4, 8, 8, 8), torch.ones(6, 16, dtype=torch.long), torch.zeros(6, 64, 64, 3)
    )
    return tokenizer, models.text_encoder(len(tokenizer)).eval(), unet, data


@pytest.fixture
def system(base):
    """The tiny base as the I2V adapter leaves it: with content adapter and I2V adapter."""
    from i2v_adapter import I2VAdapter

    _, _, unet, _ = base
    unet._load_ip_adapter_weights([models.new_ip_adapter(unet)], low_cpu_mem_usage=False)
    adapter = I2VAdapter.from_unet(unet)
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    adapter.attach(unet)
    return adapter, models.image_encoder().eval()


def trained_lora(base, system, folder, start=None):
    tokenizer, text_encoder, unet, data = base
    recipe = replace(lora.RECIPE, steps=3)
    return lora.run(recipe, folder, data, tokenizer, text_encoder, system[1], unet, start).module


def test_the_lora_changes_keys_and_values_and_goes_through_diffusers_loader(
    base, system, tmp_path, monkeypatch
):
    from diffusers import StableDiffusionPipeline
    from diffusers.loaders import StableDiffusionLoraLoaderMixin

    monkeypatch.setattr(i2v, "BATCH", 2)
    adapter, unet = system[0], base[2]
    frozen = {
        name: value.clone()
        for part in (adapter, unet)
        for name, value in part.named_parameters(prefix=type(part).__name__)
    }
    trained = trained_lora(base, system, tmp_path / "work")
    for part in (adapter, unet):
        for name, value in part.named_parameters(prefix=type(part).__name__):
            if ".lora_" not in name:
                assert torch.equal(value, frozen.pop(name.replace("base_layer.", "")))
    assert not frozen
    assert not any("motion_modules" in name or "_ip" in name for name in trained.matrices)
    StableDiffusionPipeline.save_lora_weights(
        tmp_path / "lora", unet_lora_layers=trained.released_state()
    )
    state, alphas = StableDiffusionLoraLoaderMixin.lora_state_dict(
        str(tmp_path / "lora"), weight_name="pytorch_lora_weights.safetensors"
    )
    fresh = models.image_base(
        models.motion_unet(models.spatial_unet((16, 32)), models.motion_adapter((16, 32)))
    )
    StableDiffusionLoraLoaderMixin.load_lora_into_unet(state, alphas, fresh)
    layer = fresh.get_submodule("down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_k")
    change = (
        layer.lora_B["default_0"].weight
        @ layer.lora_A["default_0"].weight
        * layer.scaling["default_0"]
    )
    key = "down_blocks/0/attentions/0/transformer_blocks/0/attn1/to_k/lora_{}/default/weight"
    expected = trained.matrices[key.format("B")] @ trained.matrices[key.format("A")]
    assert change.abs().max() > 0.0
    assert torch.allclose(change, expected, atol=1e-5)


def test_the_lora_is_trained_through_the_adapter_and_goes_on_from_a_published_one(
    base, system, tmp_path, monkeypatch
):
    monkeypatch.setattr(i2v, "BATCH", 2)
    adapter = system[0]
    start = {
        name: 0.1 * torch.randn_like(value)
        for name, value in lora.StyleLora(copy.deepcopy(base[2])).released_state().items()
    }

    def layer_of(folder, **kwargs):
        tokenizer, text_encoder, unet, data = base
        fresh = tokenizer, text_encoder, copy.deepcopy(unet), data
        return trained_lora(fresh, system, folder, **kwargs).released_state()

    adapter.detach()
    alone = layer_of(tmp_path / "alone", start=start)
    adapter.attach(base[2])
    beside = trained_lora(base, system, tmp_path / "beside", start=start).released_state()
    for name, value in beside.items():  # three warming steps of at most 1e-3 x 3 / 100
        assert torch.allclose(value.float(), start[name].float(), atol=1e-3)
    assert any(not torch.equal(value, alone[name]) for name, value in beside.items())


def test_the_controlnet_learns_and_leaves_its_base_alone(base, tmp_path, monkeypatch):
    monkeypatch.setattr(controlnet, "BATCH", 2)
    tokenizer, text_encoder, unet, data = base
    before = {name: value.clone() for name, value in unet.named_parameters()}
    where = np.stack([places(scene_with("left", seed), 4) for seed in range(6)])
    recipe = replace(controlnet.RECIPE, steps=4, learning_rate=0.1)
    trained = controlnet.run(
        recipe, tmp_path, data, where, data.tokens.clone(), tokenizer, text_encoder, unet
    ).module
    assert all(torch.equal(value, before[name]) for name, value in unet.named_parameters())
    maps = torch.from_numpy(discs(where[:1]))[0, :, None].expand(-1, 3, -1, -1)
    noisy, states = torch.randn(4, 8, 8, 8), torch.randn(4, 16, models.TEXT_WIDTH)
    with torch.no_grad():
        here = trained(noisy, 500, states, controlnet_cond=maps, return_dict=False)[1]
        there = trained(noisy, 500, states, controlnet_cond=maps.flip(-1), return_dict=False)[1]
    assert not torch.allclose(here, there)


def test_the_style_judge_learns_one_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(style, "BATCH", 16)
    monkeypatch.setattr(style, "_BLURRED", 0.0)
    torch.manual_seed(0)
    images, labels = style._frames(np.random.default_rng(1), 16)
    monkeypatch.setattr(style, "_frames", lambda rng, size: (images, labels))
    recipe = replace(style.RECIPE, steps=60, enough=None, learning_rate=3e-3)
    evaluator = style.run(recipe, tmp_path).module.eval()
    assert (evaluator(images).logits.argmax(dim=1) == labels).all()
