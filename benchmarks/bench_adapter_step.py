"""One UNet step: base, adapter, adapter and content adapter, beside the naive form and channel
concatenation.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.flops import flop_ratio, step_flops
from benchmarks.memory import parameter_bytes
from benchmarks.motion_unets import DTYPES, Shape, make_unet, unet_inputs
from benchmarks.scenario import Bench, Variant
from benchmarks.variants import (
    IMAGE_STATES,
    IMAGE_WIDTH,
    Content,
    naive,
    wide_convolution,
    wide_input,
)
from i2v_adapter import I2VAdapter

REFERENCE = {
    Shape("sd15", 256, 256): 1.055,
    Shape("sd15", 512, 512): 1.134,
    Shape("sd15", 768, 768): 1.240,
    Shape("sdxl", 512, 512): 1.088,
    Shape("sdxl", 1024, 1024): 1.155,
}
"""Ratios counted before, with a counter of their own."""

BACKENDS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "math": SDPBackend.MATH,
}


@dataclass(frozen=True)
class Case:
    """A shape and how it is run; the headline case has all variants and more rounds."""

    shape: Shape
    headline: bool = False
    backend: str | None = None
    compiled: bool = False

    def __str__(self) -> str:
        how = [self.backend + " attention"] if self.backend else []
        return " ".join([str(self.shape), *how, *(["compiled"] if self.compiled else [])])


def cases(device: str) -> list[Case]:
    if device == "cpu":
        return [
            Case(Shape("sd15/4", 256, 256, 8), headline=True),
            Case(Shape("sd15/4", 128, 128, 8)),
            Case(Shape("sd15/4", 128, 192, 8)),
            Case(Shape("sd15/4", 128, 128, 8, guidance=True)),
            Case(Shape("sd15/4", 128, 128, 8, batch=2)),
            Case(Shape("sd15/4", 128, 128, 8, dtype="bf16")),
            Case(Shape("sd15/4", 128, 128, 8), backend="math"),
            Case(Shape("sdxl/4", 256, 256, 2)),
        ]
    sd15 = [Shape("sd15", side, side, dtype="fp16") for side in (512, 256, 768)]
    sdxl = [Shape("sdxl", side, side, dtype="fp16") for side in (512, 768, 1024)]
    centre = sd15[0]
    return [
        Case(centre, headline=True),
        *(Case(shape) for shape in sd15[1:]),
        Case(Shape("sd15", 512, 768, dtype="fp16")),
        Case(Shape("sd15", 512, 512, dtype="fp16", guidance=True)),
        Case(Shape("sd15", 512, 512, dtype="bf16")),
        Case(Shape("sd15", 512, 512, dtype="fp32")),
        Case(Shape("sd15", 512, 512, dtype="fp16", batch=2)),
        Case(Shape("sd15", 512, 512, dtype="fp16", batch=4)),
        *(Case(centre, backend=backend) for backend in BACKENDS),
        Case(centre, compiled=True),
        *(Case(shape, headline=shape.height == 1024) for shape in sdxl),
    ]


@pytest.mark.parametrize("shape", REFERENCE, ids=str)
def test_flops(bench: Bench, shape: Shape) -> None:
    def count() -> dict[str, Any]:
        base, adapted = step_flops(shape, adapter=False), step_flops(shape, adapter=True)
        return {
            "flops": {
                "base": base,
                "adapter": adapted,
                "ratio": adapted / base,
                "reference": REFERENCE[shape],
            }
        }

    bench.once(f"FLOPs {shape.model} {shape.width}x{shape.height}x{shape.frames}", count)


def test_step(bench: Bench, case: Case) -> None:
    shape, device, dtype = case.shape, bench.device, DTYPES[case.shape.dtype]
    rounds = (7 if case.headline else 5) if device.type == "cpu" else (30 if case.headline else 12)
    unet = make_unet(shape.model, device, dtype)
    inputs = unet_inputs(shape, device)
    adapter = I2VAdapter.from_unet(unet)
    weights, extra = parameter_bytes(unet), parameter_bytes(adapter)

    def variant(
        attach: Callable[[], AbstractContextManager[Any]], size: int, arguments: dict[str, Any]
    ) -> Variant:
        model = unet
        if case.compiled:
            torch.compiler.reset()
            model = torch.compile(unet, dynamic=False)

        def active() -> AbstractContextManager[Any]:
            stack = ExitStack()
            stack.enter_context(torch.inference_mode())
            stack.enter_context(
                sdpa_kernel(BACKENDS[case.backend]) if case.backend else nullcontext()
            )
            stack.enter_context(attach())
            return stack

        return Variant(lambda: model(**arguments), active, size)

    def with_content() -> Variant:
        content = Content(unet)
        states = torch.randn(shape.videos, 1, IMAGE_STATES, IMAGE_WIDTH, device=device, dtype=dtype)
        conditions = {**inputs.get("added_cond_kwargs", {}), "image_embeds": [states]}

        def attach() -> ExitStack:
            stack = ExitStack()
            stack.enter_context(content.attached(unet))
            stack.enter_context(adapter.attached(unet))
            return stack

        size = weights + extra + parameter_bytes(content)
        return variant(attach, size, {**inputs, "added_cond_kwargs": conditions})

    def concatenated() -> Variant:
        wide = wide_convolution(unet)
        arguments = {**inputs, **unet_inputs(shape, device, channels=9)}
        size = weights + parameter_bytes(wide) - parameter_bytes(unet.conv_in)
        return variant(lambda: wide_input(unet, wide), size, arguments)

    variants: dict[str, Callable[[], Variant]] = {
        "base": lambda: variant(nullcontext, weights, inputs),
        "adapter": lambda: variant(lambda: adapter.attached(unet), weights + extra, inputs),
    }
    ratios = [("adapter", "base")]
    if case.headline:
        variants |= {
            "naive": lambda: variant(
                lambda: naive(unet, adapter, shape.frames), weights + extra, inputs
            ),
            "adapter + content": with_content,
            "concatenation": concatenated,
        }
        ratios += [
            ("naive", "base"),
            ("adapter", "naive"),
            ("adapter + content", "base"),
            ("concatenation", "base"),
        ]
    warmups = 10 if device.type == "cuda" else 1
    row = bench.compare(
        str(case), variants, rounds=rounds, ratios=ratios, warmups=warmups, memory=case.headline
    )
    row["flop_ratio"] = flop_ratio(shape)
    row["headline"] = case.headline
