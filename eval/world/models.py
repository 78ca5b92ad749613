"""The tiny generators of the glyph world: classes of the full-size ones, small configurations."""

from __future__ import annotations

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"


def vae(
    blocks: int = 4,
    latent_channels: int = 8,
    widths: tuple[int, ...] = (16, 32, 64, 128),
    side: int = 64,
):
    """AutoencoderKL, RGB (N, 3, 64, 64) in [-1, 1] -> latents (N, 8, 8, 8): a side of `side` /
    2**(blocks - 1).
    """
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        block_out_channels=widths[:blocks],
        layers_per_block=1,
        latent_channels=latent_channels,
        norm_num_groups=8,
        sample_size=side,
        mid_block_add_attention=False,
    )


TEXT_WIDTH = 128
UNET_CHANNELS = (96, 160)


def text_encoder(vocabulary: int):
    """CLIPTextModel, token ids (N, 16) -> states (N, 16, TEXT_WIDTH)."""
    from transformers import CLIPTextConfig, CLIPTextModel

    from eval.world.tokenizer import CONTEXT_LENGTH

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=TEXT_WIDTH,
            intermediate_size=2 * TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=CONTEXT_LENGTH,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )
    )


def spatial_unet(
    channels: tuple[int, ...] = UNET_CHANNELS,
    *,
    side: int = 8,
    latent_channels: int = 8,
    layers: int = 1,
):
    """UNet2DConditionModel: the text-to-image base that the motion modules are added to, as
    AnimateDiff does.
    """
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=side,
        in_channels=latent_channels,
        out_channels=latent_channels,
        down_block_types=("CrossAttnDownBlock2D",) * len(channels),
        up_block_types=("CrossAttnUpBlock2D",) * len(channels),
        block_out_channels=channels,
        layers_per_block=layers,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def motion_adapter(channels: tuple[int, ...] = UNET_CHANNELS, *, layers: int = 1):
    """AnimateDiff's motion modules, the middle block included."""
    from diffusers import MotionAdapter

    return MotionAdapter(
        block_out_channels=channels,
        motion_layers_per_block=layers,
        motion_num_attention_heads=4,
        motion_norm_num_groups=16,
        motion_max_seq_length=32,
        use_motion_mid_block=True,
    )


def motion_unet(spatial, motion):
    """UNetMotionModel from the base and its motion modules."""
    from diffusers import UNetMotionModel

    return UNetMotionModel.from_unet2d(spatial, motion)


def image_base(unet):
    """The UNet2DConditionModel inside a UNetMotionModel: the same parameters, without the motion
    modules.
    """
    spatial = spatial_unet(
        tuple(unet.config.block_out_channels),
        side=unet.config.sample_size,
        latent_channels=unet.config.out_channels,
        layers=unet.config.layers_per_block,
    )
    shared = dict(unet.named_parameters())
    for name, module in spatial.named_modules():
        for key in (key for key, value in module._parameters.items() if value is not None):
            module._parameters[key] = shared[f"{name}.{key}" if name else key]
    return spatial


