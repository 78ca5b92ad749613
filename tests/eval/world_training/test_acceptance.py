"""What must hold is measured on the weights that are named."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from eval.errors import EvalError
from eval.samples.glyph_world import GlyphWorldSettings, load
from eval.world.models import WEIGHTS
from eval.world_training.acceptance import generate


def test_clips_come_from_the_folder_that_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(WEIGHTS, folder, copy_function=os.symlink)
    samples = load(GlyphWorldSettings(seen=1, unseen=0))
    shipped = generate("text-to-video", samples)
    assert shipped.shape == (1, 8, 64, 64, 3)
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    values = load_file(file)
    values["decoder.conv_out.bias"] = values["decoder.conv_out.bias"] - np.float16(9.0)
    file.unlink()
    save_file(values, file)
    assert generate("text-to-video", samples, folder).max() == 0
    truth = generate("true-clip", samples, folder)
    assert np.array_equal(truth[0], samples[0].clip.frames)


def test_encoders_know_one_size() -> None:
    samples = load(GlyphWorldSettings(seen=1, unseen=0, side=128, frames=16))
    with pytest.raises(EvalError, match="draws 64x64 px, and the image of sample"):
        generate("text-to-video", samples)
