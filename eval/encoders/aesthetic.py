"""Aesthetic quality of frames: LAION's linear head on CLIP ViT-L/14, as VBench uses it."""

from __future__ import annotations

from dataclasses import replace

from eval.encoders.clip import load as load_clip
from eval.encoders.frame_scores import FrameScoreEncoder
from eval.encoders.preprocessing import Preprocessing
from eval.encoders.raft import load_state
from eval.encoders.weights import Location
from eval.io.arrays import Float32Array, UInt8Array

BATCH = 32
HEAD = "sa_0_4_vit_l_14_linear.pth"
"""File with the weights of the linear layer, 768 to 1."""
VIEW = "vbench_noaa"
"""How CLIP is shown frames, see `eval.metrics.views.View`."""


def protocol() -> str:
    """What the scores are, apart from the preprocessing."""
    return (
        "aesthetic 1: CLIP's projected image feature in float32, length 1, then LAION's linear "
        f"head; frames in the view {VIEW} of the following"
    )


def load(
    id: str, location: Location, preprocessing: Preprocessing, device: str, dtype: str
) -> FrameScoreEncoder:
    """CLIP as `eval.encoders.clip` loads it, and the head's state dict, strictly.

    The scores are about 1 to 10. Source: LAION's aesthetic predictor; Huang et al. 2024 (VBench),
    aesthetic_quality.py.

    Raises:
        EvalError: a file that cannot be read, or weights that do not fit.
    """
    import torch

    files = {entry: path for entry, path in location.files.items() if entry != HEAD}
    clip = load_clip(id, replace(location, files=files), preprocessing, device, dtype)
    head = torch.nn.Linear(768, 1)
    load_state(head, id, location.files[HEAD], "LAION's linear head")
    head.requires_grad_(False)

    def score(frames: UInt8Array) -> Float32Array:
        features = torch.from_numpy(clip.encode_frames(frames, view=VIEW))
        scores: Float32Array = head(features)[:, 0].numpy()
        return scores

    return FrameScoreEncoder(id, score, BATCH)
