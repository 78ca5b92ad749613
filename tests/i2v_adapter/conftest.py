"""Tiny random models of the real classes, small enough for milliseconds."""

import copy
import json
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    DDIMScheduler,
    MotionAdapter,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
    UNetMotionModel,
)
from PIL import Image
from torch import Tensor
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from i2v_adapter import I2VAdapter, I2VAdapterPipeline

WIDTH = 32
UNET = {
    "sample_size": 8,
    "block_out_channels": (32, 64),
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "cross_attention_dim": 32,
    "attention_head_dim": 2,
}
SCHEDULE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "linear",
    "clip_sample": False,
}


def make_unet(seed: int = 0, **changes: Any) -> UNetMotionModel:
    torch.manual_seed(seed)
    config: dict[str, Any] = {
        "sample_size": 8,
        "block_out_channels": (WIDTH, 2 * WIDTH),
        "down_block_types": ("CrossAttnDownBlockMotion", "DownBlockMotion"),
        "up_block_types": ("UpBlockMotion", "CrossAttnUpBlockMotion"),
        "layers_per_block": 1,
        "cross_attention_dim": WIDTH,
        "norm_num_groups": 8,
        "num_attention_heads": 2,
        "motion_num_attention_heads": 2,
        "motion_max_seq_length": 16,
    }
    unet = UNetMotionModel(**{**config, **changes}).eval()
    with torch.no_grad():
        # Motion modules start at zero: make frames speak to each other.
        for name, parameter in unet.named_parameters():
            if "motion_modules" in name and "proj_out" in name:
                parameter.normal_(std=0.1)
    return unet


