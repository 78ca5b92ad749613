"""What an adapter has put into a UNet, and what was there before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import nn
from torch.utils.hooks import RemovableHandle

from i2v_adapter.attention import CrossFrameAttnProcessor


@dataclass
class Attachment:
    """An adapter on a UNet: its processors and hooks, the UNet's layers, the processors before."""

    unet: nn.Module
    layers: dict[str, Attention]
    processors: dict[str, CrossFrameAttnProcessor]
    hooks: list[RemovableHandle]
    previous: dict[str, Any] = field(default_factory=dict)

    def connect(self) -> None:
        """Sets each of the adapter's processors where another is in its place."""
        for path, layer in self.layers.items():
            if layer.processor is not self.processors[path]:
                # An unconnected processor of ours is what diffusers rebuilt from the class of the
                # connected one.
                if not isinstance(layer.processor, CrossFrameAttnProcessor):
                    self.previous[path] = layer.processor
                layer.set_processor(self.processors[path])

    def fuse(self, fused: bool) -> None:
        """Joins the projections of each layer, or keeps them apart."""
        for path, layer in self.layers.items():
            self.processors[path].fuse(layer, fused)

    def undo(self) -> None:
        """Takes hooks and processors out, and puts the processors from before back."""
        for hook in self.hooks:
            hook.remove()
        for path, layer in self.layers.items():
            if isinstance(layer.processor, CrossFrameAttnProcessor):
                layer.set_processor(self.previous.get(path) or AttnProcessor2_0())
        for processor in self.processors.values():
            processor.release()
