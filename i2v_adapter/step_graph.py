"""A UNet's step as a CUDA graph: recorded once, then replayed as a single launch.

At small frames a step is as slow as Python launches its kernels, over a thousand of them; a replay
launches them all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

Run = Callable[..., Tensor]
Capture = Callable[[Run, Sequence[Tensor]], tuple[Callable[[], Any], Tensor]]
"""(function of some tensors, these tensors) -> (what computes it again from what the tensors hold
then, the tensor that this leaves the result in)."""


def cuda_capture(run: Run, inputs: Sequence[Tensor]) -> tuple[Callable[[], Any], Tensor]:
    """Records `run` in a CUDA graph, after one call that lets libraries choose their kernels.

    Raises:
        RuntimeError: something in it cannot be recorded: it waits for the GPU, or copies from the
            CPU.
    """
    here, stream = torch.cuda.current_stream(), torch.cuda.Stream()
    stream.wait_stream(here)
    with torch.cuda.stream(stream):
        run(*inputs)
    here.wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, stream=stream):
            output = run(*inputs)
    except RuntimeError as error:
        torch.cuda.synchronize()
        raise RuntimeError(
            "this UNet's step cannot be recorded in a CUDA graph, call disable_step_graph(): "
            f"{str(error).strip().splitlines()[0]}"
        ) from error
    return graph.replay, output


class StepGraph:
    """Calls a UNet by replaying what its first call of the same shapes launched.

    Python values and addresses of weights are those of the first call: make a new one where
    weights move or layers change. Inputs are copied, so any tensors of the same shapes will do.

    Args:
        unet: called with a sample, a timestep and keyword arguments; its output has `sample`.
        state: gives what the output depends on besides the arguments; where it differs from that
            of the calls before, the step is recorded anew.
        capture: records; a replacement needs no GPU.

    Attributes:
        recorded: number of graphs.

    Examples:
        >>> from i2v_adapter.tiny import tiny_unet
        >>> def stand_in(run, inputs):  # on a GPU: leave it out
        ...     output = run(*inputs)
        ...     return lambda: output.copy_(run(*inputs)), output
        >>> step = StepGraph(tiny_unet(), capture=stand_in)
        >>> text = torch.zeros(5, 7, 32)
        >>> for timestep in torch.tensor([900, 500, 100]):
        ...     noise = step(torch.zeros(1, 4, 5, 8, 8), timestep, encoder_hidden_states=text)
        >>> noise.shape, step.recorded
        (torch.Size([1, 4, 5, 8, 8]), 1)
    """

    def __init__(
        self,
        unet: nn.Module,
        state: Callable[[], Any] = lambda: None,
        capture: Capture = cuda_capture,
    ) -> None:
        self._unet, self._state, self._capture = unet, state, capture
        self._graphs: dict[str, tuple[list[Tensor], Callable[[], Any], Tensor]] = {}

    @property
    def recorded(self) -> int:
        return len(self._graphs)

    @torch.no_grad()
    def __call__(self, sample: Tensor, timestep: Tensor, **arguments: Any) -> Tensor:
        """The `sample` of the UNet's output.

        Raises:
            ValueError: there is no GPU, or weights are moved or cast for each call.
            RuntimeError: the UNet's step cannot be recorded.
        """
        leaves, structure = tree_flatten((sample, timestep, arguments))
        places = [index for index, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        tensors = [leaves[index] for index in places]
        rest = [None if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        shapes = [(tuple(tensor.shape), tensor.dtype) for tensor in tensors]
        key = repr((structure, shapes, sample.device, rest, self._state()))
        if key not in self._graphs:
            self._check(sample.device)
            inputs = [tensor.to(sample.device, copy=True) for tensor in tensors]

            def run(*given: Tensor) -> Tensor:
                for index, tensor in zip(places, given, strict=True):
                    rest[index] = tensor
                first, second, named = tree_unflatten(rest, structure)
                output: Tensor = self._unet(first, second, **named).sample
                return output

            self._graphs[key] = (inputs, *self._capture(run, inputs))
        inputs, replay, output = self._graphs[key]
        for ours, given in zip(inputs, tensors, strict=True):
            ours.copy_(given)
        replay()
        return output.clone()  # the next replay writes there

    def _check(self, device: torch.device) -> None:
        if self._capture is cuda_capture and device.type != "cuda":
            raise ValueError(
                f"a step graph needs a CUDA GPU, but the latents are on {device}: move the pipeline"
                " there, or call disable_step_graph()"
            )
        check_weights_stay(self._unet)


def check_weights_stay(model: nn.Module) -> None:
    """Raises ValueError if weights of a model are moved or cast for each call: a graph would read
    them where they were when it was recorded.
    """
    for module in model.modules():
        if hasattr(module, "_hf_hook") or hasattr(module, "_diffusers_hook"):
            raise ValueError(
                "a step graph needs weights that stay where they are, but a "
                f"{type(module).__name__} of this {type(model).__name__} is offloaded, or cast "
                "for each call (fp8): load the model without, or call disable_step_graph()"
            )


def changeable_state(unet: nn.Module) -> tuple[Any, ...]:
    """What a callback between two steps could change in a UNet: where weights lie, and the scales
    of LoRAs and content adapters.
    """
    found: list[Any] = []
    for module in unet.modules():
        found += [getattr(module, "scaling", None), getattr(module, "active_adapters", None)]
        processor = getattr(module, "processor", None)
        found += [type(processor).__name__, getattr(processor, "scale", None)]
        for parameter in module.parameters(recurse=False):
            found.append(parameter.data_ptr())
    return tuple(value for value in found if value is not None)
