"""Group norm over all frames of a video together, as the official code has it in resnets and at the
output.
"""

from __future__ import annotations

from typing import Any

from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from i2v_adapter.attention import CrossFrameState


def pool_group_norms(unet: nn.Module, state: CrossFrameState) -> list[RemovableHandle]:
    """Let the resnets' and the output's group norms of `unet` take their statistics over F * H * W.

    Nothing in the UNet is replaced: hooks show each norm its input (B * F, C, H, W) as (B, C, F, H,
    W), and turn the result back. The norms of transformers stay per frame, those of motion modules
    pool in diffusers already.

    Args:
        unet: a motion UNet.
        state: tells the number of frames of the forward pass at hand.

    Returns:
        handles of the hooks; removing them all undoes it.
    """

    def to_videos(norm: nn.Module, inputs: tuple[Any, ...]) -> tuple[Tensor]:
        return (inputs[0].unflatten(0, (-1, state.num_frames)).transpose(1, 2),)

    def to_frames(norm: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        return output.transpose(1, 2).flatten(0, 1)

    norms = [
        norm
        for module in unet.modules()
        if isinstance(module, ResnetBlock2D)
        for norm in (module.norm1, module.norm2)
    ]
    norms += [unet.conv_norm_out] if isinstance(unet.conv_norm_out, nn.GroupNorm) else []
    handles: list[RemovableHandle] = []
    for norm in norms:
        handles += [
            norm.register_forward_pre_hook(to_videos),
            norm.register_forward_hook(to_frames),
        ]
    return handles
