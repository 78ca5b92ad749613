"""The channel-concatenation family: the base, fine-tuned to read the image's latent beside every
noisy frame.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel

from eval.methods import FirstFrame
from eval.methods.glyph_world import GlyphWorldMethod, ImageSettings


class ChannelConcatenationMethod(GlyphWorldMethod):
    """The UNet of stage `concat`, from noise; convention in `eval.world.concatenation`."""

    Settings: ClassVar[type[BaseModel]] = ImageSettings
    version = "channel-concatenation.v1"
    first_frame: ClassVar[FirstFrame] = "reconstruction"
    base_parts = ("vae", "text_encoder", "tokenizer", "scheduler")
    parts = ("concat",)

    def _videos(self, options: dict[str, Any]) -> Any:
        from eval.world.pipelines import baseline

        return self._run(baseline, options, concat=True)


class ConcatenationText(GlyphWorldMethod):
    """The same UNet without the image, from the noise that `text-to-video` starts from: what the
    fine-tuning has left of the base as a text-to-video model."""

    version = "concatenation-text.v1"
    first_frame: ClassVar[FirstFrame] = "free"
    base_parts = ChannelConcatenationMethod.base_parts
    parts = ChannelConcatenationMethod.parts

    def _videos(self, options: dict[str, Any]) -> Any:
        from eval.world.pipelines import baseline

        return self._run(baseline, {**options, "without_image": True}, concat=True)
