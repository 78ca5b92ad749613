"""What the adapter is compared with: a naive form of it, channel concatenation, and the content
adapter beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention, IPAdapterAttnProcessor2_0
from diffusers.models.embeddings import IPAdapterPlusImageProjection, MultiIPAdapterImageProjection
from torch import Tensor, nn

from i2v_adapter import I2VAdapter
from i2v_adapter.attention import CrossFrameProjections, spatial_self_attentions

IMAGE_TOKENS, IMAGE_STATES, IMAGE_WIDTH = 16, 257, 1280


class NaiveCrossFrameProcessor:
    """Equation 5 written down as it reads: K_1 and V_1 repeated to every frame, and two attention
    calls a frame.

    Args:
        projections: W_Q' and W_O' of the layer.
        frames: per video.
    """

    def __init__(self, projections: CrossFrameProjections, frames: int) -> None:
        self.projections = projections
        self.frames = frames

    def __call__(self, attn: Attention, hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        images, tokens, _ = hidden_states.shape

        def heads(x: Tensor) -> Tensor:
            return x.view(images, tokens, attn.heads, -1).transpose(1, 2)

        def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            output = F.scaled_dot_product_attention(heads(query), heads(key), heads(value))
            return output.transpose(1, 2).reshape(images, tokens, -1)

        def first(x: Tensor) -> Tensor:
            return (
                x.view(-1, self.frames, *x.shape[1:])[:, :1].repeat(1, self.frames, 1, 1).view_as(x)
            )

        key, value = attn.to_k(hidden_states), attn.to_v(hidden_states)
        own = attn.to_out[0](attend(attn.to_q(hidden_states), key, value))
        query = self.projections.to_q_ff(hidden_states)
        cross = self.projections.to_out_ff(attend(query, first(key), first(value)))
        return attn.to_out[1](own + cross) / attn.rescale_output_factor


@contextmanager
def processors(layers: dict[str, Attention], replacement: dict[str, Any]) -> Iterator[None]:
    """Other processors in some layers, within the block."""
    before = {path: layer.processor for path, layer in layers.items()}
    for path, layer in layers.items():
        layer.set_processor(replacement[path])
    try:
        yield
    finally:
        for path, layer in layers.items():
            layer.set_processor(before[path])


@contextmanager
def naive(unet: Any, adapter: I2VAdapter, frames: int) -> Iterator[None]:
    """The naive form of `adapter` in `unet`, within the block."""
    layers = spatial_self_attentions(unet)
    with processors(
        layers, {p: NaiveCrossFrameProcessor(adapter.projections(p), frames) for p in layers}
    ):
        yield


@contextmanager
def wide_input(unet: Any, convolution: nn.Conv2d) -> Iterator[None]:
    """Channel concatenation: `unet` reads noisy latents, image latents and a mask, within the
    block.
    """
    before = unet.conv_in
    unet.conv_in = convolution
    try:
        yield
    finally:
        unet.conv_in = before


def wide_convolution(unet: Any, channels: int = 9) -> nn.Conv2d:
    """`conv_in` for concatenated channels, on the UNet's device and in its dtype."""
    with torch.device(unet.conv_in.weight.device):
        convolution = nn.Conv2d(channels, unet.conv_in.out_channels, 3, padding=1)
    return convolution.to(unet.conv_in.weight.dtype)


class Content(nn.Module):
    """A content adapter (IP-Adapter Plus) of random weights for `unet`: ViT-H states to 16 image
    tokens.
    """

    def __init__(self, unet: Any) -> None:
        super().__init__()
        width = unet.config.cross_attention_dim
        self._layers = {
            path: layer
            for path, layer in unet.named_modules()
            if isinstance(layer, Attention)
            and path.endswith(".attn2")
            and ".motion_modules." not in path
        }
        with torch.device(unet.device):
            resampler = IPAdapterPlusImageProjection(
                embed_dims=IMAGE_WIDTH,
                output_dims=width,
                hidden_dims=768,
                heads=12,
                num_queries=IMAGE_TOKENS,
            )
            self.resampler = MultiIPAdapterImageProjection([resampler])
            crossings = [
                IPAdapterAttnProcessor2_0(layer.inner_dim, width, num_tokens=(IMAGE_TOKENS,))
                for layer in self._layers.values()
            ]
        self.crossings = nn.ModuleList(crossings)
        self.to(unet.dtype)

    @contextmanager
    def attached(self, unet: Any) -> Iterator[None]:
        """In `unet`, within the block."""
        with processors(self._layers, dict(zip(self._layers, self.crossings, strict=True))):
            unet.encoder_hid_proj, unet.config.encoder_hid_dim_type = (
                self.resampler,
                "ip_image_proj",
            )
            try:
                yield
            finally:
                unet.encoder_hid_proj, unet.config.encoder_hid_dim_type = None, None
