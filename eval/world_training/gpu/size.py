"""How large a world is: what of the models differs between one trained here and another."""

from __future__ import annotations

from typing import NamedTuple

from eval.world import models
from eval.world.scenes import FPS, SIZE, frames_at


class Size(NamedTuple):
    """`side` and `latent_channels` of the latents; `vae_widths`, one per block; `channels` of the
    UNet's blocks, the finest first, and `layers` in each of them; `pixels`, the side of frames."""

    side: int
    latent_channels: int
    vae_widths: tuple[int, ...]
    channels: tuple[int, ...]
    layers: int
    pixels: int = SIZE

    @property
    def frames(self) -> int:
        """Of a clip, which is a second."""
        return frames_at(self.pixels)

    @property
    def fps(self) -> float:
        return FPS * self.pixels / SIZE

    def vae(self):
        return models.vae(
            len(self.vae_widths), self.latent_channels, self.vae_widths, side=self.pixels
        )

    def spatial_unet(self):
        return models.spatial_unet(
            self.channels,
            side=self.side,
            latent_channels=self.latent_channels,
            layers=self.layers,
        )

    def motion_adapter(self):
        return models.motion_adapter(self.channels, layers=self.layers)


COARSE = Size(8, 8, (16, 32, 64, 128), models.UNET_CHANNELS, 1)
"""8x8 latents, seven layers of self-attention, three of them at 8x8."""
FINE = Size(16, 4, (32, 64, 96), (64, 128), 2)
"""16x16 latents, eleven layers of self-attention, five of them at 16x16, none below 8x8."""
SIXTEEN = Size(16, 8, (32, 64, 96, 128), (64, 128), 2, pixels=128)
"""16 frames of 128 px; 16x16 latents through a VAE of factor 8."""
SIZES = {"coarse": COARSE, "fine": FINE, "sixteen": SIXTEEN}
