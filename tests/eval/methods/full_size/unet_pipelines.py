"""Tiny pipelines around a UNet."""

from __future__ import annotations

from pathlib import Path

import diffusers
import torch

from tests.eval.methods.full_size.parts import SIZE, WIDTH, Tiny, clip_text, clip_vision, ddim, vae


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
