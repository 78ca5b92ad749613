"""Settings that make a clip in less time, and another clip: none is on unless a suite says so.

What each costs in identity, text and motion in the glyph world: docs/benchmarks.md.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer
from pydantic import field_validator as validates


class FasterSampling(BaseModel):
    """Shares of a method's steps that do less.

    Settings that a suite does not name are left out of a cell's settings, so that clips made before
    they existed are found again.

    Attributes:
        guidance_interval: (start, end) as shares of the steps: guidance in these alone.
        reuse_every: the whole UNet runs in every n-th step; 1: in each.
        reuse_layers: of the UNet's last block that run in the steps between.
    """

    guidance_interval: tuple[float, float] | None = None
    reuse_every: int = Field(default=1, ge=1, le=50)
    reuse_layers: int = Field(default=1, ge=1, le=4)

    @validates("guidance_interval")
    @classmethod
    def _within_the_steps(cls, interval: tuple[float, float] | None) -> tuple[float, float] | None:
        if interval is not None and not 0 <= interval[0] < interval[1] <= 1:
            raise ValueError(
                f"shares of the steps, 0 <= start < end <= 1, but are {list(interval)}"
            )
        return interval

    @model_serializer(mode="wrap")
    def _named_alone(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dump: dict[str, Any] = handler(self)
        for name in NAMES:
            if name not in self.model_fields_set:
                dump.pop(name, None)
        return dump

    def switch(self, pipeline: Any) -> None:
        """Sets a pipeline of `i2v_adapter` as the settings say."""
        if self.reuse_every > 1:
            pipeline.enable_feature_reuse(self.reuse_every, self.reuse_layers)
        elif getattr(pipeline, "feature_reuse_enabled", False):
            pipeline.disable_feature_reuse()


NAMES = (*FasterSampling.model_fields, "fp8")
