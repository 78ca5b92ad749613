"""Tiny models of the real classes with random weights: for trying the interface, for examples and
tests, without a download. What they make is noise and says nothing about quality.
"""

from __future__ import annotations

import json
import string
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    DDIMScheduler,
    UNet2DConditionModel,
    UNetMotionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from i2v_adapter.adapter import I2VAdapter

WIDTH, TOKENS = 32, 12
_BLOCKS: dict[str, Any] = {
    "sample_size": 8,
    "block_out_channels": (WIDTH, 2 * WIDTH),
    "layers_per_block": 1,
    "norm_num_groups": 8,
}


def tiny_unet(seed: int = 0, **changes: Any) -> UNetMotionModel:
    """A motion UNet for latents (B, 4, F, h, w) of 2 to 16 frames; takes text of width 32.

    Args:
        seed: of the weights.
        changes: to its configuration.

    Examples:
        >>> unet = tiny_unet()
        >>> unet(torch.zeros(1, 4, 5, 8, 8), 0, torch.zeros(5, 7, 32)).sample.shape
        torch.Size([1, 4, 5, 8, 8])
    """
    config = {
        **_BLOCKS,
        "down_block_types": ("CrossAttnDownBlockMotion", "DownBlockMotion"),
        "up_block_types": ("UpBlockMotion", "CrossAttnUpBlockMotion"),
        "cross_attention_dim": WIDTH,
        "num_attention_heads": 2,
        "motion_num_attention_heads": 2,
        "motion_max_seq_length": 16,
        **changes,
    }
    with _seeded(seed):
        return UNetMotionModel(**config).eval()


def tiny_components(seed: int = 0) -> dict[str, Any]:
    """All parts of an `I2VAdapterPipeline`, adapter included, for small images such as 16 x 16."""
    with _seeded(seed):
        vae, text = _vae(), CLIPTextModel(_text_config()).eval()
    unet = tiny_unet(seed)
    return {
        "vae": vae,
        "text_encoder": text,
        "tokenizer": _tokenizer(),
        "unet": unet,
        "motion_adapter": None,
        "scheduler": _scheduler(),
        "i2v_adapter": I2VAdapter.from_unet(unet),
    }


def tiny_sdxl_components(seed: int = 0) -> dict[str, Any]:
    """All parts of an `I2VAdapterSDXLPipeline`, adapter included."""
    config = _text_config(projection_dim=WIDTH)
    with _seeded(seed):
        vae = _vae()
        texts = CLIPTextModel(config).eval(), CLIPTextModelWithProjection(config).eval()
    unet = tiny_unet(
        seed,
        cross_attention_dim=2 * WIDTH,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + WIDTH,
    )
    return {
        "vae": vae,
        "text_encoder": texts[0],
        "text_encoder_2": texts[1],
        "tokenizer": _tokenizer(),
        "tokenizer_2": _tokenizer(),
        "unet": unet,
        "motion_adapter": None,
        "scheduler": _scheduler(),
        "i2v_adapter": I2VAdapter.from_unet(unet),
    }


def tiny_controlnet(seed: int = 0) -> ControlNetModel:
    """A ControlNet for the UNet of :func:`tiny_components`."""
    with _seeded(seed):
        spatial = UNet2DConditionModel(
            **_BLOCKS,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=WIDTH,
            attention_head_dim=2,
        )
        net = ControlNetModel.from_unet(spatial, conditioning_embedding_out_channels=(4, 8))
    return net.eval()


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Weights from this seed; torch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        latent_channels=4,
    ).eval()


def _scheduler() -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="linear", clip_sample=False
    )


def _text_config(**changes: Any) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=54,
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        bos_token_id=52,
        eos_token_id=53,
        **changes,
    )


def _tokenizer() -> CLIPTokenizer:
    """Letters are its words."""
    words = [*string.ascii_lowercase, *(f"{letter}</w>" for letter in string.ascii_lowercase)]
    vocabulary = {
        word: number for number, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "vocab.json").write_text(json.dumps(vocabulary))
        (folder / "merges.txt").write_text("#version: 0.2\n")
        return CLIPTokenizer.from_pretrained(folder, model_max_length=TOKENS)
