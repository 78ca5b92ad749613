"""The order of the stages, what each reads and what each leaves behind. Every stage stops and goes on by itself."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from eval.world import models
from eval.world.cards import load, publish, training_history, write_card
from eval.world.steplog import keep_log


class Context(NamedTuple):
    """`work` keeps checkpoints, logs and encoded clips; `weights` is what the repository carries; `minutes` and `steps`
    stand in for the recipe's where they are given. With `go_on` a stage starts from the weights that are published,
    not from scratch, and its card says so."""

    work: Path
    weights: Path
    minutes: float | None
    command: str
    steps: int | None = None
    device: str = "cpu"
    go_on: bool = False


def _card(context: Context, stage: str, part: str, recipe, outcome, figures: dict) -> None:
    import torch

    before = training_history(context.weights / part) if context.go_on else []
    keep_log(context.work / stage, context.weights / "logs" / f"{stage}.jsonl", len(before))
    write_card(
        context.weights / part,
        **({"before": before} if before else {}),
        stage=stage,
        command=context.command,
        seed=recipe.seed,
        learning_rate=recipe.learning_rate,
        steps=outcome.steps,
        seconds=round(outcome.seconds),
        final_loss=outcome.loss,
        device=recipe.device if recipe.device == "cpu" else torch.cuda.get_device_name(recipe.device),
        machine=f"{platform.machine()}, {torch.get_num_threads()} threads",
        torch=torch.__version__,
        figures=figures,
    )


def _recipe(context: Context, recipe, part: str):
    """`recipe` with what the command line asks for; trained on, each training of `part` draws a stream of its own."""
    before = len(training_history(context.weights / part)) if context.go_on else 0
    return replace(
        recipe,
        minutes=context.minutes or recipe.minutes,
        steps=context.steps or recipe.steps,
        device=context.device,
        seed=recipe.seed + 10_000 * before,
    )


def vae(context: Context) -> None:
    from eval.world.stages import vae as stage

    recipe = _recipe(context, stage.RECIPE, "vae")
    outcome = stage.run(recipe, context.work / "vae", _vae(context) if context.go_on else None)
    model = outcome.module.eval()
    model.register_to_config(scaling_factor=stage.latent_scale(model))
    publish(model, context.weights / "vae")
    _card(context, "vae", "vae", recipe, outcome, stage.figures(load(type(model), context.weights / "vae")))


def _vae(context: Context):
    from diffusers import AutoencoderKL

    return load(AutoencoderKL, context.weights / "vae")


def _clips(context: Context, tokenizer, *, wild: float, seed: int, clips: int = 12_000, **options):
    from eval.world.latents import latent_set

    path = context.work / "latents" / f"{seed}.safetensors"
    return latent_set(path, _vae(context), tokenizer, clips=clips, seed=seed, wild=wild, **options)


def spatial(context: Context) -> None:
    from eval.world.stages import spatial as stage
    from eval.world.tokenizer import build_clip_tokenizer

    tokenizer = build_clip_tokenizer()
    tokenizer.save_pretrained(context.weights / "tokenizer")
    models.scheduler().save_pretrained(context.weights / "scheduler")
    recipe = _recipe(context, stage.RECIPE, "unet")
    data = _clips(context, tokenizer, wild=0.15, seed=2001)
    outcome = stage.run(recipe, context.work / "spatial", data, tokenizer, models.spatial_unet())
    for part in ("text_encoder", "unet"):
        publish(getattr(outcome.module, part), context.work / "spatial" / part)


def _base(context: Context):
    """Tokenizer, text encoder and motion UNet of the base, as published."""
    from diffusers import UNetMotionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(context.weights / "tokenizer")
    text_encoder = load(CLIPTextModel, context.weights / "text_encoder")
    return tokenizer, text_encoder, load(UNetMotionModel, context.weights / "unet")


def motion(context: Context) -> None:
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    from eval.world.stages import motion as stage

    if context.go_on:
        tokenizer, text_encoder, unet = _base(context)
    else:
        spatial = context.work / "spatial"
        tokenizer = CLIPTokenizer.from_pretrained(context.weights / "tokenizer")
        text_encoder = load(CLIPTextModel, spatial / "text_encoder")
        unet = models.motion_unet(load(UNet2DConditionModel, spatial / "unet"), models.motion_adapter())
    recipe = _recipe(context, stage.RECIPE, "unet")
    sets = [
        (_clips(context, tokenizer, wild=0.15, seed=2001), 0.7),
        (_clips(context, tokenizer, wild=0.6, seed=2002), 0.3),
    ]
    outcome = stage.run(recipe, context.work / "motion", sets, tokenizer, text_encoder, unet)
    publish(outcome.module.text_encoder, context.weights / "text_encoder")
    publish(outcome.module.unet, context.weights / "unet")
    for part in ("text_encoder", "unet"):
        _card(context, "motion", part, recipe, outcome, {})


def content(context: Context) -> None:
    from safetensors.torch import save_file

    from eval.world.stages import content as stage

    tokenizer, text_encoder, unet = _base(context)
    recipe = _recipe(context, stage.RECIPE, "ip_adapter")
    data = _clips(context, tokenizer, wild=0.6, seed=2002)
    start = None
    if context.go_on:
        start = _image_encoder(context), models.published_ip_adapter(context.weights)
    outcome = stage.run(recipe, context.work / "content", data, tokenizer, text_encoder, models.image_base(unet), start)
    publish(outcome.module.image_encoder, context.weights / "image_encoder")
    models.image_processor().save_pretrained(context.weights / "feature_extractor")
    state = stage.released_state(outcome.module)
    folder = context.weights / "ip_adapter"
    folder.mkdir(parents=True, exist_ok=True)
    flat = {f"{group}.{name}": value.half() for group, part in state.items() for name, value in part.items()}
    save_file(flat, folder / models.IP_ADAPTER_FILE)
    _card(context, "content", "ip_adapter", recipe, outcome, {})


def _image_encoder(context: Context):
    from transformers import CLIPVisionModelWithProjection

    return load(CLIPVisionModelWithProjection, context.weights / "image_encoder")


def i2v(context: Context) -> None:
    from eval.world.stages import i2v as stage
    from i2v_adapter import I2VAdapter

    tokenizer, text_encoder, unet = _base(context)
    unet._load_ip_adapter_weights([models.published_ip_adapter(context.weights)], low_cpu_mem_usage=False)
    recipe = _recipe(context, stage.RECIPE, "i2v_adapter")
    data = _clips(context, tokenizer, wild=0.6, seed=2002)
    adapter = load(I2VAdapter, context.weights / "i2v_adapter") if context.go_on else I2VAdapter.from_unet(unet)
    outcome = stage.run(
        recipe, context.work / "i2v", data, tokenizer, text_encoder, _image_encoder(context), unet, adapter
    )
    publish(outcome.module, context.weights / "i2v_adapter")
    _card(context, "i2v", "i2v_adapter", recipe, outcome, _trained(outcome.module))


def concat(context: Context) -> None:
    from diffusers import UNetMotionModel

    from eval.world.concatenation import widen
    from eval.world.stages import concat as stage

    tokenizer, text_encoder, unet = _base(context)
    recipe = _recipe(context, stage.RECIPE, "concat")
    data = _clips(context, tokenizer, wild=0.6, seed=2002)
    start = load(UNetMotionModel, context.weights / "concat") if context.go_on else widen(unet)
    outcome = stage.run(recipe, context.work / "concat", data, tokenizer, text_encoder, start)
    publish(outcome.module, context.weights / "concat")
    _card(context, "concat", "concat", recipe, outcome, _trained(outcome.module))


def _trained(module) -> dict[str, int]:
    return {"trainable_parameters": sum(parameter.numel() for parameter in module.parameters())}


def lora(context: Context) -> None:
    """Always from scratch: it is small, and a base that has changed wants another one."""
    from diffusers import StableDiffusionPipeline

    from eval.world.stages import lora as stage
    from eval.world.styles import STYLES

    tokenizer, text_encoder, unet = _base(context)
    recipe = _recipe(context, stage.RECIPE, "style_lora")
    data = _clips(context, tokenizer, wild=0.4, seed=2003, clips=3000, draw=STYLES[stage.STYLE])
    outcome = stage.run(recipe, context.work / "lora", data, tokenizer, text_encoder, models.image_base(unet))
    StableDiffusionPipeline.save_lora_weights(
        context.weights / "style_lora", unet_lora_layers=outcome.module.released_state()
    )
    _card(context, "lora", "style_lora", recipe, outcome, {})


def controlnet(context: Context) -> None:
    """Always from scratch, as `lora`."""
    import numpy as np

    from eval.world.control import places
    from eval.world.latents import clip_scene
    from eval.world.scenes import FRAMES, MOTIONS, describe
    from eval.world.stages import controlnet as stage

    tokenizer, text_encoder, unet = _base(context)
    recipe = _recipe(context, stage.RECIPE, "controlnet")
    data = _clips(context, tokenizer, wild=0.6, seed=2002)
    scenes = [clip_scene(2002, index, wild=0.6) for index in range(len(data.latents))]
    drawn = np.random.default_rng(recipe.seed).choice(list(MOTIONS), size=len(scenes))
    words = [describe(scene.colour, scene.glyph, motion, scene.background)
             for scene, motion in zip(scenes, drawn, strict=True)]  # fmt: skip
    other = tokenizer(words, padding="max_length", truncation=True, return_tensors="pt").input_ids
    where = np.stack([places(scene, FRAMES) for scene in scenes])
    outcome = stage.run(recipe, context.work / "controlnet", data, where, other, tokenizer, text_encoder, unet)
    publish(outcome.module, context.weights / "controlnet")
    _card(context, "controlnet", "controlnet", recipe, outcome, {})


def dino(context: Context) -> None:
    from transformers import ViTModel

    from eval.world.stages import dino as stage

    recipe = _recipe(context, stage.RECIPE, "dino")
    start = load(ViTModel, context.weights / "dino", add_pooling_layer=False) if context.go_on else None
    outcome = stage.run(recipe, context.work / "dino", start)
    model = outcome.module["student"].backbone
    publish(model, context.weights / "dino")
    published = load(type(model), context.weights / "dino", add_pooling_layer=False)
    _card(context, "dino", "dino", recipe, outcome, stage.figures(published))


def _clip(context: Context):
    from safetensors.torch import load_file

    model = models.clip()
    state = load_file(context.weights / "clip" / "model.safetensors")
    model.load_state_dict({name: value.float() for name, value in state.items()})
    return model


def clip(context: Context) -> None:
    import json

    from safetensors.torch import save_file

    from eval.world.stages import clip as stage
    from eval.world.tokenizer import WordTokenizer

    recipe = _recipe(context, stage.RECIPE, "clip")
    outcome = stage.run(recipe, context.work / "clip", _clip(context) if context.go_on else None)
    folder = context.weights / "clip"
    folder.mkdir(parents=True, exist_ok=True)
    half = {name: value.half() for name, value in outcome.module.state_dict().items()}
    save_file(half, folder / "model.safetensors")
    preprocessing = {"size": 64, "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic"}
    config = {"model_cfg": models.clip_config(), "preprocess_cfg": preprocessing}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=1) + "\n")
    WordTokenizer().save(folder / "vocab.json")
    _card(context, "clip", "clip", recipe, outcome, stage.figures(_clip(context).eval()))


def video(context: Context) -> None:
    from transformers import VideoMAEForVideoClassification

    from eval.world.stages import video as stage

    recipe = _recipe(context, stage.RECIPE, "videomae")
    start = load(VideoMAEForVideoClassification, context.weights / "videomae") if context.go_on else None
    outcome = stage.run(recipe, context.work / "video", start)
    publish(outcome.module, context.weights / "videomae")
    published = load(type(outcome.module), context.weights / "videomae")
    _card(context, "video", "videomae", recipe, outcome, stage.figures(published))


def style(context: Context) -> None:
    from transformers import ResNetForImageClassification

    from eval.world.stages import style as stage

    recipe = _recipe(context, stage.RECIPE, "style")
    start = load(ResNetForImageClassification, context.weights / "style") if context.go_on else None
    outcome = stage.run(recipe, context.work / "style", start)
    publish(outcome.module, context.weights / "style")
    published = load(type(outcome.module), context.weights / "style")
    _card(context, "style", "style", recipe, outcome, stage.figures(published))


def figures(context: Context) -> None:
    """Measures what needs several parts and writes it into the cards (`flow`, `unet`, `i2v_adapter`)."""
    from eval.world import figures as measure
    from eval.world.cards import add_figures, read_cards

    add_figures(context.weights / "flow", stage="figures", figures=measure.flow())
    add_figures(context.weights / "unet", figures=measure.text_to_video())
    add_figures(context.weights / "i2v_adapter", figures=measure.image_to_video())
    for name in read_cards(context.weights):
        add_figures(context.weights / name, figures={})
    for name, card in read_cards(context.weights).items():
        for figure, stated in card["figures"].items():
            value, bar = (stated["value"], stated["bar"]) if isinstance(stated, dict) else (stated, None)
            verdict = "" if bar is None else f"  bar {bar:g}: {'reached' if value >= bar else 'MISSED'}"
            print(f"{name:14s} {figure:32s} {value:8.3f}{verdict}")


def compare(context: Context) -> None:
    """The recipe's choices at equal numbers of steps; not part of the training."""
    from eval.world.compare import compare as run

    run(context)


def samples(context: Context) -> None:
    """Pictures and page of `docs/world.md`."""
    from eval.world.showcase import samples as run

    run(context)


STAGES: dict[str, Callable[[Context], None]] = {
    "vae": vae,
    "spatial": spatial,
    "motion": motion,
    "content": content,
    "i2v": i2v,
    "concat": concat,
    "lora": lora,
    "controlnet": controlnet,
    "dino": dino,
    "clip": clip,
    "video": video,
    "style": style,
    "figures": figures,
}
EXTRAS: dict[str, Callable[[Context], None]] = {"compare": compare, "samples": samples}
