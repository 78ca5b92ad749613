"""Clips made during training, and the measures that a configuration names for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from diffusers.utils import export_to_gif
from PIL import Image

from i2v_adapter.media.errors import MediaError
from i2v_adapter.media.images import read_image
from i2v_adapter.pipelines import I2VAdapterPipeline
from i2v_adapter.training.config import Data, Samples, TrainingError
from i2v_adapter.training.video_clips import fit


class SampleClip(NamedTuple):
    """A clip and what it was made from: `frames` uint8 (F, H, W, 3) at `fps`, `image` (H, W, 3) as
    the model saw it.
    """

    image: np.ndarray
    prompt: str
    frames: np.ndarray
    fps: float


Measure = Callable[[Sequence[SampleClip]], Mapping[str, float]]


def load_measure(name: str) -> Measure:
    """The function `module:function`.

    Raises:
        TrainingError: there is no such module or function.
    """
    module, _, function = name.partition(":")
    try:
        return getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise TrainingError(f"samples.measure: {name!r} cannot be imported ({error})") from error


def load_images(samples: Samples, data: Data) -> list[Image.Image]:
    """The input images, RGB, scaled and cropped as training clips are.

    Raises:
        TrainingError: naming the file that is not a readable image.
    """
    images = []
    for entry in samples.inputs:
        try:
            pixels = read_image(entry.image)
        except MediaError as error:
            raise TrainingError(f"samples.inputs: '{entry.image}' {error}") from error
        images.append(Image.fromarray(fit(pixels[None], data.height, data.width)[0]))
    return images


def make_samples(
    pipeline: I2VAdapterPipeline,
    samples: Samples,
    images: Sequence[Image.Image],
    frames: int,
    folder: Path,
) -> list[SampleClip]:
    """One clip for each input, also written to `folder` as 000.gif, 001.gif, ... Every call uses
    the same seed."""
    folder.mkdir(parents=True, exist_ok=True)
    clips = []
    for number, (image, entry) in enumerate(zip(images, samples.inputs, strict=True)):
        video = pipeline(
            image=image,
            prompt=entry.prompt,
            num_frames=frames,
            num_inference_steps=samples.steps,
            guidance_scale=samples.guidance_scale,
            generator=torch.Generator().manual_seed(samples.seed),
        ).frames[0]
        export_to_gif(video, str(folder / f"{number:03}.gif"), fps=samples.fps)
        clips.append(
            SampleClip(
                np.array(image), entry.prompt, np.stack([np.asarray(f) for f in video]), samples.fps
            )
        )
    return clips
