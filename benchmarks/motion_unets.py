"""Motion UNets with random weights: SD 1.5 and SDXL at full width, and both with their widths
divided by four.

At a quarter of the width and half the side of the frame, attention and projections weigh as they do
at full size (cost goes with tokens^2 * width and tokens * width^2): "sd15/4" at 256 px stands for
SD 1.5 at 512 px, at 1/64 of the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import UNetMotionModel
from torch import nn

_SD15: dict[str, Any] = {
    "block_out_channels": (320, 640, 1280, 1280),
    "cross_attention_dim": 768,
    "num_attention_heads": 8,
    "motion_num_attention_heads": 8,
    "motion_max_seq_length": 32,
    "use_motion_mid_block": False,
}
_SDXL: dict[str, Any] = {
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlockMotion", "CrossAttnDownBlockMotion", "CrossAttnDownBlockMotion"),
    "up_block_types": ("CrossAttnUpBlockMotion", "CrossAttnUpBlockMotion", "UpBlockMotion"),
    "transformer_layers_per_block": (1, 2, 10),
    "temporal_transformer_layers_per_block": (1, 1, 1),
    "cross_attention_dim": 2048,
    "num_attention_heads": (5, 10, 20),
    "motion_num_attention_heads": 8,
    "motion_max_seq_length": 32,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
    "use_linear_projection": True,
    "use_motion_mid_block": False,
}
_QUARTER: dict[str, Any] = {"motion_num_attention_heads": 2, "norm_num_groups": 16}
CONFIGS: dict[str, dict[str, Any]] = {
    "sd15": _SD15,
    "sdxl": _SDXL,
    "sd15/4": {
        **_SD15,
        **_QUARTER,
        "block_out_channels": (80, 160, 320, 320),
        "cross_attention_dim": 192,
        "num_attention_heads": 2,
    },
    "sdxl/4": {
        **_SDXL,
        **_QUARTER,
        "block_out_channels": (80, 160, 320),
        "cross_attention_dim": 512,
        "num_attention_heads": (2, 4, 8),
    },
}
TOKENS = 77
POOLED = 1280
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Shape:
    """What one UNet step is given. With guidance the batch is doubled, as the pipeline does."""

    model: str
    height: int
    width: int
    frames: int = 16
    batch: int = 1
    guidance: bool = False
    dtype: str = "fp32"

    def __str__(self) -> str:
        parts = [self.model, f"{self.width}x{self.height}x{self.frames}", self.dtype]
        parts += [f"batch {self.batch}"] if self.batch > 1 else []
        parts += ["guidance"] if self.guidance else []
        return " ".join(parts)

    @property
    def videos(self) -> int:
        return self.batch * (2 if self.guidance else 1)


def make_unet(
    model: str, device: torch.device, dtype: torch.dtype = torch.float32, channels: int = 4
) -> Any:
    """A motion UNet made where it will run, in evaluation mode."""
    with torch.device(device):
        unet = UNetMotionModel(**CONFIGS[model], in_channels=channels)
    return nn.Module.to(unet, dtype).eval()


def unet_inputs(shape: Shape, device: torch.device, channels: int = 4) -> dict[str, Any]:
    """Arguments of one UNet call: random latents and text states."""
    config, dtype, videos = CONFIGS[shape.model], DTYPES[shape.dtype], shape.videos

    def random(*size: int) -> torch.Tensor:
        return torch.randn(size, device=device, dtype=dtype)

    inputs: dict[str, Any] = {
        "sample": random(videos, channels, shape.frames, shape.height // 8, shape.width // 8),
        "timestep": torch.tensor(500, device=device),
        "encoder_hidden_states": random(
            videos * shape.frames, TOKENS, config["cross_attention_dim"]
        ),
    }
    if "addition_embed_type" in config:
        inputs["added_cond_kwargs"] = {
            "text_embeds": random(videos, POOLED),
            "time_ids": random(videos, 6),
        }
    return inputs
