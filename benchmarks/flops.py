"""FLOPs of one UNet step, counted by torch on the meta device: no weights, no arithmetic, any
shape.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import cache
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.motion_unets import Shape, make_unet, unet_inputs
from i2v_adapter import I2VAdapter

META = torch.device("meta")


@cache
def _model(name: str) -> tuple[Any, I2VAdapter]:
    unet = make_unet(name, META)
    return unet, I2VAdapter.from_unet(unet)


def step_flops(shape: Shape, *, adapter: bool) -> int:
    """FLOPs of one call of the UNet, with or without the adapter. The dtype of `shape` does not
    matter.
    """
    unet, weights = _model(shape.model)
    plain = Shape(shape.model, shape.height, shape.width, shape.frames, shape.batch, shape.guidance)
    with ExitStack() as stack:
        if adapter:
            stack.enter_context(weights.attached(unet))
        stack.enter_context(torch.no_grad())
        # Plain attention decomposes into the same products as every fused one.
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        counter = stack.enter_context(FlopCounterMode(display=False))
        unet(**unet_inputs(plain, META))
    return int(counter.get_total_flops())


def flop_ratio(shape: Shape) -> float:
    """FLOPs of a step with the adapter over those without: what an exact adapter cannot be
    below."""
    return step_flops(shape, adapter=True) / step_flops(shape, adapter=False)
