"""The trained base beside untrained parts: a widened UNet, a LoRA, a ControlNet, a few samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eval.methods import load_method
from eval.samples.glyph_world import GlyphWorldSettings, load
from eval.world.models import WEIGHTS

SHARED = (
    "vae",
    "text_encoder",
    "tokenizer",
    "unet",
    "scheduler",
    "ip_adapter",
    "image_encoder",
    "feature_extractor",
    "i2v_adapter",
)


@pytest.fixture(scope="session")
def samples():
    return load(GlyphWorldSettings(seen=1, unseen=1, seed=3))


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    """A weights folder with `concat`, `lora_zero`, `lora_strong`, `control_zero` and
    `control_strong` besides.
    """
    import torch
    from diffusers import ControlNetModel, StableDiffusionPipeline, UNetMotionModel
    from peft import LoraConfig

    from eval.world import cards, models
    from eval.world.concatenation import widen

    folder = tmp_path_factory.mktemp("weights")
    for part in SHARED:
        (folder / part).symlink_to(WEIGHTS / part)
    torch.manual_seed(0)
    unet = cards.load(UNetMotionModel, WEIGHTS / "unet")
    cards.publish(widen(unet), folder / "concat")

    spatial = models.image_base(unet)
    controlnet = ControlNetModel.from_unet(spatial)
    cards.publish(controlnet, folder / "control_zero")
    for block in (*controlnet.controlnet_down_blocks, controlnet.controlnet_mid_block):
        torch.nn.init.normal_(block.weight, std=0.05)
    torch.nn.init.normal_(controlnet.controlnet_cond_embedding.conv_out.weight, std=0.5)
    cards.publish(controlnet, folder / "control_strong")

    targets = ["to_q", "to_k", "to_v", "to_out.0"]
    spatial.add_adapter(
        LoraConfig(r=4, lora_alpha=4, init_lora_weights="gaussian", target_modules=targets)
    )
    added = {
        name.replace(".default.", "."): value.detach()
        for name, value in spatial.named_parameters()
        if ".lora_" in name
    }
    StableDiffusionPipeline.save_lora_weights(folder / "lora_zero", unet_lora_layers=added)
    strong = {
        name: torch.randn_like(value) * 0.2 if ".lora_B." in name else value
        for name, value in added.items()
    }
    StableDiffusionPipeline.save_lora_weights(folder / "lora_strong", unet_lora_layers=strong)
    return folder


@pytest.fixture(scope="session")
def make(weights):
    """(name, settings) -> a registered method of the glyph world on `weights`, at two steps and
    three frames.
    """

    def build(name: str, **settings: Any):
        method_class: Any = load_method(name)
        there = type(method_class.__name__, (method_class,), {"weights": weights})
        return there(method_class.Settings(**{"steps": 2, "frames": 3, **settings}))

    return build
