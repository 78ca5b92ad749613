"""The concatenation family's fine-tuned base as a text-to-video model: what is left of it without an image."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from eval.methods.channel_concatenation import ChannelConcatenationMethod


class ConcatenationTextMethod(ChannelConcatenationMethod):
    """Image channels of zeros in both halves of the guidance, as training's dropout had them: the prompt alone.

    It draws the noise that `text-to-video` draws for the same seed.
    """

    version = "concatenation-text.v1"
    first_frame = "free"

    def _videos(self, options: dict[str, Any]) -> Any:
        return self._run(_without_image, options)


@cache
def _without_image(weights: Path, extras: Any) -> Any:
    import torch

    from eval.world.baseline import BaselinePipeline
    from eval.world.pipelines import baseline

    class Blind(BaselinePipeline):
        def _encode(self, image: list[Any], generator: list[torch.Generator], device: torch.device) -> torch.Tensor:
            height, width = (side // self.vae_scale_factor for side in image[0].shape[:2])
            shape = (len(image), self.vae.config.latent_channels, height, width)
            return torch.zeros(shape, device=device, dtype=self.vae.dtype)

    pipeline = Blind(**baseline(weights, extras, concat=True).components)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
