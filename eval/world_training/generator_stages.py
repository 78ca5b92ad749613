"""The stages that train generators; each can stop and resume by itself."""

from __future__ import annotations

from pathlib import Path

from eval.world import models
from eval.world.cards import load, publish
from eval.world_training.context import (
    Context,
    asked,
    encoded_clips,
    published_base,
    published_image_encoder,
    published_vae,
    record,
    trainable,
)


def vae(context: Context) -> None:
    from eval.world_training.stages import vae as stage

    recipe = asked(context, stage.RECIPE, "vae")
    outcome = stage.run(
        recipe, context.work / "vae", published_vae(context) if context.go_on else None
    )
    model = outcome.module.eval()
    model.register_to_config(scaling_factor=stage.latent_scale(model))
    publish(model, context.weights / "vae")
    record(
        context,
        "vae",
        "vae",
        recipe,
        outcome,
        stage.figures(load(type(model), context.weights / "vae")),
    )


def spatial(context: Context) -> None:
    from eval.world.tokenizer import build_clip_tokenizer
    from eval.world_training.stages import spatial as stage

    tokenizer = build_clip_tokenizer()
    tokenizer.save_pretrained(context.weights / "tokenizer")
    models.scheduler().save_pretrained(context.weights / "scheduler")
    recipe = asked(context, stage.RECIPE, "unet")
    data = encoded_clips(context, tokenizer, wild=0.15, seed=2001)
    outcome = stage.run(recipe, context.work / "spatial", data, tokenizer, models.spatial_unet())
    for part in ("text_encoder", "unet"):
        publish(getattr(outcome.module, part), context.work / "spatial" / part)


def motion(context: Context) -> None:
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    from eval.world_training.stages import motion as stage

    if context.go_on:
        tokenizer, text_encoder, unet = published_base(context)
    else:
        spatial = context.work / "spatial"
        tokenizer = CLIPTokenizer.from_pretrained(context.weights / "tokenizer")
        text_encoder = load(CLIPTextModel, spatial / "text_encoder")
        unet = models.motion_unet(
            load(UNet2DConditionModel, spatial / "unet"), models.motion_adapter()
        )
    recipe = asked(context, stage.RECIPE, "unet")
    sets = [
        (encoded_clips(context, tokenizer, wild=0.15, seed=2001), 0.7),
        (encoded_clips(context, tokenizer, wild=0.6, seed=2002), 0.3),
    ]
    outcome = stage.run(recipe, context.work / "motion", sets, tokenizer, text_encoder, unet)
    publish(outcome.module.text_encoder, context.weights / "text_encoder")
    publish(outcome.module.unet, context.weights / "unet")
    for part in ("text_encoder", "unet"):
        record(context, "motion", part, recipe, outcome, {})


def publish_content(content, weights: Path) -> None:
    """Saves a trained `stages.content.Content`: image encoder, its processor and the released
    layout."""
    from safetensors.torch import save_file

    from eval.world_training.stages.content import released_state

    publish(content.image_encoder, weights / "image_encoder")
    side = content.image_encoder.config.image_size
    models.image_processor(side).save_pretrained(weights / "feature_extractor")
    folder = weights / "ip_adapter"
    folder.mkdir(parents=True, exist_ok=True)
    flat = {
        f"{group}.{name}": value.half().contiguous()
        for group, part in released_state(content).items()
        for name, value in part.items()
    }
    save_file(flat, folder / models.IP_ADAPTER_FILE)


def content(context: Context) -> None:
    from eval.world_training.stages import content as stage

    tokenizer, text_encoder, unet = published_base(context)
    recipe = asked(context, stage.RECIPE, "ip_adapter")
    data = encoded_clips(context, tokenizer, wild=0.6, seed=2002)
    start = None
    if context.go_on:
        start = published_image_encoder(context), models.published_ip_adapter(context.weights)
    outcome = stage.run(
        recipe,
        context.work / "content",
        data,
        tokenizer,
        text_encoder,
        models.image_base(unet),
        start,
    )
    publish_content(outcome.module, context.weights)
    for part in ("ip_adapter", "image_encoder"):
        record(context, "content", part, recipe, outcome, {})


