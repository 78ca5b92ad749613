"""Full-size models with random weights, saved once in the hub's layout: an SD 1.5 base with all its
adapters, and the encoders of the metrics. Time and memory do not depend on the weights.

`tiny` gives the same kinds of model, small enough for a CPU.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

Say = Callable[[str], None]


def save_base(folder: Path, device: str, dtype: str, *, tiny: bool, say: Say) -> dict[str, Any]:
    """Writes ``model``, ``motion``, ``adapter`` and ``content`` into `folder`, unless they are
    there, made on `device` and saved in `dtype`.

    Returns:
        What a suite's ``base:`` states of them.
    """
    from diffusers import AutoencoderKL, DDIMScheduler, MotionAdapter, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    from eval.world.tokenizer import build_clip_tokenizer

    base = {
        "model": str(folder / "model"),
        "motion_adapter": str(folder / "motion"),
        "i2v_adapter": str(folder / "adapter"),
        "content_adapter": {"model": str(folder / "content"), "weight_name": "ip.safetensors"},
        "dtype": dtype,
        "vae_slicing": True,
    }
    if (folder / "done").exists():
        return base
    widths = (32, 64) if tiny else (320, 640, 1280, 1280)
    text_width = 32 if tiny else 768
    small: dict[str, Any] = {"layers_per_block": 1, "norm_num_groups": 8, "attention_head_dim": 2}
    blocks = {
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    }
    unet_config = {
        "sample_size": 64,
        "block_out_channels": widths,
        "cross_attention_dim": text_width,
        **(small | blocks if tiny else {"attention_head_dim": 8}),
    }
    vae_widths = (8, 8) if tiny else (128, 256, 512, 512)
    vae_config = {
        "block_out_channels": vae_widths,
        "layers_per_block": 2,
        "norm_num_groups": 2 if tiny else 32,
        "down_block_types": ("DownEncoderBlock2D",) * len(vae_widths),
        "up_block_types": ("UpDecoderBlock2D",) * len(vae_widths),
        "sample_size": 512,
    }
    text_config = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=text_width,
        intermediate_size=4 * text_width,
        num_hidden_layers=2 if tiny else 12,
        num_attention_heads=2 if tiny else 12,
        projection_dim=text_width,
    )
    motion_config: dict[str, Any] = {
        "block_out_channels": widths,
        "use_motion_mid_block": False,
        **({"motion_layers_per_block": 1, "motion_norm_num_groups": 8} if tiny else {}),
        "motion_num_attention_heads": 2 if tiny else 8,
    }
    model = folder / "model"
    _save(lambda: UNet2DConditionModel(**unet_config), model / "unet", device, dtype)
    _save(lambda: AutoencoderKL(**vae_config), model / "vae", device, dtype)
    _save(lambda: CLIPTextModel(text_config), model / "text_encoder", device, dtype)
    build_clip_tokenizer().save_pretrained(model / "tokenizer")
    DDIMScheduler(
        beta_schedule="linear",
        clip_sample=False,
        steps_offset=1,
        beta_start=0.00085,
        beta_end=0.012,
    ).save_pretrained(model / "scheduler")
    parts = {
        "vae": ["diffusers", "AutoencoderKL"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "scheduler": ["diffusers", "DDIMScheduler"],
    }
    index = {"_class_name": "StableDiffusionPipeline", **parts}
    (model / "model_index.json").write_text(json.dumps(index, indent=1))
    say("base saved")
    _save(lambda: MotionAdapter(**motion_config), folder / "motion", device, dtype)
    with torch.device("meta"):
        unet = UNet2DConditionModel(**unet_config)
    _save_adapter(unet, folder / "adapter", device, dtype)
    _save_content(unet, folder / "content", device, dtype, tiny=tiny)
    say("adapters saved")
    (folder / "done").touch()
    return base


def _save(make: Callable[[], nn.Module], folder: Path, device: str, dtype: str) -> None:
    with torch.device(device):
        model = make()
    nn.Module.to(model, getattr(torch, dtype)).save_pretrained(folder)


def _save_adapter(unet: Any, folder: Path, device: str, dtype: str) -> None:
    from i2v_adapter import I2VAdapter
    from i2v_adapter.unet_layers import layer_shapes

    def make() -> nn.Module:
        adapter = I2VAdapter(layer_shapes(unet))
        for parameter in adapter.parameters():  # as if trained: the output is not zero
            nn.init.normal_(parameter, std=0.02)
        return adapter

    _save(make, folder, device, dtype)


def _save_content(unet: Any, folder: Path, device: str, dtype: str, *, tiny: bool) -> None:
    from safetensors.torch import save_file
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    width, cross = 32 if tiny else 1024, unet.config.cross_attention_dim
    config = CLIPVisionConfig(
        hidden_size=32 if tiny else 1280,
        intermediate_size=64 if tiny else 5120,
        num_hidden_layers=2 if tiny else 32,
        num_attention_heads=2 if tiny else 16,
        patch_size=14,
        image_size=224,
        projection_dim=width,
    )
    make: Callable[[], nn.Module] = lambda: CLIPVisionModelWithProjection(config)  # noqa: E731
    _save(make, folder / "image_encoder", device, dtype)
    options: dict[str, Any] = {"device": device, "dtype": getattr(torch, dtype)}
    state = {
        "image_proj.proj.weight": torch.randn(4 * cross, width, **options) * 0.02,
        "image_proj.proj.bias": torch.zeros(4 * cross, **options),
        "image_proj.norm.weight": torch.ones(cross, **options),
        "image_proj.norm.bias": torch.zeros(cross, **options),
    }
    layers = [layer for name, layer in unet.named_modules() if name.endswith("attn2")]
    for index, layer in enumerate(layers):
        for part in ("to_k_ip", "to_v_ip"):
            weight = torch.randn(layer.inner_dim, cross, **options) * 0.02
            state[f"ip_adapter.{2 * index + 1}.{part}.weight"] = weight
    save_file(state, folder / "ip.safetensors")


def save_encoders(folder: Path, device: str, *, tiny: bool, say: Say) -> list[str]:
    """Writes a folder for each encoder of photographs, for `I2V_EVAL_WEIGHTS`. Returns their
    ids.
    """
    made = []
    for id, save in _encoders(tiny).items():
        if not (folder / id / "done").exists():
            (folder / id).mkdir(parents=True, exist_ok=True)
            with torch.device(device):
                save(folder / id)
            (folder / id / "done").touch()
        made.append(id)
    say(f"{len(made)} encoders saved")
    return made


def _encoders(tiny: bool) -> dict[str, Callable[[Path], None]]:
    import transformers as t
    from torchvision import models
    from torchvision.models import optical_flow

    def vit(width: int, heads: int) -> dict[str, int]:
        width, heads, layers = (32, 2, 2) if tiny else (width, heads, 12)
        return {
            "hidden_size": width,
            "num_attention_heads": heads,
            "num_hidden_layers": layers,
            "intermediate_size": 4 * width,
        }

    def dino(width: int, heads: int) -> Callable[[Path], None]:
        return lambda folder: t.ViTModel(
            t.ViTConfig(**vit(width, heads)), add_pooling_layer=False
        ).save_pretrained(folder)

    def dino2(width: int, heads: int) -> Callable[[Path], None]:
        config = {**vit(width, heads), "image_size": 518, "patch_size": 14}
        return lambda folder: t.Dinov2Model(t.Dinov2Config(**config)).save_pretrained(folder)

    def dino3(width: int, heads: int) -> Callable[[Path], None]:
        config = {**vit(width, heads), "num_register_tokens": 4}
        return lambda folder: t.DINOv3ViTModel(t.DINOv3ViTConfig(**config)).save_pretrained(folder)

    def videomae(folder: Path) -> None:
        config = t.VideoMAEConfig(**vit(768, 12), num_labels=174)
        t.VideoMAEForVideoClassification(config).save_pretrained(folder)

    def state(make: Callable[[], Any], prefix: str = "") -> Callable[[Path], None]:
        def save(folder: Path) -> None:
            from safetensors.torch import save_file

            tensors = {
                name: value.contiguous()
                for name, value in make().state_dict().items()
                if name.startswith(prefix)
            }
            save_file(tensors, folder / "model.safetensors")

        return save

    return {
        "dino_vits16": dino(384, 6),
        "dino_vitb16": dino(768, 12),
        "dinov2_vits14": dino2(384, 6),
        "dinov2_vitb14": dino2(768, 12),
        "dinov3_vits16": dino3(384, 6),
        "dinov3_vitb16": dino3(768, 12),
        "clip_vitb32_openai": lambda folder: _save_clip(folder, tiny=tiny),
        "raft_large": state(optical_flow.raft_large),
        "raft_small": state(optical_flow.raft_small),
        "videomae": videomae,
        "lpips_alex": state(models.alexnet, "features."),
        "lpips_vgg": state(models.vgg16, "features."),
    }


def _save_clip(folder: Path, *, tiny: bool) -> None:
    import open_clip
    from safetensors.torch import save_file

    config = open_clip.get_model_config("ViT-B-32-quickgelu")
    if tiny:
        config["embed_dim"] = 32
        config["vision_cfg"] |= {"layers": 2, "width": 64}
        config["text_cfg"] |= {"layers": 2, "width": 64, "heads": 2}
    mean = [0.48145466, 0.4578275, 0.40821073]
    std = [0.26862954, 0.26130258, 0.27577711]
    document = {"model_cfg": config, "preprocess_cfg": {"mean": mean, "std": std}}
    (folder / "open_clip_config.json").write_text(json.dumps(document))
    tensors = {
        name: value.contiguous() for name, value in open_clip.CLIP(**config).state_dict().items()
    }
    save_file(tensors, folder / "open_clip_model.safetensors")
