"""The image-embedding family: the content adapter (IP-Adapter Plus) in cross-attention, and nothing
else.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, Field, model_validator

from eval.methods import FirstFrame
from eval.methods.glyph_world import ImageSettings, PriorMethod


class ContentAdapterSettings(ImageSettings):
    """The sampling, and the frame similarity prior's t0 and p: both, or neither to start from noise
    alone.
    """

    t0: float | None = Field(default=None, gt=0.0, le=1.0)
    p: float | None = Field(default=None, ge=0.0, le=1.0)

    @model_validator(mode="after")
    def _both_or_neither(self) -> ContentAdapterSettings:
        if (self.t0 is None) != (self.p is None):
            raise ValueError(
                "t0 and p make the prior together: give both, or neither to start from noise alone"
            )
        return self


class ContentAdapterMethod(PriorMethod):
    """Image embeddings in cross-attention alone: no frame is given, none is kept.

    With t0 and p all frames start from the noised image: the row "without I2V-Adapter" of the
    paper's Table 3.
    """

    Settings: ClassVar[type[BaseModel]] = ContentAdapterSettings
    version = "content-adapter.v1"
    first_frame: ClassVar[FirstFrame] = "reconstruction"
    parts = ("ip_adapter", "image_encoder", "feature_extractor")

    def _videos(self, options: dict[str, Any]) -> Any:
        from eval.world.pipelines import baseline

        return self._run(baseline, options, content=True)
