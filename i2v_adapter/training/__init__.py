"""Training of the adapter: the loss, the loop, and a command, `python -m i2v_adapter.training
CONFIG.yaml`.
"""

from __future__ import annotations

from i2v_adapter.training.loop import STATE_NAME, Batch, TrainingResult, train
from i2v_adapter.training.loss import i2v_loss

__all__ = ["STATE_NAME", "Batch", "TrainingResult", "i2v_loss", "train"]
