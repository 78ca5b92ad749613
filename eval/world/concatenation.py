"""The channel-concatenation family: the image's latent enters the UNet beside every noisy frame.

Convention, as in Stable Video Diffusion and DynamiCrafter: the clean latent of the image, in the
noisy latents' scale, is repeated for all frames and follows the noisy channels; there is no mask
channel. All frames are noised and generated, so frame 0 is a reconstruction of the image, not the
image. Without the image (guidance's unconditional half, training dropout) its channels are zero.
"""

from __future__ import annotations

import torch
from diffusers import UNetMotionModel
from torch import Tensor


def widen(unet: UNetMotionModel) -> UNetMotionModel:
    """A copy of `unet` that also takes the image's latent: `conv_in` reads twice the channels.

    Every weight is copied, in float32, and the new columns of `conv_in` are zero, so that the
    untrained copy gives the same output as `unet` for every image.
    """
    channels = unet.config.in_channels
    widened = UNetMotionModel.from_config(unet.config, in_channels=2 * channels)
    state = dict(unet.state_dict())
    narrow = state["conv_in.weight"]
    state["conv_in.weight"] = torch.cat([narrow, torch.zeros_like(narrow)], dim=1)
    widened.load_state_dict(state)
    return widened.train(unet.training)


def concatenate(noisy: Tensor, image: Tensor) -> Tensor:
    """(B, C, F, h, w) noisy frames and the image's latent (B, C, h, w) -> (B, 2 C, F, h, w)."""
    return torch.cat([noisy, image[:, :, None].expand_as(noisy)], dim=1)
