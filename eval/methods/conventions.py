"""What frame 0 is in the clips of diffusers' image-to-video pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from eval.methods import FirstFrame


class Usual(NamedTuple):
    """How a pipeline's models are called by their authors."""

    frames: int
    steps: int
    height: int
    width: int
    fps: int


class Convention(NamedTuple):
    """What frame 0 is, how diffusers' pipeline brings that about, how it is usually called, and the
    entry (file, key, value) of the model's configuration that makes frame 0 the input instead."""

    first_frame: FirstFrame
    reason: str
    usual: Usual
    pinned_by: tuple[str, str, Any] | None = None


CONVENTIONS: Mapping[str, Convention] = {
    "I2VGenXLPipeline": Convention(
        "reconstruction",
        "image latent beside every frame, embedding in cross-attention; all frames are denoised",
        Usual(16, 50, 704, 1280, 16),
    ),
    "StableVideoDiffusionPipeline": Convention(
        "reconstruction",
        "noise-augmented image latent beside every frame; all frames are denoised",
        Usual(14, 25, 576, 1024, 7),
    ),
    "AnimateDiffSparseControlNetPipeline": Convention(
        "reconstruction",
        "the image steers frame 0 through a ControlNet; all frames are denoised",
        Usual(16, 50, 512, 512, 8),
    ),
    "PIAPipeline": Convention(
        "reconstruction",
        "image latent and affinity mask beside every frame; all frames are denoised",
        Usual(16, 50, 512, 512, 8),
    ),
    "CogVideoXImageToVideoPipeline": Convention(
        "reconstruction",
        "image latent beside the first latent frame; all latent frames are denoised",
        Usual(49, 50, 480, 720, 8),
    ),
    "LTXImageToVideoPipeline": Convention(
        "input",
        "the first latent frame is the image's, at timestep 0, and is not stepped",
        Usual(161, 50, 512, 704, 25),
    ),
    "WanImageToVideoPipeline": Convention(
        "reconstruction",
        "image latent and mask beside the noise; with expand_timesteps (Wan 2.2 TI2V) the first "
        "latent frame is pinned",
        Usual(81, 50, 480, 832, 16),
        ("model_index.json", "expand_timesteps", True),
    ),
    "HunyuanVideoImageToVideoPipeline": Convention(
        "reconstruction",
        "image latent beside every latent frame, the first 4 decoded frames cut off; with "
        "token_replace it is pinned",
        Usual(129, 50, 720, 1280, 15),
        ("transformer/config.json", "image_condition_type", "token_replace"),
    ),
}
"""Read from the pipelines' source (diffusers 0.42); sizes, lengths and rates from its documentation
where the call has none. Results of a pipeline that is not here say "not
stated".
"""
