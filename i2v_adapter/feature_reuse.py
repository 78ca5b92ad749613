"""Deep features of a motion UNet reused over several steps, as DeepCache does (Ma et al., CVPR
2024, arXiv 2312.00858): they change slowly from step to step.

Every n-th step runs the whole UNet. The steps in between run its first convolution and the last
layers of its last up block, at full resolution, on the deep features of the step before. This
changes the video; docs/benchmarks.md says by how much in the glyph world.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_map

from i2v_adapter.unet_layers import uncompiled


@dataclass(frozen=True)
class FeatureReuse:
    """How often the whole UNet runs, and what runs in between.

    Args:
        every: the whole UNet runs in steps 0, n, 2 n, ...; 1 reuses nothing.
        layers: of the last up block that run in every step, from the last one backwards.

    Examples:
        >>> import torch
        >>> from i2v_adapter.tiny import tiny_unet
        >>> unet = tiny_unet()
        >>> inputs = torch.zeros(1, 4, 5, 8, 8), 0, torch.zeros(5, 7, 32)
        >>> with torch.no_grad(), FeatureReuse(every=2).active(unet):
        ...     first, second = unet(*inputs).sample, unet(*inputs).sample
        >>> torch.allclose(first, second, atol=1e-6)  # the same input: nothing is lost
        True
    """

    every: int = 3
    layers: int = 1

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every must be at least 1, but is {self.every}")
        if self.layers < 1:
            raise ValueError(f"layers must be at least 1, but is {self.layers}")

    @contextmanager
    def active(self, unet: Any) -> Iterator[None]:
        """Reuse within the block; its first call of the UNet, and the first of another shape, runs
        the whole UNet.

        Args:
            unet: a :class:`~diffusers.UNetMotionModel`, called without gradients.

        Raises:
            ValueError: the last up block has fewer layers, or the whole UNet is compiled.
        """
        if uncompiled(unet) is not unet or getattr(unet, "_compiled_call_impl", None):
            raise ValueError(
                "feature reuse needs a UNet that is not compiled as a whole: use "
                "unet.compile_repeated_blocks()"
            )
        last = unet.up_blocks[-1]
        count = len(last.resnets)
        if self.layers > count:
            raise ValueError(
                f"layers must be at most {count} for this UNet's last up block, but is "
                f"{self.layers}"
            )
        steps = _Steps(self.every)
        skipped = count - self.layers
        units = [*unet.down_blocks[1:], *([unet.mid_block] if unet.mid_block else [])]
        units += [*unet.up_blocks[:-1]]
        first = unet.down_blocks[0]
        for block, start, stop in (
            (first, self.layers - 1, None),
            (last, 0, skipped),
        ):
            for name in ("resnets", "attentions", "motion_modules"):
                units += [*(getattr(block, name, None) or ())][start:stop]
        units += [*(first.downsamplers or ())]
        source = last.motion_modules[skipped - 1] if skipped else _before_last_block(unet)
        with ExitStack() as stack:
            hook = unet.register_forward_pre_hook(steps.begin, with_kwargs=True)
            stack.callback(hook.remove)
            for unit in units:
                stack.enter_context(_replaced(unit, steps.remembering(unit, unit is source)))
            yield


class _Steps:
    """Which step it is, and what the last whole one gave."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._step = -1
        self._shape: tuple[int, ...] | None = None
        self._outputs: dict[nn.Module, Any] = {}

    def begin(self, unet: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        sample = args[0] if args else kwargs["sample"]
        self._step = self._step + 1 if self._shape == sample.shape else 0
        self._shape = sample.shape

    def remembering(self, unit: nn.Module, read: bool) -> Callable[..., Any]:
        """The unit's forward: its own in whole steps, else what it gave then.

        Outputs that nothing reads are kept as their shapes alone.
        """
        own = unit.forward

        def forward(*args: Any, **kwargs: Any) -> Any:
            if self._step % self._every:
                return self._outputs[unit]
            output = own(*args, **kwargs)
            self._outputs[unit] = output if read else tree_map(_without_values, output)
            return output

        return forward


def _without_values(value: Any) -> Any:
    """Zeros of a tensor's shape that take no memory."""
    return value.new_zeros(()).expand(value.shape) if isinstance(value, Tensor) else value


def _before_last_block(unet: Any) -> nn.Module:
    """The block whose output the last up block reads."""
    blocks = [*unet.down_blocks, *([unet.mid_block] if unet.mid_block else []), *unet.up_blocks]
    found: nn.Module = blocks[-2]
    return found


@contextmanager
def _replaced(unit: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Another `forward` of a module within the block."""
    before = unit.__dict__.get("forward")
    unit.forward = forward  # type: ignore[method-assign]
    try:
        yield
    finally:
        if before is None:
            del unit.forward
        else:
            unit.forward = before  # type: ignore[method-assign]
