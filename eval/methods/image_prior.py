"""The prior alone: the text-to-video base, all frames started from the noised image; no adapter, no
clean frame.
"""

from __future__ import annotations

from typing import Any, ClassVar

from eval.methods import FirstFrame
from eval.methods.glyph_world import PriorMethod


class ImagePriorMethod(PriorMethod):
    """Text-to-video from the frame similarity prior at t0, p: the row "neither" of the paper's
    Table 3.
    """

    version = "image-prior.v1"
    first_frame: ClassVar[FirstFrame] = "reconstruction"

    def _videos(self, options: dict[str, Any]) -> Any:
        from eval.world.pipelines import baseline

        return self._run(baseline, options)
