"""The paper's family: the I2V adapter, with the content adapter (the full system) and alone."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel

from eval.methods import FirstFrame
from eval.methods.faster_sampling import FasterSampling
from eval.methods.glyph_world import PriorMethod, PriorSettings


class AdapterSettings(PriorSettings, FasterSampling):
    """The sampling and the prior, and what makes a clip in less time.

    Attributes:
        fp8: the weights of UNet and adapter in 8 bits.
    """

    fp8: bool = False


class I2VAdapterMethod(PriorMethod):
    """I2V adapter, content adapter and frame similarity prior: the paper's full system."""

    Settings: ClassVar[type[BaseModel]] = AdapterSettings
    version = "i2v-adapter.v1"
    first_frame: ClassVar[FirstFrame] = "input"
    parts: ClassVar[tuple[str, ...]] = (
        "i2v_adapter",
        "ip_adapter",
        "image_encoder",
        "feature_extractor",
    )
    content: ClassVar[bool] = True

    def _videos(self, options: dict[str, Any]) -> Any:
        from eval.world.pipelines import image_to_video

        if self.settings.guidance_interval is not None:
            options["guidance_interval"] = self.settings.guidance_interval
        which = {"content": self.content, "fp8": self.settings.fp8}
        return self._run(image_to_video, options, **which)


class I2VAdapterAlone(I2VAdapterMethod):
    """I2V adapter and prior without the content adapter that the I2V adapter was trained beside:
    the row "without content adapter" of the paper's Table 3."""

    version = "i2v-adapter-alone.v1"
    parts = ("i2v_adapter",)
    content = False
