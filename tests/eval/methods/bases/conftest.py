"""Tiny random SD 1.5 and SDXL bases on disk, in the hub's layout, with everything that can be added
to one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save_file

from eval.samples import Sample
from eval.world.concatenation import widen
from eval.world.tokenizer import build_clip_tokenizer
from i2v_adapter import I2VAdapter

WIDTH = 32
SECOND = 48
"""Width of SDXL's second text encoder. diffusers tells the two in one file apart by it."""
UNET: dict[str, Any] = {
    "sample_size": 8,
    "block_out_channels": (32, 64),
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "cross_attention_dim": WIDTH,
    "attention_head_dim": 2,
}
BLOCKS = {
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}
XL = {
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "cross_attention_dim": WIDTH + SECOND,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 6 * 8 + SECOND,
}


def text(kind: Any, width: int = WIDTH) -> Any:
    tokenizer = build_clip_tokenizer()
    config = transformers.CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=77,
        projection_dim=width,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return kind(config), tokenizer


def vae() -> Any:
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 8),
        norm_num_groups=2,
        latent_channels=4,
        sample_size=32,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    )


def ddim() -> Any:
    return diffusers.DDIMScheduler(
        beta_schedule="linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        steps_offset=1,
    )


def motion_adapter(folder: Path) -> Any:
    adapter = diffusers.MotionAdapter(
        block_out_channels=(32, 64),
        motion_layers_per_block=1,
        motion_norm_num_groups=8,
        motion_num_attention_heads=2,
        use_motion_mid_block=False,
    )
    with torch.no_grad():  # they start at zero: make frames speak to each other
        for name, parameter in adapter.named_parameters():
            if "proj_out" in name:
                parameter.normal_(std=0.1)
    adapter.save_pretrained(folder)
    return adapter


def adapter_layouts(unet: Any, folder: Path) -> None:
    """The same random adapter three times: ours, official and unofficial."""
    adapter = I2VAdapter.from_unet(unet)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    adapter.save_pretrained(folder / "ours")
    tensors = {name: value.detach().clone() for name, value in adapter.state_dict().items()}
    (folder / "official").mkdir()
    torch.save({"state_dict": tensors}, folder / "official" / "i2v_module.pth")
    names = {"to_q_ff.weight": "to_q.weight", "to_out_ff.weight": "to_out.0.weight"}
    names["to_out_ff.bias"] = "to_out.0.bias"
    unofficial = {}
    for name, value in tensors.items():
        block, _, tensor = name.partition(".attn1.")
        unofficial[f"{block}.i2v_adapter.{names[tensor]}"] = value
    (folder / "unofficial").mkdir()
    save_file(unofficial, folder / "unofficial" / "adapter.safetensors")


def ip_adapter(unet: Any, folder: Path) -> None:
    """A random IP-Adapter with its image encoder, in the published layout."""
    config = transformers.CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=WIDTH,
        image_size=32,
        patch_size=8,
    )
    transformers.CLIPVisionModelWithProjection(config).save_pretrained(folder / "image_encoder")
    cross = unet.config.cross_attention_dim
    state = {
        "image_proj.proj.weight": torch.randn(4 * cross, WIDTH) * 0.1,
        "image_proj.proj.bias": torch.zeros(4 * cross),
        "image_proj.norm.weight": torch.ones(cross),
        "image_proj.norm.bias": torch.zeros(cross),
    }
    # diffusers numbers the cross-attentions 1, 3, ... in the order of the UNet's processors.
    key = 1
    for name, layer in unet.named_modules():
        if name.endswith("attn2") and "motion_modules" not in name:
            for part in ("to_k_ip", "to_v_ip"):
                weight = torch.randn(layer.to_q.weight.shape[0], cross) * 0.3
                state[f"ip_adapter.{key}.{part}.weight"] = weight
            key += 2
    save_file(state, folder / "ip.safetensors")


def lora(unet: Any, folder: Path, kind: Any) -> None:
    from peft import LoraConfig

    targets = ["to_q", "to_k", "to_v", "to_out.0"]
    unet.add_adapter(
        LoraConfig(r=2, lora_alpha=2, init_lora_weights="gaussian", target_modules=targets)
    )
    added = {
        name.replace(".default.", "."): torch.randn_like(value) * 0.2
        for name, value in unet.named_parameters()
        if ".lora_" in name
    }
    kind.save_lora_weights(folder, unet_lora_layers=added)
    unet.delete_adapters("default")


