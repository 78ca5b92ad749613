"""Stages of the recipe that train the encoders that measure clips; they share no weights, seeds or
draws with the generators.
"""

from __future__ import annotations

from eval.world import encoder_models
from eval.world.cards import load, publish
from eval.world_training.context import Context, asked, record


def dino(context: Context) -> None:
    from transformers import ViTModel

    from eval.world_training.stages import dino as stage

    recipe = asked(context, stage.RECIPE, "dino")
    start = (
        load(ViTModel, context.weights / "dino", add_pooling_layer=False) if context.go_on else None
    )
    outcome = stage.run(recipe, context.work / "dino", start)
    model = outcome.module["student"].backbone
    publish(model, context.weights / "dino")
    published = load(type(model), context.weights / "dino", add_pooling_layer=False)
    record(context, "dino", "dino", recipe, outcome, stage.figures(published))


def _clip(context: Context):
    from safetensors.torch import load_file

    model = encoder_models.clip()
    state = load_file(context.weights / "clip" / "model.safetensors")
    model.load_state_dict({name: value.float() for name, value in state.items()})
    return model


def clip(context: Context) -> None:
    import json

    from safetensors.torch import save_file

    from eval.world.tokenizer import WordTokenizer
    from eval.world_training.stages import clip as stage

    recipe = asked(context, stage.RECIPE, "clip")
    outcome = stage.run(recipe, context.work / "clip", _clip(context) if context.go_on else None)
    folder = context.weights / "clip"
    folder.mkdir(parents=True, exist_ok=True)
    half = {name: value.half() for name, value in outcome.module.state_dict().items()}
    save_file(half, folder / "model.safetensors")
    preprocessing = {"size": 64, "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic"}
    config = {"model_cfg": encoder_models.clip_config(), "preprocess_cfg": preprocessing}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=1) + "\n")
    WordTokenizer().save(folder / "vocab.json")
    record(context, "clip", "clip", recipe, outcome, stage.figures(_clip(context).eval()))


def video(context: Context) -> None:
    from transformers import VideoMAEForVideoClassification

    from eval.world_training.stages import video as stage

    recipe = asked(context, stage.RECIPE, "videomae")
    start = (
        load(VideoMAEForVideoClassification, context.weights / "videomae")
        if context.go_on
        else None
    )
    outcome = stage.run(recipe, context.work / "video", start)
    publish(outcome.module, context.weights / "videomae")
    published = load(type(outcome.module), context.weights / "videomae")
    record(context, "video", "videomae", recipe, outcome, stage.figures(published))


def style(context: Context) -> None:
    from transformers import ResNetForImageClassification

    from eval.world_training.stages import style as stage

    recipe = asked(context, stage.RECIPE, "style")
    start = load(ResNetForImageClassification, context.weights / "style") if context.go_on else None
    outcome = stage.run(recipe, context.work / "style", start)
    publish(outcome.module, context.weights / "style")
    published = load(type(outcome.module), context.weights / "style")
    record(context, "style", "style", recipe, outcome, stage.figures(published))
