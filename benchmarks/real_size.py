"""`python -m benchmarks.real_size`: one denoising step of the full-size SD 1.5 motion UNet with its
adapter attached.

Weights are random: what is shown is that the real shapes go through, that the result is finite,
what it costs, and that an adapter whose output projections are not zero changes the prediction.
"""

from __future__ import annotations

import resource
import time
from typing import Annotated, Literal

import torch
import typer

from benchmarks.motion_unets import DTYPES, Shape, make_unet, unet_inputs


def main(
    side: Annotated[
        int, typer.Option(min=64, help="Height and width in px, a multiple of 64.")
    ] = 256,
    frames: Annotated[int, typer.Option(min=2, max=32)] = 16,
    dtype: Annotated[Literal["fp32", "bf16", "fp16"], typer.Option()] = "fp32",
    device: Annotated[str, typer.Option(help="Torch device: cpu, cuda.")] = "cpu",
) -> None:
    """Builds the UNet, attaches an adapter, takes the step with and without it, and prints what was
    found.
    """
    from i2v_adapter import I2VAdapter

    torch.manual_seed(0)
    shape = Shape("sd15", side, side, frames, dtype=dtype)
    unet = make_unet("sd15", torch.device(device), DTYPES[dtype])
    adapter = I2VAdapter.from_unet(unet)
    for parameter in adapter.parameters():  # output projections start at zero: as if trained
        torch.nn.init.normal_(parameter, std=0.02)
    inputs = unet_inputs(shape, torch.device(device))
    with torch.inference_mode():
        base = unet(**inputs).sample
        adapter.attach(unet)
        start = time.perf_counter()
        found = unet(**inputs).sample
        seconds = time.perf_counter() - start
    if found.shape != inputs["sample"].shape or not bool(torch.isfinite(found).all()):
        raise SystemExit(
            f"{shape}: a step gave {tuple(found.shape)}, finite: "
            f"{bool(torch.isfinite(found).all())}"
        )
    change = (found - base).float().abs().amax(dim=(0, 1, 3, 4))
    memory = (
        torch.cuda.max_memory_allocated() / 2**30
        if device.startswith("cuda")
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    )
    print(f"{shape}, latents {tuple(found.shape)}, finite")
    print(
        f"UNet {_millions(unet)} M parameters, adapter {_millions(adapter)} M in "
        f"{len(adapter.config.layers)} layers"
    )
    print(
        f"largest change by the adapter: frame 0 {change[0]:.2g}, later frames "
        f"{change[1:].min():.2g} or more"
    )
    print(
        f"{seconds:.1f} s a step on {device}, {torch.get_num_threads()} threads; peak memory "
        f"{memory:.1f} GiB"
    )


def _millions(module: torch.nn.Module) -> str:
    return f"{sum(parameter.numel() for parameter in module.parameters()) / 1e6:,.1f}"


if __name__ == "__main__":
    typer.run(main)
