"""A tiny SD 1.5 model as one checkpoint file, under the names of the original Stable Diffusion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import save_file

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
VAE_ATTENTION = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}


def save(pipeline: Any, path: Path) -> None:
    """`pipeline` has one layer in each block of its UNet and its VAE."""
    state = {f"model.diffusion_model.{k}": v for k, v in _unet(pipeline.unet).items()}
    state |= {f"first_stage_model.{k}": v for k, v in _vae(pipeline.vae).items()}
    text = pipeline.text_encoder.state_dict()
    state |= {
        f"cond_stage_model.transformer.text_model.{k.removeprefix('text_model.')}": v
        for k, v in text.items()
    }
    save_file({name: value.contiguous() for name, value in state.items()}, path)


def _unet(unet: Any) -> dict[str, Any]:
    blocks = len(unet.down_blocks)
    top = {
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "conv_in": "input_blocks.0.0",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
        "mid_block.resnets.0": "middle_block.0",
        "mid_block.attentions.0": "middle_block.1",
        "mid_block.resnets.1": "middle_block.2",
    }
    for i in range(blocks):
        top[f"down_blocks.{i}.resnets.0"] = f"input_blocks.{1 + 2 * i}.0"
        top[f"down_blocks.{i}.attentions.0"] = f"input_blocks.{1 + 2 * i}.1"
        top[f"down_blocks.{i}.downsamplers.0.conv"] = f"input_blocks.{2 + 2 * i}.0.op"
        attended = 2 if hasattr(unet.up_blocks[i], "attentions") else 1
        for j in range(2):
            top[f"up_blocks.{i}.resnets.{j}"] = f"output_blocks.{2 * i + j}.0"
            top[f"up_blocks.{i}.attentions.{j}"] = f"output_blocks.{2 * i + j}.1"
        top[f"up_blocks.{i}.upsamplers.0.conv"] = f"output_blocks.{2 * i + 1}.{attended}.conv"
    return {_renamed(name, top, RESNET): value for name, value in unet.state_dict().items()}


def _vae(vae: Any) -> dict[str, Any]:
    top = {"quant_conv": "quant_conv", "post_quant_conv": "post_quant_conv"}
    last = len(vae.encoder.down_blocks) - 1
    for side in ("encoder", "decoder"):
        top |= {
            f"{side}.conv_in": f"{side}.conv_in",
            f"{side}.conv_norm_out": f"{side}.norm_out",
            f"{side}.conv_out": f"{side}.conv_out",
            f"{side}.mid_block.attentions.0": f"{side}.mid.attn_1",
            f"{side}.mid_block.resnets.0": f"{side}.mid.block_1",
            f"{side}.mid_block.resnets.1": f"{side}.mid.block_2",
        }
    for i in range(last + 1):
        top[f"encoder.down_blocks.{i}.resnets.0"] = f"encoder.down.{i}.block.0"
        top[f"encoder.down_blocks.{i}.downsamplers.0.conv"] = f"encoder.down.{i}.downsample.conv"
        for j in range(2):
            top[f"decoder.up_blocks.{i}.resnets.{j}"] = f"decoder.up.{last - i}.block.{j}"
        top[f"decoder.up_blocks.{i}.upsamplers.0.conv"] = f"decoder.up.{last - i}.upsample.conv"
    inner = {"conv_shortcut": "nin_shortcut", **VAE_ATTENTION}
    found = {}
    for name, value in vae.state_dict().items():
        new = _renamed(name, top, inner)
        if ".attn_1." in new and new.endswith("weight") and value.ndim == 2:
            value = value[:, :, None, None]
        found[new] = value
    return found


def _renamed(name: str, top: dict[str, str], inner: dict[str, str]) -> str:
    start = max((key for key in top if name.startswith(f"{key}.")), key=len)
    rest = name.removeprefix(f"{start}.")
    part = next((key for key in inner if rest.startswith(f"{key}.")), None)
    resnet = ".resnets." in f".{start}." or ".attentions." in f".{start}."
    if part is not None and resnet:
        rest = inner[part] + rest.removeprefix(part)
    return f"{top[start]}.{rest}"