def disturb(adapter: I2VAdapter, seed: int = 1, std: float = 0.1) -> I2VAdapter:
    """Weights that do something, as after training."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in adapter.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * std
            parameter.add_(noise.to(parameter.dtype))
    return adapter


@pytest.fixture
def unet() -> UNetMotionModel:
    return make_unet()


@pytest.fixture
def unet_factory() -> Callable[..., UNetMotionModel]:
    return make_unet


@pytest.fixture
def trained() -> Callable[..., I2VAdapter]:
    """Adapter for a UNet, with random weights in place of zeros."""
    return lambda unet, **how: disturb(I2VAdapter.from_unet(unet), **how)


@pytest.fixture
def attached(unet: UNetMotionModel, trained: Callable[..., I2VAdapter]) -> I2VAdapter:
    return trained(unet).attach(unet)


@pytest.fixture
def inputs() -> dict[str, Any]:
    """Arguments of the UNet: two videos of five frames."""
    generator = torch.Generator().manual_seed(2)
    return {
        "sample": torch.randn(2, 4, 5, 8, 8, generator=generator),
        "timestep": 300,
        "encoder_hidden_states": torch.randn(10, 7, WIDTH, generator=generator),
    }


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    tokens = [*string.ascii_lowercase, *(f"{letter}</w>" for letter in string.ascii_lowercase)]
    vocabulary = {token: i for i, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return folder


@pytest.fixture
def components(shared_components: dict[str, Any]) -> dict[str, Any]:
    """Everything the pipeline needs, with a trained-like adapter; 16x16 images, 8x8 latents."""
    return {
        name: copy.deepcopy(value) if isinstance(value, torch.nn.Module) else value
        for name, value in shared_components.items()
    }


@pytest.fixture(scope="session")
def shared_components(tokenizer_folder: Path) -> dict[str, Any]:
    torch.manual_seed(3)
    unet = make_unet()
    text_config = CLIPTextConfig(
        vocab_size=54,
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=12,
        bos_token_id=52,
        eos_token_id=53,
    )
    vision_config = CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=16,
        patch_size=8,
        projection_dim=WIDTH,
    )
    return {
        "vae": AutoencoderKL(
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            norm_num_groups=4,
            latent_channels=4,
        ).eval(),
        "text_encoder": CLIPTextModel(text_config).eval(),
        "tokenizer": CLIPTokenizer.from_pretrained(tokenizer_folder, model_max_length=12),
        "unet": unet,
        "motion_adapter": None,
        "scheduler": DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="linear", clip_sample=False
        ),
        "i2v_adapter": disturb(I2VAdapter.from_unet(unet)),
        "image_encoder": CLIPVisionModelWithProjection(vision_config).eval(),
        "feature_extractor": CLIPImageProcessor(size=16, crop_size=16),
    }


@pytest.fixture
def pipeline(components: dict[str, Any]) -> I2VAdapterPipeline:
    pipe = I2VAdapterPipeline(**components)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture
def pictures() -> list[Image.Image]:
    """Two different 16x16 RGB images."""
    generator = torch.Generator().manual_seed(4)
    pixels = torch.randint(0, 256, (2, 16, 16, 3), generator=generator, dtype=torch.uint8).numpy()
    return [Image.fromarray(image) for image in pixels]


@pytest.fixture(scope="session")
def content_adapter() -> Callable[[UNetMotionModel], dict[str, dict[str, Tensor]]]:
    """Random weights in the layout of IP-Adapter Plus for a UNet: 16 image tokens, four resampler
    blocks.
    """

    def make(unet: UNetMotionModel) -> dict[str, dict[str, Tensor]]:
        generator = torch.Generator().manual_seed(5)

        def weight(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator) * 0.2

        width = 64
        image_proj = {"latents": weight(1, 16, width)}
        image_proj |= {"proj_in.weight": weight(width, WIDTH), "proj_in.bias": weight(width)}
        image_proj |= {"proj_out.weight": weight(WIDTH, width), "proj_out.bias": weight(WIDTH)}
        image_proj |= {"norm_out.weight": weight(WIDTH) + 1, "norm_out.bias": weight(WIDTH)}
        for block in range(4):
            for norm in ("0.norm1", "0.norm2", "1.0"):
                image_proj[f"layers.{block}.{norm}.weight"] = weight(width) + 1
                image_proj[f"layers.{block}.{norm}.bias"] = weight(width)
            image_proj[f"layers.{block}.0.to_q.weight"] = weight(width, width)
            image_proj[f"layers.{block}.0.to_kv.weight"] = weight(2 * width, width)
            image_proj[f"layers.{block}.0.to_out.weight"] = weight(width, width)
            image_proj[f"layers.{block}.1.1.weight"] = weight(4 * width, width)
            image_proj[f"layers.{block}.1.3.weight"] = weight(width, 4 * width)
        ip_adapter = {}
        text_layers = [
            name
            for name in unet.attn_processors
            if "attn2" in name and "motion_modules" not in name
        ]
        for index, name in enumerate(text_layers):
            hidden = unet.get_submodule(name.removesuffix(".processor")).inner_dim
            ip_adapter[f"{2 * index + 1}.to_k_ip.weight"] = weight(hidden, WIDTH)
            ip_adapter[f"{2 * index + 1}.to_v_ip.weight"] = weight(hidden, WIDTH)
        return {"image_proj": image_proj, "ip_adapter": ip_adapter}

    return make


@pytest.fixture
def load_content_adapter(
    content_adapter: Callable[[UNetMotionModel], dict[str, dict[str, Tensor]]],
) -> Callable[[I2VAdapterPipeline], None]:
    def load(pipe: I2VAdapterPipeline) -> None:
        pipe.load_ip_adapter(content_adapter(pipe.unet), subfolder="", weight_name="")

    return load


@pytest.fixture(scope="session")
def folder(shared_components: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """sd15/, sdxl/, motion/, controlnet-a/ and controlnet-b/: random, as somebody would download
    them.
    """
    root, parts = tmp_path_factory.mktemp("hub"), shared_components
    torch.manual_seed(6)
    common = {name: parts[name] for name in ("vae", "text_encoder", "tokenizer")}
    common["scheduler"] = DDIMScheduler(**SCHEDULE)
    unet = UNet2DConditionModel(**UNET)
    StableDiffusionPipeline(
        **common,
        unet=unet,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(root / "sd15")
    motion = MotionAdapter(
        block_out_channels=(32, 64),
        motion_layers_per_block=1,
        motion_num_attention_heads=2,
        motion_norm_num_groups=8,
        motion_max_seq_length=16,
    )
    for name, parameter in motion.named_parameters():
        if "proj_out" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    motion.save_pretrained(root / "motion")
    for name in "ab":
        net = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(4, 8))
        for key, parameter in net.named_parameters():
            if "controlnet_" in key:
                torch.nn.init.normal_(parameter, std=0.2)
        net.save_pretrained(root / f"controlnet-{name}")

    config = CLIPTextConfig(**{**parts["text_encoder"].config.to_dict(), "projection_dim": 32})
    large = UNet2DConditionModel(
        **{
            **UNET,
            "cross_attention_dim": 64,
            "transformer_layers_per_block": (2, 3),
            "use_linear_projection": True,
        },
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 32,
    )
    StableDiffusionXLPipeline(
        vae=common["vae"],
        text_encoder=CLIPTextModel(config),
        text_encoder_2=CLIPTextModelWithProjection(config),
        tokenizer=common["tokenizer"],
        tokenizer_2=common["tokenizer"],
        unet=large,
        scheduler=common["scheduler"],
        add_watermarker=False,
    ).save_pretrained(root / "sdxl")
    return root