def i2v(context: Context) -> None:
    from eval.world_training.stages import i2v as stage
    from i2v_adapter import I2VAdapter

    tokenizer, text_encoder, unet = published_base(context)
    unet._load_ip_adapter_weights(
        [models.published_ip_adapter(context.weights)], low_cpu_mem_usage=False
    )
    recipe = asked(context, stage.RECIPE, "i2v_adapter")
    data = encoded_clips(context, tokenizer, wild=0.6, seed=2002)
    adapter = (
        load(I2VAdapter, context.weights / "i2v_adapter")
        if context.go_on
        else I2VAdapter.from_unet(unet)
    )
    outcome = stage.run(
        recipe,
        context.work / "i2v",
        data,
        tokenizer,
        text_encoder,
        published_image_encoder(context),
        unet,
        adapter,
    )
    publish(outcome.module, context.weights / "i2v_adapter")
    record(context, "i2v", "i2v_adapter", recipe, outcome, trainable(outcome.module))


def concat(context: Context) -> None:
    from diffusers import UNetMotionModel

    from eval.world.concatenation import widen
    from eval.world_training.stages import concat as stage

    tokenizer, text_encoder, unet = published_base(context)
    recipe = asked(context, stage.RECIPE, "concat")
    data = encoded_clips(context, tokenizer, wild=0.6, seed=2002)
    start = load(UNetMotionModel, context.weights / "concat") if context.go_on else widen(unet)
    outcome = stage.run(recipe, context.work / "concat", data, tokenizer, text_encoder, start)
    publish(outcome.module, context.weights / "concat")
    record(context, "concat", "concat", recipe, outcome, trainable(outcome.module))


def lora(context: Context) -> None:
    """Beside the published content adapter and I2V adapter, which stay as they are."""
    from diffusers import StableDiffusionPipeline

    from eval.world.styles import STYLES
    from eval.world_training.stages import lora as stage
    from i2v_adapter import I2VAdapter

    tokenizer, text_encoder, unet = published_base(context)
    unet._load_ip_adapter_weights(
        [models.published_ip_adapter(context.weights)], low_cpu_mem_usage=False
    )
    load(I2VAdapter, context.weights / "i2v_adapter").to(context.device).attach(unet)
    recipe = asked(context, stage.RECIPE, "style_lora")
    data = encoded_clips(
        context, tokenizer, wild=0.4, seed=2003, clips=3000, draw=STYLES[stage.STYLE]
    )
    outcome = stage.run(
        recipe,
        context.work / "lora",
        data,
        tokenizer,
        text_encoder,
        published_image_encoder(context),
        unet,
        models.published_lora(context.weights) if context.go_on else None,
    )
    StableDiffusionPipeline.save_lora_weights(
        context.weights / "style_lora", unet_lora_layers=outcome.module.released_state()
    )
    record(context, "lora", "style_lora", recipe, outcome, {})


def controlnet(context: Context) -> None:
    """Always from scratch: a base that has changed wants another one."""
    import numpy as np

    from eval.world.control import places
    from eval.world.scenes import FRAMES, MOTIONS, describe
    from eval.world_training.latents import clip_scene
    from eval.world_training.stages import controlnet as stage

    tokenizer, text_encoder, unet = published_base(context)
    recipe = asked(context, stage.RECIPE, "controlnet")
    data = encoded_clips(context, tokenizer, wild=0.6, seed=2002)
    scenes = [clip_scene(2002, index, wild=0.6) for index in range(len(data.latents))]
    drawn = np.random.default_rng(recipe.seed).choice(list(MOTIONS), size=len(scenes))
    words = [
        describe(scene.colour, scene.glyph, motion, scene.background)
        for scene, motion in zip(scenes, drawn, strict=True)
    ]
    other = tokenizer(words, padding="max_length", truncation=True, return_tensors="pt").input_ids
    where = np.stack([places(scene, FRAMES) for scene in scenes])
    outcome = stage.run(
        recipe, context.work / "controlnet", data, where, other, tokenizer, text_encoder, unet
    )
    publish(outcome.module, context.weights / "controlnet")
    record(context, "controlnet", "controlnet", recipe, outcome, {})
