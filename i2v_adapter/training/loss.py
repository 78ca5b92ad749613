"""The training loss: epsilon-MSE on the frames after the first, which enters the UNet clean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def i2v_loss(
    unet: nn.Module,
    noise_scheduler: Any,
    latents: Tensor,
    timesteps: Tensor,
    noise: Tensor,
    encoder_hidden_states: Tensor,
    added_cond_kwargs: Mapping[str, Any] | None = None,
    snr_gamma: float | None = None,
    snr_floor: float = 0.0,
) -> Tensor:
    """Epsilon-MSE on the frames after the first (paper, section 3.2); the first one enters the UNet
    clean.

    Args:
        unet: motion UNet with the adapter attached.
        noise_scheduler: gives `add_noise`; `prediction_type` epsilon, or v_prediction for bases
            trained that way.
        latents: (B, C, F, h, w) clean, scaled, F >= 2. Frame 0 is neither noised nor dimmed by
            sqrt(alpha_bar).
        timesteps: (B,) int64, one for all frames of a video.
        noise: standard normal, shape of `latents`; what it holds for frame 0 is not used.
        encoder_hidden_states: (B, L, D), repeated for every frame here, or (B * F, L, D), frame
            index fastest.
        added_cond_kwargs: passed to the UNet, e.g. `image_embeds` of the content adapter.
        snr_gamma: weigh each video by min(SNR, gamma) / SNR (Min-SNR, arXiv 2303.09556); None:
            no weights.
        snr_floor: with `snr_gamma`, weigh by max(floor, min(SNR, gamma)) / SNR, so that errors
            in the clean latents count at high noise too.

    Returns:
        the loss, a float32 scalar.

    Raises:
        ValueError: shapes do not agree, fewer than two frames, or an unknown prediction type.

    Examples:
        >>> from i2v_adapter.tiny import tiny_components
        >>> parts = tiny_components()
        >>> clips, noise = torch.zeros(2, 4, 5, 8, 8), torch.randn(2, 4, 5, 8, 8)
        >>> with parts["i2v_adapter"].attached(parts["unet"]):
        ...     loss = i2v_loss(
        ...         parts["unet"],
        ...         parts["scheduler"],
        ...         clips,
        ...         torch.tensor([10, 900]),
        ...         noise,
        ...         torch.zeros(2, 7, 32),
        ...     )
        >>> loss.shape
        torch.Size([])
    """
    if latents.ndim != 5 or latents.shape[2] < 2 or noise.shape != latents.shape:
        raise ValueError(
            "latents and noise must share one shape (B, C, F, h, w) with F >= 2, but have"
            f" {tuple(latents.shape)} and {tuple(noise.shape)}"
        )
    batch, frames = latents.shape[0], latents.shape[2]
    if encoder_hidden_states.shape[0] == batch:
        encoder_hidden_states = encoder_hidden_states.repeat_interleave(frames, dim=0)
    elif encoder_hidden_states.shape[0] != batch * frames:
        raise ValueError(
            f"encoder_hidden_states must have {batch} (videos) or {batch * frames} (frames) rows,"
            f" but have {encoder_hidden_states.shape[0]}"
        )
    first, later, noise = latents[:, :, :1], latents[:, :, 1:], noise[:, :, 1:]
    noisy = torch.cat([first, noise_scheduler.add_noise(later, noise, timesteps)], dim=2)
    predicted = unet(
        noisy,
        timesteps,
        encoder_hidden_states=encoder_hidden_states,
        added_cond_kwargs=None if added_cond_kwargs is None else dict(added_cond_kwargs),
    ).sample[:, :, 1:]

    prediction_type = noise_scheduler.config.prediction_type
    if prediction_type == "epsilon":
        target = noise
    elif prediction_type == "v_prediction":
        target = noise_scheduler.get_velocity(later, noise, timesteps)
    else:
        raise ValueError(
            f"prediction_type {prediction_type!r} is not supported: use 'epsilon' or 'v_prediction'"
        )
    error = F.mse_loss(predicted.float(), target.float(), reduction="none").mean(dim=(1, 2, 3, 4))
    if snr_gamma is not None:
        alpha_bar = noise_scheduler.alphas_cumprod.to(error.device)[timesteps]
        snr = alpha_bar / (1 - alpha_bar)
        divisor = snr if prediction_type == "epsilon" else snr + 1
        error = error * snr.clamp(min=snr_floor, max=snr_gamma) / divisor
    return error.mean()
