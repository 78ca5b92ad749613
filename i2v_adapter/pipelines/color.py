"""Colour matching after decoding, as the official code does always and this project only on
request.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def match_chroma(videos: Tensor) -> Tensor:
    """Give frames 1.. the a and b histograms (CIE Lab) of frame 0; lightness and frame 0 stay.

    Every measure of a video moves with it, so a result that used it must say so.

    Args:
        videos: (B, 3, F, H, W) floating point in [-1, 1], as the VAE decodes them.

    Returns:
        the same shape, dtype and device, clamped to [-1, 1].
    """
    import cv2

    matched = []
    for video in videos.detach().float().cpu().clamp(-1, 1).permute(0, 2, 3, 4, 1).numpy():
        first, *later = [cv2.cvtColor(frame / 2 + 0.5, cv2.COLOR_RGB2Lab) for frame in video]
        frames = [video[0]]
        for frame in later:
            chroma = [_match(frame[..., channel], first[..., channel]) for channel in (1, 2)]
            rgb = cv2.cvtColor(np.stack([frame[..., 0], *chroma], axis=-1), cv2.COLOR_Lab2RGB)
            frames.append(rgb.clip(0, 1) * 2 - 1)
        matched.append(np.stack(frames))
    return torch.from_numpy(np.stack(matched)).permute(0, 4, 1, 2, 3).to(videos)


def _match(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """`values` mapped so that their distribution becomes that of `reference`; equal values stay
    equal.
    """
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    wanted, wanted_counts = np.unique(reference, return_counts=True)
    share = np.cumsum(counts) / values.size
    mapped = np.interp(share, np.cumsum(wanted_counts) / reference.size, wanted)
    return mapped[where].reshape(values.shape).astype(values.dtype)
