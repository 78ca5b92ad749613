"""Diffusers pipelines with the I2V adapter."""

from __future__ import annotations

from i2v_adapter.pipelines.i2v_adapter import I2VAdapterPipeline

__all__ = ["I2VAdapterPipeline"]
