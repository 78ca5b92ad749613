"""Clips longer than the motion modules reach, one after the other: each starts at the last latent
of the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from i2v_adapter.pipelines.inputs import PipelineImage


def chain_clips(
    pipeline: Any,
    image: PipelineImage,
    prompts: Sequence[str],
    num_frames: int = 16,
    **options: Any,
) -> Tensor:
    """Latents of one long video, a clip for each prompt; decode them with the pipeline's
    `decode_latents`.

    The last latent of a clip is the next one's clean first frame as it is, without a way through
    the VAE that would blur the video from clip to clip. A content adapter sees `image` all along,
    so that later clips remember it.

    Args:
        pipeline: an image-to-video pipeline of this package.
        image: first frame of the whole video.
        prompts: one per clip.
        num_frames: F of each clip, its first frame included.
        **options: of the pipeline's call, the same for all clips. A `generator` goes on from
            clip to clip.

    Returns:
        (1, C, 1 + len(prompts) * (F - 1), h, w); index 0 is the image's latent.

    Raises:
        ValueError: no prompt, or what the pipeline refuses.
    """
    if not prompts:
        raise ValueError("prompts is empty: give one for each clip")
    clips: list[Tensor] = []
    for prompt in prompts:
        start = {"image_latents": clips[-1][:, :, -1]} if clips else {}
        latents = pipeline(
            image, prompt, num_frames, output_type="latent", **start, **options
        ).frames
        clips.append(latents[:, :, 1:] if clips else latents)
    return torch.cat(clips, dim=2)
