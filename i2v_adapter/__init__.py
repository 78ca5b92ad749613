"""I2V-Adapter: a plug-in that turns a frozen text-to-video diffusion model into text-guided
image-to-video.

Guo et al., "I2V-Adapter: A General Image-to-Video Adapter for Diffusion Models", SIGGRAPH 2024
(arXiv 2312.16693). The public names load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from i2v_adapter.adapter import I2VAdapter
    from i2v_adapter.pipelines.controlnet import I2VAdapterControlNetPipeline
    from i2v_adapter.pipelines.i2v_adapter import I2VAdapterPipeline
    from i2v_adapter.pipelines.sdxl import I2VAdapterSDXLPipeline
    from i2v_adapter.prior import FrameSimilarityPrior
    from i2v_adapter.training import i2v_loss, train

__version__ = "0.1.0"

__all__ = [
    "FrameSimilarityPrior",
    "I2VAdapter",
    "I2VAdapterControlNetPipeline",
    "I2VAdapterPipeline",
    "I2VAdapterSDXLPipeline",
    "__version__",
    "i2v_loss",
    "train",
]

_HOME = {
    "FrameSimilarityPrior": "i2v_adapter.prior",
    "I2VAdapter": "i2v_adapter.adapter",
    "I2VAdapterControlNetPipeline": "i2v_adapter.pipelines.controlnet",
    "I2VAdapterPipeline": "i2v_adapter.pipelines.i2v_adapter",
    "I2VAdapterSDXLPipeline": "i2v_adapter.pipelines.sdxl",
    "i2v_loss": "i2v_adapter.training",
    "train": "i2v_adapter.training",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
