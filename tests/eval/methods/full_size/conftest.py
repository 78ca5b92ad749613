"""Tiny random image-to-video pipelines in the hub's layout, with tokenizers made here: nothing is
downloaded.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import diffusers
import pytest
import torch
import transformers

from eval.methods.diffusers_pipeline import DiffusersMethod, DiffusersSettings
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


def i2vgen_xl(folder: Path) -> Tiny:
    text_encoder, tokenizer = clip_text()
    image_encoder, feature_extractor = clip_vision(WIDTH, 32, 8)
    unet = diffusers.I2VGenXLUNet(
        block_out_channels=(8, 8),
        layers_per_block=1,
        sample_size=SIZE // 2,
        cross_attention_dim=WIDTH,
        num_attention_heads=None,
        attention_head_dim=4,
        norm_num_groups=2,
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
    )
    diffusers.I2VGenXLPipeline(
        vae(), text_encoder, tokenizer, image_encoder, feature_extractor, unet, ddim()
    ).save_pretrained(folder / "model")
    return Tiny({"frames": 4, "guidance_scale": 3.0}, 4)


def stable_video_diffusion(folder: Path) -> Tiny:
    image_encoder, feature_extractor = clip_vision(WIDTH, 224, 32)
    unet = diffusers.UNetSpatioTemporalConditionModel(
        block_out_channels=(32, 32),
        layers_per_block=1,
        sample_size=SIZE // 2,
        cross_attention_dim=WIDTH,
        num_attention_heads=2,
        projection_class_embeddings_input_dim=24,
        addition_time_embed_dim=8,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
    )
    temporal = diffusers.AutoencoderKLTemporalDecoder(
        block_out_channels=(32, 32), down_block_types=("DownEncoderBlock2D",) * 2, latent_channels=4
    )
    scheduler = diffusers.EulerDiscreteScheduler(
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_type="continuous",
        use_karras_sigmas=True,
        sigma_min=0.002,
        sigma_max=700.0,
    )
    diffusers.StableVideoDiffusionPipeline(
        temporal, image_encoder, unet, scheduler, feature_extractor
    ).save_pretrained(folder / "model")
    return Tiny({"frames": 3, "guidance_scale": 2.5, "call": {"motion_bucket_id": 100}}, 3)


def stable_diffusion(folder: Path, motion_channels: int | None) -> Tiny:
    """An SD-like model, and a motion adapter in a folder of its own."""
    text_encoder, tokenizer = clip_text()
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(8, 8),
        layers_per_block=1,
        sample_size=SIZE // 2,
        cross_attention_dim=WIDTH,
        norm_num_groups=2,
        attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )
    diffusers.StableDiffusionPipeline(
        vae(), text_encoder, tokenizer, unet, ddim(), None, None, requires_safety_checker=False
    ).save_pretrained(folder / "model")
    adapter = diffusers.MotionAdapter(
        block_out_channels=(8, 8),
        motion_layers_per_block=1,
        motion_norm_num_groups=2,
        motion_num_attention_heads=2,
        conv_in_channels=motion_channels,
    )
    adapter.save_pretrained(folder / "motion")
    return Tiny(
        {
            "frames": 3,
            "guidance_scale": 3.0,
            "components": {"motion_adapter": str(folder / "motion")},
        },
        3,
    )


def sparse_ctrl(folder: Path) -> Tiny:
    tiny = stable_diffusion(folder, None)
    controlnet = diffusers.SparseControlNetModel(
        block_out_channels=(8, 8),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        norm_num_groups=2,
        attention_head_dim=4,
        motion_num_attention_heads=2,
        down_block_types=("CrossAttnDownBlockMotion", "DownBlockMotion"),
        conditioning_embedding_out_channels=(8, 8),
    )
    for zero in (controlnet.controlnet_cond_embedding, controlnet.controlnet_mid_block):
        torch.nn.init.normal_(zero.weight, std=0.5)
    controlnet.save_pretrained(folder / "controlnet")
    tiny.settings["components"]["controlnet"] = str(folder / "controlnet")
    return tiny


def pia(folder: Path) -> Tiny:
    return stable_diffusion(folder, 9)


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


BUILDERS: dict[str, Callable[[Path], Tiny]] = {
    "I2VGenXLPipeline": i2vgen_xl,
    "StableVideoDiffusionPipeline": stable_video_diffusion,
    "AnimateDiffSparseControlNetPipeline": sparse_ctrl,
    "PIAPipeline": pia,
    "CogVideoXImageToVideoPipeline": cogvideox,
    "LTXImageToVideoPipeline": ltx,
    "WanImageToVideoPipeline": wan,
    "HunyuanVideoImageToVideoPipeline": hunyuan_video,
}


class Built(NamedTuple):
    """A tiny pipeline on disk, the settings for it and the number of frames that come out."""

    folder: Path
    settings: dict[str, Any]
    frames: int

    def method(self, **changes: Any) -> DiffusersMethod:
        return DiffusersMethod(DiffusersSettings.model_validate({**self.settings, **changes}))


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Callable[[str], Built]:
    """Pipeline's name -> the tiny one, made when first asked for."""
    made: dict[str, Built] = {}

    def build(name: str) -> Built:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            torch.manual_seed(0)
            tiny = BUILDERS[name](folder)
            settings = {
                "pipeline": name,
                "model": str(folder / "model"),
                "steps": 2,
                **tiny.settings,
            }
            made[name] = Built(folder, settings, tiny.frames)
        return made[name]

    return build
