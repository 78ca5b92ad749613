"""Tiny pipelines around a transformer."""

from __future__ import annotations

from pathlib import Path

import diffusers
import transformers

from tests.eval.methods.full_size.parts import (
    SIZE,
    WIDTH,
    Tiny,
    clip_text,
    clip_vision,
    letters,
    t5,
)


def cogvideox(folder: Path) -> Tiny:
    text_encoder, tokenizer = t5()
    transformer = diffusers.CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=8,
        out_channels=4,
        time_embed_dim=2,
        text_embed_dim=WIDTH,
        num_layers=1,
        sample_width=SIZE // 8,
        sample_height=SIZE // 8,
        sample_frames=9,
        max_text_seq_length=16,
        use_rotary_positional_embeddings=True,
        use_learned_positional_embeddings=True,
    )
    causal = diffusers.AutoencoderKLCogVideoX(
        block_out_channels=(8, 8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
    )
    diffusers.CogVideoXImageToVideoPipeline(
        tokenizer, text_encoder, causal, transformer, diffusers.CogVideoXDDIMScheduler()
    ).save_pretrained(folder / "model")
    return Tiny({"frames": 9, "guidance_scale": 3.0, "call": {"max_sequence_length": 16}}, 9)


def ltx(folder: Path) -> Tiny:
    text_encoder, tokenizer = t5()
    transformer = diffusers.LTXVideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        num_attention_heads=2,
        attention_head_dim=8,
        cross_attention_dim=16,
        num_layers=1,
        caption_channels=WIDTH,
    )
    causal = diffusers.AutoencoderKLLTXVideo(
        latent_channels=8,
        block_out_channels=(8,) * 4,
        decoder_block_out_channels=(8,) * 4,
        layers_per_block=(1,) * 5,
        decoder_layers_per_block=(1,) * 5,
        spatio_temporal_scaling=(True, True, False, False),
        decoder_spatio_temporal_scaling=(True, True, False, False),
        patch_size=1,
    )
    diffusers.LTXImageToVideoPipeline(
        diffusers.FlowMatchEulerDiscreteScheduler(), causal, text_encoder, tokenizer, transformer
    ).save_pretrained(folder / "model")
    return Tiny({"frames": 9, "guidance_scale": 3.0, "call": {"max_sequence_length": 16}}, 9)


def wan(folder: Path) -> Tiny:
    text_encoder, tokenizer = t5("UMT5")
    image_encoder, image_processor = clip_vision(4, 32, 8)
    transformer = diffusers.WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=36,
        out_channels=16,
        text_dim=WIDTH,
        freq_dim=16,
        ffn_dim=32,
        num_layers=1,
        rope_max_seq_len=32,
        image_dim=4,
    )
    causal = diffusers.AutoencoderKLWan(
        base_dim=3,
        z_dim=16,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
    )
    diffusers.WanImageToVideoPipeline(
        tokenizer,
        text_encoder,
        causal,
        diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0),
        image_processor,
        transformers.CLIPVisionModel(image_encoder.config),
        transformer,
    ).save_pretrained(folder / "model")
    return Tiny({"frames": 9, "guidance_scale": 3.0, "call": {"max_sequence_length": 16}}, 9)


def hunyuan_video(folder: Path) -> Tiny:
    vocabulary = {
        name: index
        for index, name in enumerate(["<unk>", "<s>", "</s>", "<pad>", "<image>", *letters()])
    }
    tokenizer = transformers.LlamaTokenizer(
        vocab=vocabulary, merges=[], pad_token="<pad>", padding_side="right"
    )
    _, image_processor = clip_vision(8, 224, 32)
    llava = transformers.LlavaConfig(
        text_config=transformers.LlamaConfig(
            vocab_size=64,
            hidden_size=16,
            intermediate_size=32,
            num_attention_heads=2,
            num_hidden_layers=3,
            pad_token_id=3,
            bos_token_id=1,
            eos_token_id=2,
        ),
        vision_config=transformers.CLIPVisionConfig(
            hidden_size=8,
            intermediate_size=16,
            num_attention_heads=2,
            num_hidden_layers=2,
            image_size=224,
            patch_size=32,
            projection_dim=8,
        ),
        pad_token_id=3,
        image_token_index=4,
    )
    text_encoder_2, tokenizer_2 = clip_text(8)
    transformer = diffusers.HunyuanVideoTransformer3DModel(
        in_channels=9,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=10,
        num_layers=1,
        num_single_layers=1,
        num_refiner_layers=1,
        patch_size=1,
        guidance_embeds=False,
        text_embed_dim=16,
        pooled_projection_dim=8,
        rope_axes_dim=(2, 4, 4),
        image_condition_type="latent_concat",
    )
    causal = diffusers.AutoencoderKLHunyuanVideo(
        latent_channels=4,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=("HunyuanVideoDownBlock3D",) * 4,
        up_block_types=("HunyuanVideoUpBlock3D",) * 4,
    )
    diffusers.HunyuanVideoImageToVideoPipeline(
        transformers.LlavaForConditionalGeneration(llava),
        tokenizer,
        transformer,
        causal,
        diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0),
        text_encoder_2,
        tokenizer_2,
        image_processor,
    ).save_pretrained(folder / "model")
    template = {
        "template": "{}",
        "crop_start": 0,
        "image_emb_len": 49,
        "image_emb_start": 5,
        "image_emb_end": 54,
    }
    return Tiny({"frames": 9, "call": {"max_sequence_length": 64, "prompt_template": template}}, 5)
