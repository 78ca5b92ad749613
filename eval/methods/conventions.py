"""What frame 0 is in the clips of diffusers' image-to-video pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from eval.methods import FirstFrame


class Convention(NamedTuple):
    """What frame 0 is, how diffusers' pipeline brings that about, and the entry (file, key, value)
    of the model's configuration that makes it the input instead."""

    first_frame: FirstFrame
    reason: str
    pinned_by: tuple[str, str, Any] | None = None


CONVENTIONS: Mapping[str, Convention] = {
    "I2VGenXLPipeline": Convention(
        "reconstruction",
        "image latent beside every frame, embedding in cross-attention; all frames are denoised",
    ),
    "StableVideoDiffusionPipeline": Convention(
        "reconstruction", "noise-augmented image latent beside every frame; all frames are denoised"
    ),
    "AnimateDiffSparseControlNetPipeline": Convention(
        "reconstruction", "the image steers frame 0 through a ControlNet; all frames are denoised"
    ),
    "PIAPipeline": Convention(
        "reconstruction",
        "image latent and affinity mask beside every frame; all frames are denoised",
    ),
    "CogVideoXImageToVideoPipeline": Convention(
        "reconstruction",
        "image latent beside the first latent frame; all latent frames are denoised",
    ),
    "LTXImageToVideoPipeline": Convention(
        "input", "the first latent frame is the image's, at timestep 0, and is not stepped"
    ),
    "WanImageToVideoPipeline": Convention(
        "reconstruction",
        "image latent and mask beside the noise; with expand_timesteps (Wan 2.2 TI2V) the first "
        "latent frame is pinned",
        ("model_index.json", "expand_timesteps", True),
    ),
    "HunyuanVideoImageToVideoPipeline": Convention(
        "reconstruction",
        "image latent beside every latent frame, the first 4 decoded frames cut off; with "
        "token_replace it is pinned",
        ("transformer/config.json", "image_condition_type", "token_replace"),
    ),
}
"""Read from the pipelines' source (diffusers 0.42). Results of a pipeline that is not here say "not
stated".
"""
