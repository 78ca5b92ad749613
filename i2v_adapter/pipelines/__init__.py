"""Diffusers pipelines with the I2V adapter."""

from __future__ import annotations

from i2v_adapter.pipelines.controlnet import I2VAdapterControlNetPipeline
from i2v_adapter.pipelines.i2v_adapter import I2VAdapterPipeline
from i2v_adapter.pipelines.sdxl import I2VAdapterSDXLPipeline

__all__ = ["I2VAdapterControlNetPipeline", "I2VAdapterPipeline", "I2VAdapterSDXLPipeline"]
