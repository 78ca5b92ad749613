"""One UNet step with the adapter: as it is, beside what is meant to be faster and gives the same.

Every variant has a UNet of its own with equal weights, and a time limit of its own: some compile.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from benchmarks.flops import step_flops
from benchmarks.interleave import quantile
from benchmarks.memory import parameter_bytes
from benchmarks.motion_unets import DTYPES, Shape, make_unet, unet_inputs
from benchmarks.scenario import Bench, Variant
from i2v_adapter import I2VAdapter
from i2v_adapter.step_graph import StepGraph

PREPARING = 90.0
"""Seconds that a variant may take until it is first timed."""
PARTS = {
    "plain": (),
    "fused": ("fused",),
    "channels_last": ("channels_last",),
    "graph": ("graph",),
    "fused, graph": ("fused", "graph"),
    "compiled blocks": ("compiled",),
    "compiled blocks, fused, graph": ("compiled", "fused", "graph"),
}
"""What each variant is made of."""


def cases(device: str) -> list[Shape]:
    if device == "cpu":
        return [Shape("sd15/4", 64, 64, 4), Shape("sd15/4", 128, 128, 8)]
    return [Shape("sd15", side, side, dtype="fp16") for side in (512, 256)]


def test_faster_step(bench: Bench, case: Shape) -> None:
    device, dtype = bench.device, DTYPES[case.dtype]
    torch.compiler.reset()
    torch._dynamo.config.recompile_limit = 32  # widths times sizes: above, blocks run uncompiled
    plain = make_unet(case.model, device, dtype)
    inputs = unet_inputs(case, device)
    sample, timestep = inputs.pop("sample"), inputs.pop("timestep")
    adapter = I2VAdapter.from_unet(plain)
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter, std=0.02)  # zeros would hide a difference
    with torch.inference_mode(), adapter.attached(plain):
        expected = plain(sample, timestep, **inputs).sample

    def variant(parts: tuple[str, ...]) -> Variant:
        unet, own = copy.deepcopy(plain), copy.deepcopy(adapter)
        if "channels_last" in parts:
            unet.to(memory_format=torch.channels_last)
        own.attach(unet)
        if "fused" in parts:
            own.fuse_projections()
        if "compiled" in parts:
            unet.compile_repeated_blocks(dynamic=False)

        def call(*given: Any, **arguments: Any) -> Any:
            return unet(*given, **arguments).sample

        step: Callable[..., Any] = StepGraph(unet) if "graph" in parts else call
        with torch.inference_mode():
            found = step(sample, timestep, **inputs)
        difference = (found.float() - expected.float()).abs().max() / expected.float().std()
        active: Callable[[], AbstractContextManager[Any]] = torch.inference_mode
        return Variant(
            lambda: step(sample, timestep, **inputs),
            active,
            parameter_bytes(unet, own),
            {"difference": float(difference)},
        )

    gpu = device.type == "cuda"
    row = bench.compare(
        f"{case}",
        {name: lambda parts=parts: variant(parts) for name, parts in PARTS.items()},
        rounds=30 if gpu else 5,
        ratios=[(name, "plain") for name in PARTS if name != "plain"],
        warmups=10 if gpu else 1,
        each=min(PREPARING, bench.limit),
    )
    values = {}
    for name, result in row["variants"].items():
        if "difference" in result:
            values[f"{name}: largest difference over the output's spread"] = result["difference"]
        if gpu and result["seconds"]:
            flops = step_flops(case, adapter=True) / quantile(result["seconds"], 0.5)
            values[f"{name}: TFLOP/s"] = flops / 1e12
    row["values"] = values
