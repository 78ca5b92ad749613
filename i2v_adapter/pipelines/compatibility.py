"""Where diffusers (0.42) asks a model for a part that it does not have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def inner_text_model(encoder: Any) -> None:
    """Lets a CLIP text encoder be asked for its ``text_model``, which transformers 5 has no more:
    diffusers reads its last norm for `clip_skip`, and I2VGen-XL's pipeline always.
    """
    if type(encoder).__name__ == "CLIPTextModel" and not hasattr(encoder, "text_model"):
        object.__setattr__(encoder, "text_model", encoder)  # no submodule: weights stay once


@contextmanager
def middle_without_motion(unet: Any) -> Iterator[None]:
    """In the block, a UNet's mid block without motion modules has none instead of no such
    attribute: diffusers switches FreeNoise off in those of every block. Outside it the attribute
    would tell the UNet to call the block as one with motion.
    """
    middle = unet.mid_block
    bare = not hasattr(middle, "motion_modules")
    if bare:
        middle.motion_modules = ()
    try:
        yield
    finally:
        if bare:
            del middle.motion_modules
