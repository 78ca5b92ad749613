"""Training of the adapter: the loss, the loop, and the command `i2v-train CONFIG.yaml`."""

from __future__ import annotations

from i2v_adapter.training.loop import STATE_NAME, Batch, TrainingResult, train
from i2v_adapter.training.loss import i2v_loss

__all__ = ["STATE_NAME", "Batch", "TrainingResult", "i2v_loss", "train"]
