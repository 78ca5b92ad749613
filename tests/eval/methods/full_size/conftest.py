"""Tiny random image-to-video pipelines in the hub's layout, with tokenizers made here: nothing is
downloaded.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from eval.methods.diffusers_pipeline import DiffusersMethod, DiffusersSettings
from tests.eval.methods.full_size.parts import Tiny
from tests.eval.methods.full_size.transformer_pipelines import cogvideox, hunyuan_video, ltx, wan
from tests.eval.methods.full_size.unet_pipelines import (
    i2vgen_xl,
    pia,
    sparse_ctrl,
    stable_video_diffusion,
)

BUILDERS: dict[str, Callable[[Path], Tiny]] = {
    "I2VGenXLPipeline": i2vgen_xl,
    "StableVideoDiffusionPipeline": stable_video_diffusion,
    "AnimateDiffSparseControlNetPipeline": sparse_ctrl,
    "PIAPipeline": pia,
    "CogVideoXImageToVideoPipeline": cogvideox,
    "LTXImageToVideoPipeline": ltx,
    "WanImageToVideoPipeline": wan,
    "HunyuanVideoImageToVideoPipeline": hunyuan_video,
}


class Built(NamedTuple):
    """A tiny pipeline on disk, the settings for it and the number of frames that come out."""

    folder: Path
    settings: dict[str, Any]
    frames: int

    def method(self, **changes: Any) -> DiffusersMethod:
        return DiffusersMethod(DiffusersSettings.model_validate({**self.settings, **changes}))


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Callable[[str], Built]:
    """Pipeline's name -> the tiny one, made when first asked for."""
    made: dict[str, Built] = {}

    def build(name: str) -> Built:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            torch.manual_seed(0)
            tiny = BUILDERS[name](folder)
            settings = {
                "pipeline": name,
                "model": str(folder / "model"),
                "steps": 2,
                **tiny.settings,
            }
            made[name] = Built(folder, settings, tiny.frames)
        return made[name]

    return build