def controlnet(spatial, side: int = 64):
    """ControlNetModel with a copy of the image base's encoder; maps (N, 3, side, side) in
    [0, 1].
    """
    from diffusers import ControlNetModel

    widths = {8: (16, 32, 64, 96), 4: (16, 32, 96)}[side // spatial.config.sample_size]
    return ControlNetModel.from_unet(spatial, conditioning_embedding_out_channels=widths)


def scheduler():
    """DDIM on the linear schedule of AnimateDiff (paper.md, section 9)."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_schedule="linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        steps_offset=1,
        timestep_spacing="leading",
    )


def image_encoder(side: int = 64):
    """CLIPVisionModelWithProjection, RGB (N, 3, side, side) in [-1, 1] -> penultimate states (N,
    65, 96).
    """
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=96,
            intermediate_size=192,
            num_hidden_layers=4,
            num_attention_heads=4,
            image_size=side,
            patch_size=side // 8,
            projection_dim=64,
        )
    )


def image_processor(side: int = 64):
    """CLIPImageProcessor for `image_encoder`: `side` px, RGB scaled to [-1, 1]."""
    from transformers import CLIPImageProcessor

    size = {"height": side, "width": side}
    return CLIPImageProcessor(
        size=size, crop_size=size, do_center_crop=False, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )


IMAGE_TOKENS = 16


def new_ip_adapter(unet) -> dict[str, dict]:
    """A fresh IP-Adapter Plus state dict in the released layout (`image_proj`, `ip_adapter`) that
    fits `unet`.

    Image keys and values start as copies of the layer's text ones, as the original's training does.
    """
    from diffusers.models.embeddings import IPAdapterPlusImageProjection

    resampler = IPAdapterPlusImageProjection(
        embed_dims=96, output_dims=TEXT_WIDTH, hidden_dims=64, heads=1, num_queries=IMAGE_TOKENS
    )
    projections = {}
    crossings = [
        name for name in unet.attn_processors if "attn2" in name and "motion_modules" not in name
    ]
    for index, name in enumerate(crossings):
        layer = unet.get_submodule(name.removesuffix(".processor"))
        projections[f"{2 * index + 1}.to_k_ip.weight"] = layer.to_k.weight.detach().clone()
        projections[f"{2 * index + 1}.to_v_ip.weight"] = layer.to_v.weight.detach().clone()
    return {
        "image_proj": _released_resampler_keys(resampler.state_dict()),
        "ip_adapter": projections,
    }


def ip_adapter_layout(resampler, processors) -> dict[str, dict]:
    """diffusers' modules -> the released layout: the inverse of diffusers' loader. `processors` in
    the UNet's order.
    """
    projections = {}
    for index, processor in enumerate(processors):
        projections[f"{2 * index + 1}.to_k_ip.weight"] = (
            processor.to_k_ip[0].weight.detach().clone()
        )
        projections[f"{2 * index + 1}.to_v_ip.weight"] = (
            processor.to_v_ip[0].weight.detach().clone()
        )
    state = resampler.image_projection_layers[0].state_dict()
    return {"image_proj": _released_resampler_keys(state), "ip_adapter": projections}


IP_ADAPTER_FILE = "ip-adapter-plus_glyph.safetensors"


def published_ip_adapter(weights: Path = WEIGHTS) -> dict[str, dict]:
    """The published content adapter as diffusers' loader takes it, in float32."""
    from safetensors.torch import load_file

    parts: dict[str, dict] = {"image_proj": {}, "ip_adapter": {}}
    for name, value in load_file(weights / "ip_adapter" / IP_ADAPTER_FILE).items():
        group, key = name.split(".", 1)
        parts[group][key] = value.float()
    return parts


def published_lora(weights: Path = WEIGHTS) -> dict:
    """The published style LoRA's matrices, float32, under the names of diffusers' layout without
    its prefix `unet.`.
    """
    from safetensors.torch import load_file

    found = load_file(weights / "style_lora" / "pytorch_lora_weights.safetensors")
    return {name.removeprefix("unet."): value.float() for name, value in found.items()}


_RELEASED_NAMES = {
    "ln0.": "0.norm1.",
    "ln1.": "0.norm2.",
    "attn.to_q.": "0.to_q.",
    "attn.to_out.0.": "0.to_out.",
    "ff.0.": "1.0.",
    "ff.1.net.0.proj.": "1.1.",
    "ff.1.net.2.": "1.3.",
}


def _released_resampler_keys(state: dict) -> dict:
    """diffusers' names of the Plus resampler -> the released checkpoint's (key and value in one
    `to_kv`).
    """
    import torch

    released = {}
    for name, value in state.items():
        if not name.startswith("layers."):
            released[name] = value.detach().clone()
            continue
        _, index, rest = name.split(".", 2)
        if rest == "attn.to_k.weight":
            both = torch.cat([value, state[f"layers.{index}.attn.to_v.weight"]])
            released[f"layers.{index}.0.to_kv.weight"] = both.detach().clone()
        elif rest != "attn.to_v.weight":
            ours = next(prefix for prefix in _RELEASED_NAMES if rest.startswith(prefix))
            target = _RELEASED_NAMES[ours] + rest.removeprefix(ours)
            released[f"layers.{index}.{target}"] = value.detach().clone()
    return released
