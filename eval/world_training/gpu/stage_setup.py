"""What every stage on a GPU works with: the clips, the batch, the dtype, and the attention that is
faster at these lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from eval.world_training.context import Context, record
from eval.world_training.gpu.device_clips import Clips
from eval.world_training.gpu.size import Size
from eval.world_training.gpu.trainer import Task, train
from eval.world_training.trainer import Outcome, Recipe

FRAMES_A_CLIP = 8
"""Single frames that a step sees where another sees one clip."""


@dataclass(frozen=True)
class StageSetup:
    """What every stage here works with. `batch` is the number of clips a step sees, and an eighth
    of the number of single frames."""

    context: Context
    clips: Clips
    size: Size
    batch: int
    dtype: torch.dtype
    temporal: Any
    """Attention of the motion modules in training."""

    @property
    def device(self) -> str:
        return self.context.device

    def here(self, module: nn.Module, *, learns: bool = False) -> nn.Module:
        """The module on the device in the dtype that is computed in."""
        nn.Module.to(module, self.device, self.dtype)
        return module.train(learns).requires_grad_(learns)

    def train(self, stage: str, module: nn.Module, tasks: Sequence[Task], recipe: Recipe):
        return train(module, tasks, recipe, self.context.work / stage)

    def record(self, stage: str, part: str, recipe: Recipe, outcome: Outcome, **figures) -> None:
        facts = {
            "batch": self.batch,
            "precision": str(self.dtype).removeprefix("torch."),
            "frames": self.size.frames,
            "fps": self.size.fps,
        }
        record(self.context, stage, part, recipe, outcome, figures, **facts)


def set_motion_attention(unet: Any, processor: Any) -> Any:
    """Sets the attention of the motion modules, which see a token a frame and thousands of
    sequences at once; returns `unet`."""
    from diffusers.models.attention_processor import Attention

    for name, module in unet.named_modules():
        if "motion_modules" in name and isinstance(module, Attention):
            module.set_processor(processor)
    return unet


def faster_attention(
    sequences: int, frames: int, width: int, device: str, dtype: torch.dtype
) -> Any:
    """diffusers' processor that is faster at this: the fused one, or plain matrix products. On a
    CPU the plain one (`eval/world/README.md`)."""
    import time

    from diffusers.models.attention_processor import Attention, AttnProcessor, AttnProcessor2_0

    if torch.device(device).type != "cuda":
        return AttnProcessor()
    took = {}
    for processor in (AttnProcessor(), AttnProcessor2_0()):
        layer = Attention(width, heads=4, dim_head=width // 4, processor=processor)
        layer.to(device, dtype)
        tokens = torch.zeros(sequences, frames, width, device=device, dtype=dtype)
        for turn in range(8):
            if turn == 3:
                torch.cuda.synchronize()
                start = time.monotonic()
            layer(tokens.requires_grad_()).sum().backward()
        torch.cuda.synchronize()
        took[processor] = time.monotonic() - start
    return min(took, key=lambda processor: took[processor])
