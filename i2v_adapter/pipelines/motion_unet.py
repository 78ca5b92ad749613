"""From an image UNet and a motion adapter to the motion UNet, with everything that the former
knows.
"""

from __future__ import annotations

from typing import Any

from diffusers import MotionAdapter, UNet2DConditionModel, UNetMotionModel


def motion_unet(unet: Any, motion_adapter: MotionAdapter | None) -> Any:
    """The motion UNet of an image UNet; any other `unet` as it is.

    diffusers (0.42) leaves SDXL's `add_embedding`, which reads the pooled prompt and the sizes, at
    random values when it converts. Here it is the image UNet's.
    """
    if not isinstance(unet, UNet2DConditionModel):
        return unet
    moving = UNetMotionModel.from_unet2d(unet, motion_adapter)
    given = getattr(unet, "add_embedding", None)
    own = getattr(moving, "add_embedding", None)
    if given is not None and own is not None:
        own.load_state_dict(given.state_dict())
        own.to(unet.dtype)
    return moving
