"""What the tiny pipelines share: encoders of text and images, VAE, scheduler."""

from __future__ import annotations

from typing import Any, NamedTuple

import diffusers
import transformers

from eval.world.tokenizer import build_clip_tokenizer

SIZE, WIDTH = 32, 32  # px of every image; of every text encoder


class Tiny(NamedTuple):
    """Settings that go with the model, and the number of frames that come out."""

    settings: dict[str, Any]
    frames: int


def clip_text(width: int = WIDTH):
    tokenizer = build_clip_tokenizer()
    config = transformers.CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=77,
        projection_dim=width,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return transformers.CLIPTextModel(config), tokenizer


def clip_vision(width: int, side: int, patch: int):
    config = transformers.CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=width,
        image_size=side,
        patch_size=patch,
    )
    processor = transformers.CLIPImageProcessor(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    )
    return transformers.CLIPVisionModelWithProjection(config), processor


def letters() -> list[str]:
    return list("▁abcdefghijklmnopqrstuvwxyz")


def t5(kind: str = "T5"):
    vocabulary = [
        ("<pad>", 0.0),
        ("</s>", 0.0),
        ("<unk>", 0.0),
        *((letter, -2.0) for letter in letters()),
    ]
    tokenizer = transformers.T5Tokenizer(vocab=vocabulary, extra_ids=0)
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=len(tokenizer),
        d_model=WIDTH,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_heads=2,
        decoder_start_token_id=0,
    )
    return getattr(transformers, f"{kind}EncoderModel")(config), tokenizer


def vae(**options: Any):
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 8),
        norm_num_groups=2,
        latent_channels=4,
        sample_size=SIZE,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        **options,
    )


def ddim():
    return diffusers.DDIMScheduler(
        beta_schedule="linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        steps_offset=1,
    )
