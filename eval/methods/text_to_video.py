"""The base without the image."""

from __future__ import annotations

from typing import Any, ClassVar

from eval.methods import FirstFrame
from eval.methods.glyph_world import GlyphWorldMethod


class TextToVideoMethod(GlyphWorldMethod):
    """The prompt alone; of the image only the size is used."""

    version = "text-to-video.v1"
    first_frame: ClassVar[FirstFrame] = "free"

    def _videos(self, options: dict[str, Any]) -> Any:
        from eval.world.pipelines import baseline

        return self._run(baseline, options)
