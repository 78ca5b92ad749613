"""Group norms that take their statistics as the official code does: resnets and the output over all
frames of a video together, motion modules frame by frame. diffusers has both the other way round.
"""

from __future__ import annotations

from typing import Any

from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_temporal import TransformerTemporalModel
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from i2v_adapter.attention import CrossFrameState


def pool_group_norms(unet: nn.Module, state: CrossFrameState) -> list[RemovableHandle]:
    """Let the group norms of `unet` take their statistics as those of the official UNet.

    The norms of the resnets and of the output see F * H * W values of a channel group at once;
    those at the entry of the motion modules see H * W values, each frame by itself. The norms of
    spatial transformers are per frame in both. Nothing in the UNet is replaced: hooks reshape what
    a norm is given, between (B * F, C, H, W) and (B, C, F, H, W), and turn its result back.

    Args:
        unet: a motion UNet.
        state: tells the number of frames of the forward pass at hand.

    Returns:
        handles of the hooks; removing them all undoes it.
    """

    def to_videos(images: Tensor) -> Tensor:
        return images.unflatten(0, (-1, state.num_frames)).transpose(1, 2)

    def to_images(videos: Tensor) -> Tensor:
        return videos.transpose(1, 2).flatten(0, 1)

    def videos_in(norm: nn.Module, inputs: tuple[Any, ...]) -> tuple[Tensor]:
        return (to_videos(inputs[0]),)

    def images_out(norm: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        return to_images(output)

    def images_in(norm: nn.Module, inputs: tuple[Any, ...]) -> tuple[Tensor]:
        return (to_images(inputs[0]),)

    def videos_out(norm: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        return to_videos(output)

    handles: list[RemovableHandle] = []
    for module in unet.modules():
        if isinstance(module, ResnetBlock2D):
            for norm in (module.norm1, module.norm2):
                handles.append(norm.register_forward_pre_hook(videos_in))
                handles.append(norm.register_forward_hook(images_out))
        elif isinstance(module, AnimateDiffTransformer3D | TransformerTemporalModel):
            handles.append(module.norm.register_forward_pre_hook(images_in))
            handles.append(module.norm.register_forward_hook(videos_out))
    if isinstance(unet.conv_norm_out, nn.GroupNorm):
        handles.append(unet.conv_norm_out.register_forward_pre_hook(videos_in))
        handles.append(unet.conv_norm_out.register_forward_hook(images_out))
    return handles
