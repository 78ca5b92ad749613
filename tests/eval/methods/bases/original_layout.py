"""A tiny SD 1.5 or SDXL model as one checkpoint file, under the names of the original Stable
Diffusion.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
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
    """`pipeline` has one layer in each block of its UNet and its VAE. A ``.ckpt`` is a pickle of
    tensors."""
    state = {f"model.diffusion_model.{k}": v for k, v in _unet(pipeline.unet).items()}
    state |= {f"first_stage_model.{k}": v for k, v in _vae(pipeline.vae).items()}
    second = getattr(pipeline, "text_encoder_2", None)
    prefix = "cond_stage_model" if second is None else "conditioner.embedders.0"
    text = pipeline.text_encoder.state_dict()
    state |= {
        f"{prefix}.transformer.text_model.{k.removeprefix('text_model.')}": v
        for k, v in text.items()
    }
    if second is not None:
        state |= {f"conditioner.embedders.1.model.{k}": v for k, v in _open_clip(second).items()}
    state = {name: value.contiguous() for name, value in state.items()}
    if path.suffix == ".ckpt":
        torch.save({"state_dict": state}, path)
    else:
        save_file(state, path)


def _open_clip(encoder: Any) -> dict[str, Any]:
    """The second text encoder of SDXL under the names of open_clip."""
    own = {k.removeprefix("text_model."): v for k, v in encoder.state_dict().items()}
    found = {
        "token_embedding.weight": own["embeddings.token_embedding.weight"],
        "positional_embedding": own["embeddings.position_embedding.weight"],
        "text_projection": own["text_projection.weight"].T,
        "ln_final.weight": own["final_layer_norm.weight"],
        "ln_final.bias": own["final_layer_norm.bias"],
    }
    names = {
        "layer_norm1": "ln_1",
        "layer_norm2": "ln_2",
        "self_attn.out_proj": "attn.out_proj",
        "mlp.fc1": "mlp.c_fc",
        "mlp.fc2": "mlp.c_proj",
    }
    for index in range(encoder.config.num_hidden_layers):
        old, new = f"encoder.layers.{index}", f"transformer.resblocks.{index}"
        for kind in ("weight", "bias"):
            for one, other in names.items():
                found[f"{new}.{other}.{kind}"] = own[f"{old}.{one}.{kind}"]
            parts = [own[f"{old}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
            found[f"{new}.attn.in_proj_{kind}"] = torch.cat(parts)
    return found


def _unet(unet: Any) -> dict[str, Any]:
    blocks = len(unet.down_blocks)
    top = {
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "add_embedding.linear_1": "label_emb.0.0",
        "add_embedding.linear_2": "label_emb.0.2",
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