def controlnet(unet: Any, folder: Path) -> None:
    net = diffusers.ControlNetModel.from_unet(
        unet, conditioning_embedding_out_channels=(16, 32), conditioning_channels=3
    )
    for block in (*net.controlnet_down_blocks, net.controlnet_mid_block):
        torch.nn.init.normal_(block.weight, std=0.1)
    torch.nn.init.normal_(net.controlnet_cond_embedding.conv_out.weight, std=0.5)
    net.save_pretrained(folder)


def build(folder: Path, *, xl: bool) -> None:
    torch.manual_seed(4 if xl else 3)
    if xl:
        unet = diffusers.UNet2DConditionModel(**{**UNET, **XL})
        one, tokenizer = text(transformers.CLIPTextModel)
        two, tokenizer_2 = text(transformers.CLIPTextModelWithProjection, SECOND)
        pipeline: Any = diffusers.StableDiffusionXLPipeline(
            vae(), one, two, tokenizer, tokenizer_2, unet, ddim()
        )
    else:
        unet = diffusers.UNet2DConditionModel(**UNET, **BLOCKS)
        encoder, tokenizer = text(transformers.CLIPTextModel)
        pipeline = diffusers.StableDiffusionPipeline(
            vae(), encoder, tokenizer, unet, ddim(), None, None, requires_safety_checker=False
        )
    pipeline.save_pretrained(folder / "model")
    motion = motion_adapter(folder / "motion")
    moving = diffusers.UNetMotionModel.from_unet2d(unet, motion)
    adapter_layouts(moving, folder)
    ip_adapter(moving, folder / "content")
    if not xl:
        controlnet(unet, folder / "control-1")
        controlnet(unet, folder / "control-2")
    lora(unet, folder / "lora", type(pipeline))


@pytest.fixture(scope="session")
def sd15(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with ``model``, ``motion``, ``ours``, ``official``, ``unofficial``, ``content``,
    ``lora``, ``control-1`` and ``control-2``."""
    folder = tmp_path_factory.mktemp("sd15")
    build(folder, xl=False)
    return folder


@pytest.fixture(scope="session")
def widened(sd15: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``plain``: the base's motion UNet with image channels of zero; ``seeing``: of noise."""
    folder = tmp_path_factory.mktemp("widened")
    unet = diffusers.UNetMotionModel.from_unet2d(
        diffusers.UNet2DConditionModel.from_pretrained(sd15 / "model", subfolder="unet"),
        diffusers.MotionAdapter.from_pretrained(sd15 / "motion"),
    )
    wide = widen(unet)
    wide.save_pretrained(folder / "plain")
    channels = unet.config.in_channels
    with torch.no_grad():
        wide.conv_in.weight[:, channels:].normal_(std=0.2)
    wide.save_pretrained(folder / "seeing")
    return folder


@pytest.fixture(scope="session")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `sd15`, without ControlNets."""
    folder = tmp_path_factory.mktemp("sdxl")
    build(folder, xl=True)
    return folder


@pytest.fixture
def base(sd15: Path) -> Callable[..., dict[str, Any]]:
    """(changes) -> the YAML of a base on `sd15` with motion, I2V and content adapter."""

    def make(root: Path = sd15, **changes: Any) -> dict[str, Any]:
        content = {"model": str(root / "content"), "weight_name": "ip.safetensors"}
        found = {
            "model": str(root / "model"),
            "motion_adapter": str(root / "motion"),
            "i2v_adapter": str(root / "ours"),
            "content_adapter": content,
            "settings": {"steps": 2, "frames": 3},
        }
        return {key: value for key, value in (found | changes).items() if value is not None}

    return make


@pytest.fixture(scope="session")
def photographs() -> list[Sample]:
    """Smooth random pictures of 32 x 48 px."""
    rng = np.random.default_rng(5)
    found = []
    for name in ("cat", "coffee"):
        coarse = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)
        image = np.kron(coarse, np.ones((8, 8, 1), np.uint8)).astype(np.uint8)
        found.append(Sample(name, image, f"a {name} that moves"))
    return found


@pytest.fixture
def write_images() -> Callable[[Path, list[Sample]], Path]:
    """(folder, samples) -> a manifest of them in that folder."""

    def write(folder: Path, samples: list[Sample]) -> Path:
        from PIL import Image

        rows = []
        for sample in samples:
            Image.fromarray(sample.image).save(folder / f"{sample.id}.png")
            rows.append({"id": sample.id, "image": f"{sample.id}.png", "prompt": sample.prompt})
        path = folder / "samples.jsonl"
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        return path

    return write
