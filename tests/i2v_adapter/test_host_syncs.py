"""No denoising step waits for the device: it reads no value from it and copies nothing to it.

The pipeline runs on torch's "meta" device, whose tensors have no values: reading one raises, and
every copy from the CPU is counted. CPU tensors of no dimension in an operation are passed by value
and wait for nothing.
"""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    LMSDiscreteScheduler,
    PNDMScheduler,
)
from PIL import Image
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from i2v_adapter import I2VAdapterPipeline

_MAKERS = (torch.tensor, torch.as_tensor)


class _Copies(TorchDispatchMode):
    """Tensors with values that an operation moves to the meta device."""

    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default):
            devices = {leaf.device.type for leaf in tree_leaves(args) if isinstance(leaf, Tensor)}
            if "cpu" in devices and result.device.type == "meta":
                self.found.append(str(func))
        return result


class _Made(TorchFunctionMode):
    """Tensors made from Python numbers on the meta device: on a GPU, copies."""

    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in _MAKERS and result.device.type == "meta":
            given = args[0] if args else None
            if not (isinstance(given, Tensor) and given.device.type == "meta"):
                self.found.append(func.__name__)
        return result


def copies_a_step(pipeline: I2VAdapterPipeline, image: Image.Image, **options: Any) -> list[int]:
    """Copies to the device in each step but the first."""
    found: list[str] = []
    at_end: list[int] = []

    def count(pipe: Any, step: int, t: Any, tensors: Any) -> dict[str, Any]:
        at_end.append(len(found))
        return {}

    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.to("meta")
    with _Made(found), _Copies(found):
        latents = pipeline(
            image,
            "a cat",
            4,
            num_inference_steps=5,
            output_type="latent",
            generator=torch.Generator().manual_seed(0),
            image_latents=torch.zeros(1, 4, 8, 8),
            callback_on_step_end=count,
            **options,
        ).frames
    assert latents.device.type == "meta"
    assert len(at_end) >= 5
    assert pipeline.scheduler.alphas_cumprod.device.type == "cpu"
    assert at_end[0] > 0  # the noise, at least: copies are seen
    return [after - before for before, after in itertools.pairwise(at_end)]


@pytest.mark.parametrize(
    "scheduler",
    [
        DDIMScheduler,
        EulerDiscreteScheduler,
        DPMSolverMultistepScheduler,
        PNDMScheduler,
        LMSDiscreteScheduler,
    ],
)
def test_no_step_waits(pipeline: Any, pictures: list[Image.Image], scheduler: Any) -> None:
    pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config)
    assert set(copies_a_step(pipeline, pictures[0])) == {0}


@pytest.mark.parametrize("scale", [0.5, [1.0, 0.5, 0.5, 0.2], {"up_blocks": [1.0, 0.5, 0.5, 0.2]}])
def test_scales_are_on_the_device_after_one_step(
    pipeline: Any, pictures: list[Image.Image], scale: Any
) -> None:
    pipeline.i2v_adapter.scale = scale
    assert set(copies_a_step(pipeline, pictures[0])) == {0}


def test_content_scales_of_frames_are_on_the_device_after_one_step(
    pipeline: Any, pictures: list[Image.Image], load_content_adapter: Callable[[Any], None]
) -> None:
    load_content_adapter(pipeline)
    embeds = [torch.zeros(2, 1, 5, 32)]
    found = copies_a_step(
        pipeline,
        pictures[0],
        ip_adapter_image_embeds=embeds,
        ip_adapter_frame_scale=[1.0, 0.5, 0.5, 0.2],
    )
    assert set(found) == {0}


def test_a_scale_changed_in_place_is_seen(pipeline: Any, pictures: list[Image.Image]) -> None:
    def video() -> Tensor:
        generator = torch.Generator().manual_seed(0)
        options: dict[str, Any] = {"num_inference_steps": 2, "output_type": "latent"}
        return pipeline(pictures[0], "a cat", 4, generator=generator, **options).frames

    scale = [1.0, 0.5, 0.5, 0.2]
    pipeline.i2v_adapter.scale = scale
    first = video()
    scale[2] = 2.0
    changed = video()
    pipeline.i2v_adapter.scale = [1.0, 0.5, 2.0, 0.2]
    assert not torch.equal(first, changed)
    assert torch.equal(changed, video())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_on_a_gpu_cuda_sees_no_wait(pipeline: Any, pictures: list[Image.Image]) -> None:
    """CUDA's own check, from the end of the first step to the end of the last."""
    pipeline.to("cuda")
    steps: list[int] = []

    def watch(pipe: Any, step: int, t: Any, tensors: Any) -> dict[str, Any]:
        steps.append(step)
        torch.cuda.set_sync_debug_mode("error" if step < 3 else "default")
        return {}

    options: dict[str, Any] = {"num_inference_steps": 4, "output_type": "latent"}
    try:
        pipeline(pictures[0], "a cat", 4, callback_on_step_end=watch, **options)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert steps == [0, 1, 2, 3]
