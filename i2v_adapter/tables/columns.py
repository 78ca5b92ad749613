"""The columns of manifests and captions, spelt alike everywhere."""

from __future__ import annotations

from i2v_adapter.tables.reader import Column

ID = Column("id", kind="name", required=True)
IMAGE = Column("image")
PROMPT = Column("prompt")
CLIP = Column("clip")
CONDITIONING = Column("conditioning")
GROUP = Column("group")
METHOD = Column("method")
SEED = Column("seed", kind="whole")
TRUTH = "truth_"
"""Columns that begin so hold ground truth."""
