"""Noise: where the generated frames start without the prior (plain noise, FreeInit's later rounds),
and classifier-free guidance.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from i2v_adapter.prior import Generators, add_noise, standard_normal


def plain_start(
    scheduler: Any, first: Tensor, num_frames: int, generator: Generators, noise: Tensor | None
) -> Tensor:
    """Noise for frames 1.., (B, C, F - 1, h, w), at the level of the schedule's start.

    Args:
        scheduler: with its timesteps set.
        first: (B, C, 1, h, w), for shape, dtype and device.
        noise: (B, C, F, h, w) standard normal in place of the generator's; frame 0 of it is
            ignored.

    Raises:
        ValueError: noise of another shape.
    """
    batch, channels, _, height, width = first.shape
    shape = (batch, channels, num_frames, height, width)
    if noise is None:
        later = standard_normal(
            (batch, channels, num_frames - 1, height, width), generator, first.device
        )
    elif noise.shape == shape:
        later = noise[:, :, 1:].to(first.device)
    else:
        raise ValueError(f"latents must have shape {shape}, but have {tuple(noise.shape)}")
    return (later * scheduler.init_noise_sigma).to(first.dtype)


def free_init_restart(pipeline: Any, later: Tensor, noise: Tensor, generator: Generators) -> Tensor:
    """FreeInit (arXiv 2312.07537, equation 5) on frames 1.. alone: the clean first frame has no
    part in it.

    The frames made so far, noised with their first noise to the level of the schedule's start, keep
    their low frequencies in space and time; the high ones come from fresh noise.

    Args:
        pipeline: with FreeInit enabled and its scheduler's timesteps set.
        later: frames 1.. of the round before, (B, C, F - 1, h, w).
        noise: what that round started from, standard normal, same shape.
    """
    scheduler = pipeline.scheduler
    clean, noise = later.float(), noise.to(later.device, torch.float32)
    noised = add_noise(scheduler, clean, noise, scheduler.timesteps[:1].repeat(len(later)))
    fresh = (
        standard_normal(tuple(later.shape), generator, later.device) * scheduler.init_noise_sigma
    )
    low_pass = pipeline._get_free_init_freq_filter(
        (1, *later.shape[1:]),
        later.device,
        pipeline._free_init_method,
        pipeline._free_init_order,
        pipeline._free_init_spatial_stop_frequency,
        pipeline._free_init_temporal_stop_frequency,
    )
    return pipeline._apply_freq_filter(noised, fresh, low_pass).to(later.dtype)


def guided_noise(predicted: Tensor, scale: float, rescale: float = 0.0) -> Tensor:
    """Classifier-free guidance of predicted noise.

    Args:
        predicted: (2 B, ...), the unconditional half first.
        scale: of the difference between the halves.
        rescale: share of the result whose standard deviation is set to that of the conditional
            half (arXiv 2305.08891, section 3.4).

    Returns:
        (B, ...).

    Examples:
        >>> guided_noise(torch.tensor([[1.0], [3.0]]), 2.0)
        tensor([[5.]])
    """
    unconditional, conditional = predicted.chunk(2)
    result = unconditional + scale * (conditional - unconditional)
    if rescale == 0:
        return result
    axes = list(range(1, result.ndim))
    spread = conditional.std(dim=axes, keepdim=True) / result.std(dim=axes, keepdim=True)
    return rescale * (result * spread) + (1 - rescale) * result
